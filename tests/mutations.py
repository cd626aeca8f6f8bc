"""Injects bugs that shipped in other libraries, one at a time, and checks that the numerical suite notices each.

Usage: python tests/mutations.py [NAME ...]

Every mutation is one replacement in a copy of the package; the tests named with it must then fail. A mutation that no
test notices, or whose text is no longer there, makes the script exit with 1. Not part of the test run: it takes about
five minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mutation:
    """One bug: in `file` `old` becomes `new`; `tests` are those that should notice."""

    name: str
    file: str
    old: str
    new: str
    tests: str


ROWS = "tests/numerics/test_every_row.py"
VALUES = "tests/numerics/test_regularizer_values.py tests/numerics/test_regularizers.py"
BY_HAND = "tests/numerics/test_terms_by_hand.py"
RANKS = "tests/numerics/test_ranks.py"
LOSSES = "tests/numerics/test_losses.py"
ENERGIES = "tests/numerics/test_energy_losses.py"
F_GAN = "tests/numerics/test_f_divergences.py -k not(learns)"
AUGMENTS = "tests/numerics/test_augments.py"
TRAINING = "tests/training/test_ranks_train.py"
PIECES = "tests/numerics/test_pieces.py"
OPTIONS = "tests/training/test_options.py"
PICTURES = "tests/numerics/test_picture_losses.py"
DISTANCES = "tests/numerics/test_learned_distances.py"
CRITICS = "tests/unit/test_critics.py"
BLEND = "tests/unit/test_blend.py"
TILES = "tests/unit/test_tiling.py"
ENGINE = "tests/unit/test_engine.py"
ENCODERS = "tests/unit/test_encoders.py"
TRANSLATION = "tests/unit/test_translation.py"
TRANSLATION_DATA = "tests/unit/test_translation_data.py"
TRANSLATOR = "tests/unit/test_translator.py"
DISTRIBUTIONS = "tests/numerics/test_distribution_metrics.py"

MUTATIONS = [
    Mutation("label maps are interpolated (pix2pixHD #206)", "../plugins/advtasks_pix2pix/crops.py",
             "how = cv2.INTER_NEAREST_EXACT if labels else", "how = cv2.INTER_AREA if False else", TRANSLATION_DATA),
    Mutation("one side of a pair is mirrored", "../plugins/advtasks_pix2pix/crops.py",
             "np.array(hflip(part) if mirrored else part)",
             'np.array(hflip(part) if mirrored and name == "target" else part)', TRANSLATION_DATA),
    Mutation("the critic does not see the input", "../plugins/advtasks_pix2pix/task.py",
             "found[name] = Judged(real, fake, condition)", "found[name] = Judged(real, fake, condition * 0)", TRANSLATION),
    Mutation("a wrong label map is passed over as a broken file is", "../plugins/advtasks_pix2pix/reading.py",
             "        raise LabelError(\n            f\"{side.path}: holds",
             "        raise DataError(\n            f\"{side.path}: holds", "tests/cli/test_translate.py"),
    Mutation("opacity is written over a channel", "inference/tensors.py",
             "if kind.alpha and self.picture.alpha is not None:", "if self.picture.alpha is not None:", TRANSLATOR),
    Mutation("transparent inputs of four channels are laid on white", "../plugins/advtasks_pix2pix/sources.py",
             "colour = PictureSource.cut(self, top, bottom, left, right).clamp(0, 1)",
             "colour = super().cut(top, bottom, left, right)", TRANSLATOR),
    Mutation("another noise for each tile", "../plugins/advtasks_pix2pix/translator.py",
             "            torch.manual_seed(self.seed)\n", "            torch.seed()\n", TRANSLATOR),
    Mutation("Frechet distance of covariances with N below the dimensions (BigGAN #49)", "evaluation/frechet.py",
             "self.root = vectors * values.clamp_min(0).sqrt()", "del values, vectors", DISTRIBUTIONS),
    Mutation("KID with the samples' kernel with themselves", "evaluation/kid.py",
             "_sums(z, z, kernel)[0] - _own(z, kernel)", "_sums(z, z, kernel)[0]", DISTRIBUTIONS),
    Mutation("precision and recall turned around", "evaluation/manifold.py",
             "real_looking=within, recalled=recalled", "real_looking=recalled, recalled=within", DISTRIBUTIONS),
    Mutation("the context is one pixel short", "inference/tiling.py",
             "return -(-(self.radius or 0) // self.multiple_of) * self.multiple_of",
             "return max(-(-(self.radius or 0) // self.multiple_of) * self.multiple_of - 1, 0)", TILES),
    Mutation("a tile out of memory is lost (Real-ESRGAN's script, D4)", "inference/tiling.py",
             "                yield region, output[..., rows, columns].float().cpu()\n                return\n",
             "                yield region, output[..., rows, columns].float().cpu()\n                return\n            return\n",
             TILES),
    Mutation("tiles' weights are 0 at their edges (traiNNer-redux, D6)", "inference/blending.py",
             "torch.arange(start * scale, end * scale) + 0.5", "torch.arange(start * scale, end * scale) + 0.0", TILES),
    Mutation("straight alpha with premultiplied colour (chaiNNer, D8)", "inference/tensors.py",
             "torch.where(alpha > 0.5 / kind.top, colour / alpha.clamp_min(1e-6), 0.0)", "colour", ENGINE),
    Mutation("values that are not finite stay", "inference/runner.py",
             "bool(torch.isfinite(output).all())", "True", ENGINE),
    Mutation("half precision whatever it does", "inference/runner.py",
             "if self.checked.harmless:", "if True:", ENGINE),
    Mutation("colours outside of sRGB are cut off", "inference/tensors.py",
             "return rest if rest.abs().max() > _GAMUT else None", "return None", "tests/unit/test_color.py"),
    Mutation("orientation is applied and kept", "pictures/metadata.py",
             "for tag in (_ORIENTATION, _TIFF_ACROSS", "for tag in (_TIFF_ACROSS", "tests/unit/test_pictures.py"),
    Mutation("markers of a JPEG count on from a strip of another height", "pictures/jpeg.py",
             "STRIP = 64", "STRIP = 56", ENCODERS),
    Mutation("PNG rows are filtered against the wrong row above", "pictures/png.py",
             "above = part[-1].copy()", "above = part[0].copy()", ENCODERS),
    Mutation("the row above a TIFF strip's first", "pictures/tiff.py",
             "differences[:, 1:] -= strip[:, :-1]", "differences[1:] -= strip[:-1]", ENCODERS),
    Mutation("bands are resized one by one", "inference/resample.py",
             "reach = math.ceil(_SUPPORT * max(ratio, 1.0)) + 1", "reach = 0", ENGINE),
    Mutation("LDL refines the wrong places", "losses/artifacts.py",
             "residual < _residual(average, target)", "residual > _residual(average, target)", PICTURES),
    Mutation("LDL without the factor of the picture", "losses/artifacts.py",
             " * residual.var(dim=(1, 2, 3), keepdim=True).pow(0.2)", "", PICTURES),
    Mutation("focal weights are those of the whole batch", "losses/frequency.py",
             "weights.amax(dim=(-2, -1), keepdim=True)", "weights.amax()", PICTURES),
    Mutation("the gradient passes through the focal weights", "losses/frequency.py",
             "with torch.no_grad():", "with torch.enable_grad():", PICTURES),
    Mutation("SSIM's constants are swapped", "losses/structural_similarity.py",
             "c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2", "c2, c1 = (0.01 * peak) ** 2, (0.03 * peak) ** 2",
             "tests/numerics/test_metrics.py"),
    Mutation("MS-SSIM takes luminance at every scale", "losses/structural_similarity.py",
             "similarity if number == scales else structure", "similarity", PICTURES),
    Mutation("LPIPS without unit length", "losses/lpips.py",
             "normalize(one.float(), dim=1, eps=1e-10) - normalize(other.float(), dim=1, eps=1e-10)",
             "one.float() - other.float()", DISTANCES),
    Mutation("DISTS leaves its weights unscaled", "losses/dists.py", " / whole", "", DISTANCES),
    Mutation("DISTS pools by maximum", "losses/dists.py", 'pooling="l2"', 'pooling="max"', DISTANCES),
    Mutation("layer weights are forgotten", "losses/perceptual.py",
             "unit_distance(found, wanted, self.weights)", "unit_distance(found, wanted)", DISTANCES),
    Mutation("the frozen network becomes a sub-module", "discriminators/projected.py",
             "self._frozen = (network,)", "self._frozen = nn.ModuleList([network])", CRITICS),
    Mutation("the frozen network stays behind", "discriminators/projected.py",
             "        self._frozen[0]._apply(fn, *others, **named)\n", "", CRITICS),
    Mutation("the mixing is drawn anew", "discriminators/projected.py", ", generator=draws", "", CRITICS),
    Mutation("the wavelet critic sees the low band", "layers/haar.py",
             "torch.cat((high_low, low_high, high_high), 1)", "torch.cat((low_low, low_high, high_high), 1)", CRITICS),
    Mutation("a blend keeps the first one's metrics", "blend.py", "        metrics={},\n", "", BLEND),
    Mutation("a blend of the wrong shares", "blend.py", ".double(), alpha)", ".double(), 1 - alpha)", BLEND),
    Mutation("gradients are not averaged over ranks", "distributed.py",
             "        dist.all_reduce(flat)\n        flat /= dist.get_world_size()", "        pass", TRAINING),
    Mutation("every rank draws rows of its own", "training/randomness.py",
             "seed_shared_draws(number)", "seed_shared_draws(number + rank)", TRAINING),
    Mutation("every rank takes the same rows of the batch", "data/loader.py",
             "[self.rows]", "[: self.rows.stop - self.rows.start]", TRAINING),
    Mutation("batch norm's variance without the other ranks", "layers/synchronized_batch_norm.py",
             "all_mean(centred.square().mean(places))", "centred.square().mean(places)", TRAINING),
    Mutation("running variance without Bessel's correction", "layers/synchronized_batch_norm.py",
             "variance * count / (count - 1)", "variance", TRAINING),
    Mutation("a piece is computed again with the buffers of now", "pieces.py",
             "owner._buffers[name] = value.clone()", "pass", PIECES),
    Mutation("spectral norm steps for every piece", "pieces.py",
             "    with _steady(networks):\n        yield\n", "    yield\n", PIECES),
    Mutation("pieces draw for themselves", "pieces.py",
             "functools.partial(part_of_batch, piece, pieces) if whole_draws else", "contextlib.nullcontext if whole_draws else",
             PIECES),
    Mutation("the critic is not frozen when a piece is computed again", "main_path.py",
             "with contextlib.nullcontext() if freeze is None else frozen(freeze):", "with contextlib.nullcontext():", PIECES),
    Mutation("gradients are clipped before they are scaled back", "phase.py",
             "            self.scaler.unscale_(self.optimizer)", "            pass", OPTIONS + " tests/training/test_phase.py"),
    Mutation("the loss scale is lost on resuming", "training/step.py",
             "item.load_state_dict(state[\"scalers\"][name])", "pass", OPTIONS),
    Mutation("the best is taken in the wrong direction", "training/best.py",
             "value > before[0] if metric.higher_is_better", "value < before[0] if metric.higher_is_better", OPTIONS),
    Mutation("an early end of a stage is forgotten", "training/loop.py",
             "setattr(self, name, state[name])", "name == \"lengths\" or setattr(self, name, state[name])", OPTIONS),
    Mutation("one norm over the whole batch (B1, B2)", "regularizers/input_gradient.py",
             "(squared_norm(gradient) + 1e-24).sqrt()", "(gradient.square().sum() + 1e-24).sqrt().expand(len(gradient))",
             VALUES),
    Mutation("pulling-away normalises over the batch (B3)", "regularizers/pulling_away.py",
             "normalize(gather(codes.flatten(1)), dim=1)", "normalize(gather(codes.flatten(1)), dim=0)", ENERGIES),
    Mutation("pulling-away keeps the diagonal (B3)", "regularizers/pulling_away.py",
             "(squares.sum() - squares.diagonal().sum()) / (count * (count - 1))", "squares.sum() / count**2", ENERGIES),
    Mutation("mutual information without a graph (B4)", "regularizers/auxiliary_classifier.py",
             "return self.weight * cross_entropy(found, code)",
             "return torch.tensor(self.weight * cross_entropy(found, code).item())", ROWS),
    Mutation("log of a sigmoid with an epsilon (B6)", "losses/minimax.py",
             "return softplus(-fake_logits).mean()", "return -(fake_logits.sigmoid() + 1e-8).log().mean()", LOSSES),
    Mutation("DRAGAN's official noise under the paper's name (B8)", "regularizers/lipschitz.py",
             'if form == "paper":', 'if form != "paper":', VALUES),
    Mutation("LeCam with a relu that the paper lacks (B9)", "regularizers/lecam.py",
             'if form == "official":', "if form:", VALUES),
    Mutation("penalties under autocast (B10)", "adversary.py",
             "autocast(scored.judged.real.device.type, enabled=False)",
             "autocast(scored.judged.real.device.type, torch.bfloat16, enabled=self.autocast is not contextlib.nullcontext)",
             ROWS),
    Mutation("the interval is ignored (B11)", "phase.py",
             "return (step + 1) % self.interval == 0", "return True", "tests/numerics/test_regularizers.py"),
    Mutation("margin of the batch mean (B12)", "losses/energy_based.py",
             "relu(self.margin + fake_logits).mean()", "relu(self.margin + fake_logits.mean())", ENERGIES),
    Mutation("critic's loss halved (B13)", "losses/wasserstein.py",
             "return fake_logits.mean() - real_logits.mean()", "return 0.5 * (fake_logits.mean() - real_logits.mean())",
             LOSSES),
    Mutation("a sum over the batch (B14)", "regularizers/lipschitz.py",
             "return weight * (slopes - 1).square().mean()", "return weight * (slopes - 1).square().sum()", VALUES),
    Mutation("least squares through a sigmoid (B15)", "losses/least_squares.py",
             "0.5 * (fake_logits - self.c).square().mean()", "0.5 * (fake_logits.sigmoid() - self.c).square().mean()",
             LOSSES),
    Mutation("the adversarial term without a gradient (D1)", "adversary.py",
             "fake, real = output(judged.fake, scored.condition, freeze=self), None",
             "fake, real = output(judged.fake.detach(), scored.condition, freeze=self), None", ROWS),
    Mutation("the critic is not frozen", "phase.py",
             "parameter.requires_grad_(False)", "parameter.requires_grad_(True)", ROWS),
    Mutation("the critic's phase reaches the generator", "adversary.py",
             "        judged = self.seen(judged.detached(), step)\n",
             "        judged = self.seen(judged, step)\n", ROWS),
    Mutation("R1 without the half", "regularizers/zero_centred.py",
             "return 0.5 * gamma * squared_norm", "return gamma * squared_norm", VALUES),
    Mutation("a lazy penalty of weight 1", "adversary.py",
             "regularizer.share_of_loss or float(regularizer.interval)", "regularizer.share_of_loss or 1.0",
             "tests/numerics/test_regularizers.py"),
    Mutation("relativistic means of one rank", "losses/relativistic.py",
             "above_fake = compare(real_logits - batch_mean(fake_logits)).mean()",
             "above_fake = compare(real_logits - fake_logits.mean()).mean()", RANKS),
    Mutation("LeCam's averages of one rank", "regularizers/lecam.py",
             "torch.stack((batch_mean(real), batch_mean(fake)))", "torch.stack((real.mean(), fake.mean()))", RANKS),
    Mutation("a mean over ranks without its gradient", "distributed.py",
             "result: Tensor = _AllMean.apply(gradients[0])", "result: Tensor = gradients[0]", RANKS),
    Mutation("each rank draws for itself", "distributed.py",
             "return everyone[first : first + rows]", "return everyone[:rows]", RANKS),
    Mutation("BEGAN's k moves before backward", "losses/boundary_equilibrium.py",
             "self.k.clone() * fake_logits", "self.k * fake_logits", ROWS),
    Mutation("BEGAN's balance the wrong way round", "losses/boundary_equilibrium.py",
             "balance = self.gamma * real - fake", "balance = self.gamma * fake - real", ENERGIES),
    Mutation("reverse KL with a falling activation", "losses/f_divergence.py",
             "return -(-logits).exp()\n\n    def conjugate(self, logits: Tensor) -> Tensor:\n        \"\"\"See the class.\"\"\"\n"
             "        return logits - 1",
             "return -(logits).exp()\n\n    def conjugate(self, logits: Tensor) -> Tensor:\n        \"\"\"See the class.\"\"\"\n"
             "        return -logits - 1", F_GAN),
    Mutation("wrong conditions by rolling the batch", "regularizers/matching.py",
             "return torch.where(admissible, chance, -1.0).argmax(1), admissible.any(1)",
             "return torch.arange(len(pool), device=pool.device).roll(1)[: len(condition)], admissible.any(1)", VALUES),
    Mutation("the unrolled step is not differentiated", "regularizers/unrolled.py",
             "value - learning_rate * all_mean(gradient)", "value - learning_rate * all_mean(gradient.detach())", VALUES),
    Mutation("only real pictures are augmented", "augments/augment.py",
             "fake=self.transform(judged.fake, draws)", "fake=judged.fake", ROWS),
    Mutation("ADA's p moves the wrong way", "augments/controller.py",
             "(overfit - self.target).sign()", "(self.target - overfit).sign()", AUGMENTS),
    Mutation("path length without its average", "regularizers/path_length.py",
             "average.lerp_(batch_mean(lengths).to(average), 1 - self.decay)", "average.mul_(1)", VALUES),
    Mutation("minibatch statistics over everything", "layers/minibatch.py",
             "at_least_float32(x).unflatten(0, (-1, group))", "at_least_float32(x).unflatten(0, (1, -1)); group = count",
             "tests/numerics/test_layers.py"),
    Mutation("spectral norm of a transposed convolution as it is stored", "regularizers/spectral.py",
             "(weight.transpose(0, 1) if isinstance(layer, TRANSPOSED) else weight).flatten(1)", "weight.flatten(1)",
             VALUES),
    Mutation("a copied adversary trains its original", "adversary.py",
             "terms=functools.partial(self._phase_terms, regularizer),",
             "terms=lambda scene, regularizer=regularizer: self._phase_terms(regularizer, scene),",
             "tests/unit/test_adversary.py -k copy_of_a_trained"),
    Mutation("penalties choose the critics of a mixture", "mixture.py",
             "for name, term in part.items() if name in payoff}", "for name, term in part.items()}",
             "tests/unit/test_mixture.py"),
    Mutation("a shared pass sees the reals of one phase only", "augments/apa.py",
             "same_in_both_phases: ClassVar[bool] = False", "same_in_both_phases: ClassVar[bool] = True",
             "tests/training/test_simultaneous.py"),
    Mutation("class head: the generator leaves its class", "regularizers/auxiliary_classifier.py",
             "return self.weight * cross_entropy(self._logits(scored.fake), self._label(scored))", "return -self.weight * cross_entropy(self._logits(scored.fake), self._label(scored))",
             BY_HAND),
    Mutation("TAC: the generator helps the twin", "regularizers/auxiliary_classifier.py",
             "(own - cross_entropy(", "(own + cross_entropy(",
             BY_HAND),
    Mutation("ADC: fakes learned as real classes", "regularizers/auxiliary_classifier.py",
             "cross_entropy(fake, classes + label)", "cross_entropy(fake, label)",
             BY_HAND),
    Mutation("InfoGAN: a float code's factor", "regularizers/auxiliary_classifier.py",
             "self.weight * 0.5 * self.size * mse_loss", "self.weight * 0.5 * mse_loss",
             BY_HAND),
    Mutation("LeCam: anchors swapped", "regularizers/lecam.py",
             "lecam(real, fake, kept[0], kept[1], self.form)", "lecam(real, fake, kept[1], kept[0], self.form)",
             BY_HAND),
    Mutation("GAN-CLS: the right condition called wrong", "regularizers/matching.py",
             "scored.real, pool[partner])", "scored.real, condition)",
             BY_HAND),
    Mutation("MA-GP on fakes", "regularizers/matching.py",
             "scored.critic, scored.judged.real, scored.condition, self.weight", "scored.critic, scored.judged.fake, scored.condition, self.weight",
             BY_HAND),
    Mutation("DRAGAN around fakes", "regularizers/lipschitz.py",
             "            scored.judged.real,\n            scored.condition,", "            scored.judged.fake,\n            scored.condition,",
             BY_HAND),
    Mutation("one place between real and fake for the whole batch", "regularizers/input_gradient.py",
             "draw_rows(torch.rand, real.shape[0], *[1] * (real.dim() - 1), device=real.device).to(real)", "draw_rows(torch.rand, 1, *[1] * (real.dim() - 1), device=real.device).to(real)",
             BY_HAND),
    Mutation("path length of pictures grows with their size", "regularizers/path_length.py",
             "to(fake) / math.sqrt(pixels)", "to(fake)",
             BY_HAND),
    Mutation("zCR measures the generator's step", "regularizers/consistency.py",
             "one, other = synthesize(latent), synthesize", "one, other = scored.judged.fake, synthesize",
             BY_HAND),
    Mutation("zCR's generator pulls together", "regularizers/consistency.py",
             "return -self.generator_weight * moved", "return self.generator_weight * moved",
             BY_HAND),
    Mutation("bCR looks at reals twice", "regularizers/consistency.py",
             "self._term(scored, scored.judged.fake)", "self._term(scored, scored.judged.real)",
             BY_HAND),
    Mutation("feature matching sums layers", "regularizers/feature_matching.py",
             "torch.stack(parts).mean()", "torch.stack(parts).sum()",
             BY_HAND),
    Mutation("projection is a mean over features", "discriminators/projection.py",
             "pooled(found.features[-1])).sum(1) * self.scale", "pooled(found.features[-1])).mean(1) * self.scale",
             BY_HAND),
    Mutation("least squares: targets swapped", "losses/least_squares.py",
             "(fake_logits - self.a).square()", "(fake_logits - self.b).square()",
             LOSSES),
    Mutation("least squares: the generator's half", "losses/least_squares.py",
             "0.5 * (fake_logits - self.c)", "(fake_logits - self.c)",
             LOSSES),
    Mutation("relativistic hinge without margin", "losses/relativistic.py",
             "relu(1 - difference)", "relu(-difference)",
             LOSSES),
    Mutation("relativistic average of pairs", "losses/relativistic.py",
             "compare(real_logits - batch_mean(fake_logits))", "compare(real_logits - fake_logits)",
             LOSSES),
    Mutation("f-GAN: the trick inverted", "losses/f_divergence.py",
             "if self.trick else self.conjugate", "if not self.trick else self.conjugate",
             LOSSES),
    Mutation("a mixture prefers the worse critic", "mixture.py",
             "found |= self._mixed(played, self.weights())", "found |= self._mixed(played, 2 * self.weights().detach() - self.weights())",
             "tests/unit/test_mixture.py"),
    Mutation("DiffAugment leaves colours alone", "augments/diffaugment.py",
             "        sample = sample + (brightness - 0.5) / 2\n", "        return sample\n",
             AUGMENTS),
    Mutation("ranks are not compared before a checkpoint", "training/loop.py",
             "check_ranks_agree(state, self.step)", "pass", "tests/training/test_trainer.py -k ranks_that_differ"),
    Mutation("tuning looks at losses alone", "training/tune.py",
             "if networks.precision != \"fp16\":", "if False:", "tests/training/test_tune.py -k wrong_gradients"),
    Mutation("processes that are started again meet under their agent's own count", "process_group.py",
             "attempt(store, here, timeout)", "os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')",
             "tests/training/test_process_group.py -k agents"),
    Mutation("loader processes end before the step that needs them", "data/loader.py",
             "signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(_GRACE))",
             "signal.signal(signal.SIGTERM, signal.SIG_DFL)", "tests/unit/test_stored.py -k outlives_signals"),
    Mutation("validation counts as training in checkpoints", "training/stopwatch.py",
             "(time.monotonic() if self._since is None else self._since)", "time.monotonic()",
             OPTIONS + " -k pace_counts"),
    Mutation("each rank looks at its own weights alone before a checkpoint", "training/loop.py",
             "gathered(first_bad_parameter(self.networks.named()), patient=False)",
             "[first_bad_parameter(self.networks.named())]", "tests/training/test_trainer.py -k another_rank_finds"),
]  # fmt: skip


def survives(mutation: Mutation) -> str | None:
    """Why the mutation was not noticed, or None if a test failed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("advtasks", "plugins", "tests", "pyproject.toml"):
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / part)
        target = copy / "advtasks" / mutation.file
        text = target.read_text()
        if text.count(mutation.old) == 0:
            return f"the text to replace is not in {mutation.file}"
        target.write_text(text.replace(mutation.old, mutation.new))
        files, _, keyword = mutation.tests.partition(" -k ")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *files.split()]
        command += ["-k", keyword.replace("not(", "not ").rstrip(")")] if keyword else []
        environment = {**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'plugins'}"}
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return "every test passed"
        if done.returncode != 1:
            return f"pytest could not run: {done.stdout[-300:]}{done.stderr[-300:]}"
        return None


def main(names: list[str]) -> int:
    """Run the mutations, or those whose name holds one of `names`."""
    chosen = [m for m in MUTATIONS if not names or any(name in m.name for name in names)]
    missed = 0
    for mutation in chosen:
        reason = survives(mutation)
        missed += reason is not None
        print(
            f"{'NOT NOTICED' if reason else 'noticed    '}  {mutation.name}{f': {reason}' if reason else ''}",
            flush=True,
        )
    print(f"{len(chosen) - missed} of {len(chosen)} noticed")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
