"""Text-conditioned synthesis as a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from advtasks import components
from advtasks.bundle import find_bundle, read_manifest
from advtasks.config import RunConfig
from advtasks.data.cache import PictureCache
from advtasks.distributed import draw_rows
from advtasks.errors import DataError, UsageError
from advtasks.task import Batch, Evaluated, Judged, Splits, Task, Term, Terms, View
from advtasks_text2image.config import TextConfig
from advtasks_text2image.data import load, pixels_of
from advtasks_text2image.encoders import TextEncoder
from advtasks_text2image.generators import TextGenerator, noise_of
from advtasks_text2image.generators.text_generator import Synthesized
from advtasks_text2image.measure import Measure
from advtasks_text2image.sheet import sheet
from advtasks_text2image.splits import Held, by_content, by_own_splits, find, make_splits

KL = "conditioning-kl"
_SHOWN = 16


class TextToImage(Task):
    """From a caption's embedding and noise to a picture. It has no objective of its own but the divergence of
    conditioning augmentation."""

    latent: ClassVar[str | None] = "noise"
    embedding: ClassVar[str | None] = "embedding"
    picture_names: ClassVar[tuple[str, ...]] = ("output", "nearest training pictures", "real")
    term_names: ClassVar[frozenset[str]] = frozenset({KL})
    baseline: ClassVar[str | None] = "real pictures"

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        assert isinstance(config, TextConfig), "the plugin's own configuration"
        self.options = config
        self.encoder: TextEncoder = components.build("text_encoders", config.encoder)
        self.learns = self.encoder.reader is not None
        self.attends = bool(components.parse(config.generator).options.get("attention", "0").strip("0"))
        if self.learns and config.initial_weights is not None:
            raise UsageError(
                f"initial_weights: the encoder {config.encoder} learns from each data set anew, and another run's "
                "generator does not know its embeddings; take an encoder that is the same everywhere"
            )
        check_encoder(self.encoder, config.encoder_hash, "the configuration")
        if config.initial_weights is not None and config.initial_weights.exists():
            theirs = read_manifest(find_bundle(config.initial_weights)).task_options
            check_encoder(self.encoder, str(theirs.get("encoder_hash", "")), str(config.initial_weights))
        self.measure = Measure(components.build("features", config.metric_network))
        self.metrics = self.measure.metrics()  # type: ignore[misc]
        self._divergences: list[Tensor] = []
        self._augment = 0

    def _hyper_parameters(self) -> dict[str, Any]:
        return {
            "embedding": self.encoder.width,
            "latent": self.options.latent,
            "size": self.options.size,
            "states": self.encoder.state_width,
            "reader": self.options.encoder if self.learns else "",
        }

    def generator(self) -> nn.Module:
        """The network that ``--generator`` names.

        Raises:
            UsageError: stages weigh the divergence of an augmentation that it does not have.
        """
        network: TextGenerator = components.build("generators", self.options.generator, **self._hyper_parameters())
        if not network.augment and any(stage.weights.get(KL) for stage in self.options.stages):
            raise UsageError(
                f"{KL} has a weight, and {self.options.generator} has no conditioning augmentation: write "
                f"{components.parse(self.options.generator).name}:augment=128"
            )
        self._augment = network.augment
        if network.reader is not None and self.encoder.reader is not None:
            network.reader.load_state_dict(self.encoder.reader.state_dict())
        return network

    def splits(self, cache: PictureCache) -> Splits:
        """Captioned pictures, and what validation measures against."""
        return make_splits(self.options, self.encoder, cache, self.attends)

    def examples(self, folder: Path, cache: PictureCache) -> tuple[Sequence[Any], Sequence[str]]:
        """The captioned pictures of a folder, as one example; those for validation where it divides them."""
        found, notes = find(folder, self.options)
        _, chosen = by_own_splits(found.items, folder, notes) or ((), found.items)
        items = by_content(load(chosen, self.options, cache, notes))
        if not items:
            raise DataError("\n  ".join([f"{folder}: no picture can be measured", *notes]))
        return [Held(folder.name, tuple(items), tuple(items))], notes

    def prepare(self, batch: Batch) -> Batch:
        """Pictures to [0, 1]; noise, the augmentation's noise, and captions left out, drawn for the step."""
        self._divergences.clear()
        real, embedding = batch["real"].float() / 255, batch["embedding"]
        rows, device = len(real), real.device
        if self.options.caption_dropout:
            kept = draw_rows(torch.rand, rows, 1, device=device) >= self.options.caption_dropout
            embedding = embedding * kept
            if self.attends:
                batch = {**batch, "words": batch["words"] * kept[..., None]}
        noise = draw_rows(torch.randn, rows, self.options.latent, device=device)
        prepared = {**batch, "real": real, "embedding": embedding, "noise": noise}
        if self._augment:
            prepared["shake"] = draw_rows(torch.randn, rows, self._augment, device=device)
        return prepared

    def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
        """Pictures (N, 3, S, S)."""
        given = (batch["noise"], batch["embedding"], batch.get("words"))
        if not self._augment:
            pictures: Tensor = generator(*given)
            return pictures.float()
        found: Synthesized = generator(*given, batch["shake"])
        if found.divergence is not None and torch.is_grad_enabled():
            self._divergences.append(found.divergence.float())
        return found.pictures.float()

    def objective(self, batch: Batch, output: Tensor, weights: Mapping[str, float]) -> Terms:
        """The divergence of the augmentation from the standard normal (StackGAN), if it has a weight. It is that of the
        outputs at hand: :meth:`generate` leaves it."""
        weight = weights.get(KL, 0.0)
        if not weight:
            return {}
        divergence = torch.cat(self._divergences).mean()
        self._divergences.clear()
        return {KL: Term(divergence, weight)}

    def views(self) -> dict[str, View]:
        """Picture and text."""
        return {"image": View(channels=3, embedding=self.encoder.width)}

    def judged(self, batch: Batch, output: Tensor) -> dict[str, Judged]:
        """Pictures with the embedding they belong to, and which picture each real one is: captions of one picture are
        never called wrong for it."""
        return {"image": Judged(batch["real"], output, batch["embedding"], identity=batch["identity"])}

    @torch.inference_mode()
    def evaluate(self, generator: nn.Module | None, example: Held) -> Evaluated:
        """Generate a picture for each held-out caption; for None measure the real pictures themselves."""
        items = example.validation[: self.options.metric_pictures]
        captions = [item.captions[0] for item in items]
        reader = None if generator is None else _plain(generator).reader
        if reader is not None and self.encoder.reader is not None:
            self.encoder.reader.load_state_dict(reader.state_dict())
        embeddings = self.encoder.encode(captions).sentences
        real = pixels_of(items)
        pictures = real if generator is None else self._drawn(generator, captions, embeddings)
        self.measure.fit(example.train, self.encoder)
        found = self.measure(pictures, embeddings, real, is_real=generator is None)
        shown, labels = pictures[:_SHOWN], captions[:_SHOWN]
        nearest = self.measure.nearest(shown)
        sheets = (
            sheet(shown, labels if generator is None else [f"seed {seed}: {text}" for seed, text in enumerate(labels)]),
            sheet(pixels_of(nearest), [item.captions[0] for item in nearest]),
            sheet(real[:_SHOWN], labels),
        )
        return Evaluated(found, dict(zip(self.picture_names, sheets, strict=True)))

    def _drawn(self, generator: nn.Module, captions: Sequence[str], embeddings: Tensor) -> Tensor:
        """The picture of seed i for the i-th caption, as ``advtasks generate`` makes it."""
        noise = noise_of(range(len(embeddings)), self.options.latent)
        place = next(generator.parameters())
        attends = _plain(generator).attends
        given = [noise, embeddings, *([self.encoder.states(captions, self.options.words)] if attends else [])]
        parts = zip(*(rows.to(place.device).split(64) for rows in given), strict=True)
        found = torch.cat([generator(*part).float() for part in parts])
        return (found.clamp(0, 1) * 255).round().cpu() / 255

    def manifest(self) -> dict[str, Any]:
        """What ``advtasks generate`` needs."""
        options = self.options
        name = components.parse(options.generator).name
        folder = options.data.name if options.data else "?"
        return {
            "verb": "generate",
            "generator": name,
            "hyper_parameters": components.arguments("generators", options.generator, **self._hyper_parameters()),
            "task_options": {
                "encoder": options.encoder,
                "encoder_hash": "" if self.learns else self.encoder.fingerprint,
                "words": options.words,
                "captions": options.captions,
                "size": options.size,
                "latent": options.latent,
                "caption_dropout": options.caption_dropout,
                "metric_network": options.metric_network,
                "metric_pictures": options.metric_pictures,
            },
            "channels": self.encoder.width,
            "out_channels": 3,
            "scale": 1,
            "receptive_radius": None,
            "multiple_of": 1,
            "training_data": f"captioned pictures of the folder {folder}; their terms apply",
        }


def check_encoder(encoder: TextEncoder, wanted: str, what: str) -> None:
    """Nothing.

    Raises:
        UsageError: it is another one than was trained with.
    """
    if wanted and encoder.fingerprint != wanted:
        raise UsageError(
            f"the text encoder {encoder.name} here has the hash {encoder.fingerprint}, and {what} was made with "
            f"{wanted}: install the version that was there, or give --encoder the folder of that model"
        )


def _plain(generator: nn.Module) -> TextGenerator:
    """Without what compiling put around it."""
    network: Any = getattr(generator, "_orig_mod", generator)
    return cast(TextGenerator, network)
