"""Pictures of texts from a bundle, in Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from advtasks import components
from advtasks.bundle import Manifest, find_bundle, load_bundle
from advtasks.devices import use_device
from advtasks.errors import UsageError
from advtasks_text2image.encoders import TextEncoder
from advtasks_text2image.generators import TextGenerator, noise_of
from advtasks_text2image.task import check_encoder

_BATCH = 64
End = tuple[str, int]
"""A text and a seed."""


class Sampler:
    """A generator with its text encoder.

        sampler = Sampler.load("runs/RUN")
        pictures = sampler("a red apple", seeds=range(8))  # (8, 3, S, S) in [0, 1]

    Args:
        network: of a bundle.
        encoder: that it was trained with.
        manifest: of the bundle.
    """

    def __init__(self, network: TextGenerator, encoder: TextEncoder, manifest: Manifest, device: str = "auto") -> None:
        self.device = use_device(device)
        self.network, self.encoder, self.manifest = network.to(self.device).eval(), encoder, manifest
        if encoder.reader is not None and network.reader is not None:  # it was learnt with the generator
            encoder.reader.load_state_dict(network.reader.state_dict())
        self.words = int(manifest.task_options.get("words", 1)) if network.attends else 0
        self.knows_no_text = bool(manifest.task_options.get("caption_dropout"))

    @classmethod
    def load(cls, model: Path | str, device: str = "auto", encoder: str | None = None) -> Sampler:
        """From a run folder or a bundle.

        Args:
            encoder: its description, where the model's own is elsewhere here.

        Raises:
            advtasks.errors.BundleError: no bundle, or a damaged one.
            UsageError: it is for another command, or its text encoder is not here or another one, or it carries its own
                and is given one.
        """
        network, manifest = load_bundle(find_bundle(Path(model)))
        if manifest.verb != "generate":
            raise UsageError(f"{model} was trained for {manifest.task}: use advtasks {manifest.verb}")
        wanted = str(manifest.task_options["encoder"])
        if encoder not in (None, wanted) and network.reader is not None:
            raise UsageError(f"{model} carries its own text encoder, which learnt with it: leave --encoder out")
        try:
            found = components.build("text_encoders", encoder or wanted)
        except UsageError as error:
            elsewhere = " (--encoder says where it lies now)" if encoder is None else ""
            raise UsageError(f"{model} reads texts with {wanted!r}, which is not here{elsewhere}: {error}") from None
        check_encoder(found, str(manifest.task_options["encoder_hash"]), str(model))
        return cls(network, found, manifest, device)  # type: ignore[arg-type]

    def unknown(self, texts: Sequence[str]) -> list[str]:
        """Texts without a word that the encoder knows."""
        found = self.encoder.encode(texts).sentences
        return [text for text, row in zip(texts, found, strict=True) if not row.any()]

    def cut(self, text: str) -> int:
        """Tokens of a text beyond what the encoder takes."""
        return self.encoder.encode([text]).cut[0]

    def __call__(
        self, text: str, seeds: Sequence[int] = (0,), truncation: float = 1.0, guidance: float = 1.0
    ) -> Tensor:
        """Pictures (len(seeds), 3, S, S) in [0, 1] of one text, on the CPU.

        Args:
            truncation: scales the noise (BigGAN: Brock et al. 2019, section 3.1, cuts it off instead).
            guidance: scales the embedding, whose zero is no text, and the words that are attended to.
        """
        embedding = self.encoder.encode([text]).sentences * guidance
        words = self._states([text], guidance).expand(len(seeds), -1, -1) if self.words else None
        return self._drawn(noise_of(seeds, self.network.latent) * truncation, embedding.expand(len(seeds), -1), words)

    def between(self, first: End, last: End, steps: int, truncation: float = 1.0, guidance: float = 1.0) -> Tensor:
        """(steps, 3, S, S) on the straight way from one text and seed to another; noise goes along a circle, so that
        it stays as far from its mean."""
        embeddings = self.encoder.encode([first[0], last[0]]).sentences * guidance
        noise = noise_of([first[1], last[1]], self.network.latent) * truncation
        share = torch.linspace(0, 1, steps)[:, None]
        angle = share * torch.pi / 2
        way = noise[:1] * angle.cos() + noise[1:] * angle.sin() if first[1] != last[1] else noise[:1].expand(steps, -1)
        words = None
        if self.words:
            states = self._states([first[0], last[0]], guidance)
            words = torch.lerp(states[:1], states[1:], share[..., None])
        return self._drawn(way, torch.lerp(embeddings[:1], embeddings[1:], share), words)

    def _states(self, texts: Sequence[str], guidance: float) -> Tensor:
        return self.encoder.states(texts, self.words) * guidance

    @torch.inference_mode()
    def _drawn(self, noise: Tensor, embeddings: Tensor, words: Tensor | None = None) -> Tensor:
        given = [noise, embeddings, *([] if words is None else [words])]
        parts = zip(*(rows.to(self.device).split(_BATCH) for rows in given), strict=True)
        drawn = [self.network(*part).float().clamp(0, 1).cpu() for part in parts]
        return torch.cat(drawn)
