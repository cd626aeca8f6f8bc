"""The main job on a GPU: pytest -m gpu."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from advtasks.devices import settle_on

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device, or not asked for: pytest -m gpu"),
    # what torch says of itself once in a process
    pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype"),
    pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores"),
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
    pytest.mark.filterwarnings("ignore:Please use the new API settings to control TF32"),
]


@contextlib.contextmanager
def never_waiting() -> Iterator[None]:
    """An error wherever the host waits for the GPU."""
    torch.cuda.synchronize()
    try:
        torch.cuda.set_sync_debug_mode("error")
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_train_and_upscale_on_a_gpu(
    advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...], precision: str
) -> None:
    flags = [*tiny, "--device", "cuda", "--precision", precision, "--steps", "12"]
    code, _, err = advtasks("train", "sr", "--data", photos, "--out", tmp_path / "run", *flags)
    assert code == 0, err
    code, _, err = advtasks(
        "upscale", photos, "-o", tmp_path / "out", "--model", tmp_path / "run", "--device", "cuda", "--tile", "16"
    )
    assert code == 0, err
    assert len(list((tmp_path / "out").rglob("*_x4.png"))) == 6


def test_tiles_on_a_gpu_equal_the_whole_picture(tmp_path: Path) -> None:
    from advtasks_sr.generators import SRResNet

    from advtasks.inference.tiling import run_tiled

    settle_on(torch.device("cuda"))
    network = SRResNet(4, 8, 1).cuda()
    picture = torch.rand(1, 3, 40, 50)
    with torch.inference_mode():
        whole = network(picture.cuda()).cpu()
        tiled = run_tiled(lambda t: network(t.cuda()), picture, scale=4, radius=network.receptive_radius, tile=16)
    torch.testing.assert_close(tiled, whole, rtol=1e-3, atol=1e-4)


def test_a_deep_network_looks_as_far_on_a_gpu_as_on_the_cpu() -> None:
    from advtasks_sr.generators import RRDBNet

    from advtasks.inference.reach import effective_radius

    settle_on(torch.device("cuda"))
    network = RRDBNet(4, 16, 6, growth=8).eval()
    wanted = effective_radius(network, 4)
    assert wanted is not None
    assert wanted < network.receptive_radius
    assert effective_radius(network.cuda(), 4) == wanted


def test_spectral_norm_is_in_full_precision_under_autocast() -> None:
    from advtasks.layers.spectral import spectral_norm

    torch.manual_seed(0)
    layer = spectral_norm(torch.nn.Conv2d(16, 16, 3, bias=False)).cuda()
    half = copy.deepcopy(layer)
    whole = layer.weight
    with torch.autocast("cuda", torch.float16):
        found = half.weight
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, whole, rtol=1e-6, atol=1e-7)
    states = zip(layer.state_dict().values(), half.state_dict().values(), strict=True)
    assert all(torch.allclose(one, other, rtol=1e-6) for one, other in states)


REGULARIZERS = ["r1", "r2", "wgan-gp", "zero-gp", "dragan", "r1-first-order", "lecam", "cr", "bcr", "orthogonal",
                "spectral-norm", "spectral-penalty", "historical-averaging", "feature-matching", "top-k:least=0.5:decay=0.5:every=1"]  # fmt: skip


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_a_step_never_waits_for_the_gpu(regularizer: str) -> None:
    from advtasks import Adversary, Judged, PatchDiscriminator

    critic = PatchDiscriminator(3, features=8, layers=1, norm="none")
    augments = ["diffaugment", "ada:p=0.5", "instance-noise"]
    adversary = Adversary(critic, "non-saturating", regularizers=[regularizer], augments=augments).cuda()
    phases = adversary.phases()
    real, fake = (torch.rand(4, 3, 32, 32, device="cuda") for _ in range(2))
    for step in range(4):
        # the first steps may allocate and choose kernels; the last one moves ADA's p
        with never_waiting() if step >= 2 else contextlib.nullcontext():
            for phase in phases:
                phase.run((Judged(real, fake), step))
            leaf = fake.clone().requires_grad_(True)
            terms = adversary.generator_terms(Judged(real, leaf), step)
            sum(term.value * term.weight for term in terms.values()).backward()


@pytest.mark.parametrize("loss", ["relativistic-average", "f-jeffrey", "hinge"])
def test_terms_on_a_gpu_equal_those_on_the_cpu(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from advtasks import Adversary, Judged, PatchDiscriminator

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    torch.manual_seed(0)
    adversary = Adversary(PatchDiscriminator(3, features=8, layers=1, norm="none"), loss, regularizers=["r1", "r2"])
    judged = Judged(torch.rand(4, 3, 32, 32), torch.rand(4, 3, 32, 32))
    expected = adversary.discriminator_terms(judged)
    found = adversary.cuda().discriminator_terms(Judged(judged.real.cuda(), judged.fake.cuda()))
    for name, term in expected.items():
        if name.startswith("accuracy/"):  # a logit on the boundary may fall on either side
            continue
        torch.testing.assert_close(found[name].value.cpu(), term.value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_training_step_never_waits_for_the_gpu(precision: str) -> None:
    import dataclasses

    from advtasks_sr.presets import QUICK
    from advtasks_sr.task import SuperResolution

    from advtasks.training.adversaries import make_adversaries
    from advtasks.training.clock import Clock
    from advtasks.training.meters import Meters
    from advtasks.training.networks import Networks
    from advtasks.training.step import Step

    config = dataclasses.replace(QUICK, device="cuda", precision=precision, batch=4)
    task = SuperResolution(config)
    networks = Networks(task, config, make_adversaries(task, config))
    step = Step(networks, config, config.stages[1], Meters(), Clock(networks.device))
    low = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8).pin_memory()
    high = torch.randint(0, 256, (4, 128, 128, 3), dtype=torch.uint8).pin_memory()
    for number in range(4):
        with never_waiting() if number >= 2 else contextlib.nullcontext():  # the first steps choose kernels
            step.run({"low": low, "high": high}, number, number)


FLAGS = {
    "accumulated": ("--accumulate", "2"),
    "simultaneous": ("--adversary.updates", "simultaneous"),
    "fp16": ("--precision", "fp16", "--adversary.discriminator", "resnet:blocks=1:width=4:minibatch=stddev"),
    "other layouts": ("--no-channels-last", "--optimizer", "sgd:momentum=0.9", "--precision", "fp16"),
    "compiled": ("--compile",),
    "first GPU": ("--device", "cuda:0"),
}


@pytest.mark.parametrize("name", FLAGS)
def test_options_of_the_trainer_on_a_gpu(
    name: str, advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...]
) -> None:
    flags = ("--device", "cuda", "--steps", "12", "--checkpoint-every", "5", *FLAGS[name])
    code, _, err = advtasks("train", "sr", "--data", photos, "--out", tmp_path / "run", *tiny, *flags)
    assert code == 0, err


def test_a_stopped_run_goes_on_on_a_gpu(advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...]) -> None:
    """The bundle is lost and the newest checkpoint, too; the memory layout changes on the way."""
    run = tmp_path / "run"
    flags = (*tiny, "--device", "cuda", "--steps", "12", "--checkpoint-every", "5")
    assert advtasks("train", "sr", "--data", photos, "--out", run, *flags)[0] == 0
    (run / "bundle.safetensors").unlink()
    newest = max((run / "checkpoints").glob("step-*.pt"))
    newest.write_bytes(b"")
    text = (run / "run.yaml").read_text()
    (run / "run.yaml").write_text(text.replace("\nchannels_last: true", "\nchannels_last: false"))
    code, _, err = advtasks("train", "--resume", run)
    assert code == 0, err
    assert "channels_last was True and is False from here on" in err


def test_tuning_on_a_gpu(advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...]) -> None:
    flags = [flag for flag in tiny if flag not in ("--device", "cpu", "--precision", "fp32")]
    code, _, err = advtasks(
        "train", "sr", "--data", photos, "--out", tmp_path / "run", *flags, "--steps", "6", "--tune"
    )
    assert code == 0, err
    assert "chosen: " in err


@pytest.mark.parametrize("name", ["realesrgan", "photo", "blur"])
def test_degradations_on_a_gpu_are_those_of_the_processor(name: str) -> None:
    """But for a level here and there, where the last bit decides a rounding, and what JPEG makes of it."""
    from advtasks_sr.degradations import degrade, load_recipe
    from advtasks_sr.sharpen import sharpened

    from advtasks.draws import SeededDraws

    recipe = load_recipe(name)
    assert recipe is not None
    coarse = torch.rand(8, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    pictures = torch.nn.functional.interpolate(coarse, size=(192, 192), mode="bicubic").clamp(0, 1)
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        there = degrade(sharpened(pictures.cuda()), recipe, 4, SeededDraws(0)).cpu()
    finally:
        torch.backends.cudnn.allow_tf32 = allowed
    here = degrade(sharpened(pictures), recipe, 4, SeededDraws(0))
    assert (there - here).abs().mean() * 255 < 0.5


def test_degraded_training_on_a_gpu(advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...]) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "margin: 1\npasses: [{blur: {sinc: 0.3}, noise: {}, jpeg: {}}]\nfinal: {sinc: 0.5, jpeg_last: 0.5}\n"
    )
    flags = [*tiny, "--device", "cuda", "--steps", "4", "--degradation", recipe, "--sharpen-target"]
    code, _, err = advtasks("train", "sr", "--data", photos, "--out", tmp_path / "run", *flags)
    assert code == 0, err


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_upscaling_on_a_gpu_is_upscaling(precision: str) -> None:
    from advtasks_sr.generators import Compact

    from advtasks.bundle import Manifest
    from advtasks.inference.engine import ImageModel

    torch.manual_seed(0)
    network = Compact(2, 16, 4)
    known = Manifest(
        task="", verb="upscale", plugin="", plugin_version="", advtasks_version="", generator="", hyper_parameters={},
        channels=3, scale=2, receptive_radius=network.receptive_radius, multiple_of=1,
    )  # fmt: skip
    picture = torch.rand(1, 3, 90, 70)
    expected = ImageModel(copy.deepcopy(network), known)(picture)
    found = ImageModel(network, known, "cuda", 32, precision=precision)(picture)
    assert found.device.type == "cpu"
    assert (found - expected).abs().max() < (1e-3 if precision == "fp32" else 2e-2)
