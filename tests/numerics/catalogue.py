"""Every loss, regularizer and augment of the core with a critic and a batch that fit it: the rows of the suite."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import torch
from torch import Tensor, nn

from advtasks import Adversary, components
from advtasks.discriminators import CriticOutput, Discriminator, MLPAutoencoder
from advtasks.discriminators.conditioning import join
from advtasks.task import Judged, View

LOSSES = sorted(components.provided("losses"))
REGULARIZERS = sorted(components.provided("regularizers"))
AUGMENTS = sorted(components.provided("augments"))

OPTIONS = {
    "info-gan": "info-gan:categories=3",
    "unrolled": "unrolled:steps=2:learning-rate=0.05",
    "top-k": "top-k:least=0.5:decay=0.5:every=1",
    "path-length": "path-length:every=1:decay=1",  # the average is a constant of the term
    "r1-first-order": "r1-first-order:epsilon=0.5",  # a finite difference in float32: its rounding falls with epsilon
    "lecam": "lecam:decay=1",
    "spectral-norm": "spectral-norm:power-iterations=100",
    "spectral-penalty": "spectral-penalty:iterations=100",
    "ada": "ada:p=0.5",
    "apa": "apa:p=0.5",
}
"""What a name needs to have an effect at step 1."""
LABELLED = {"ac-gan", "tac-gan", "adc-gan"}
SIDE = 4


class Smooth(Discriminator):
    """Two tanh layers on flattened samples: derivatives of every order, and a width that no layer shares."""

    def __init__(self, in_channels: int = 3, side: int = SIDE) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.feature_width = 5
        self.one = nn.Linear(in_channels * side**2, 7)
        self.two = nn.Linear(7, 5)
        self.head = nn.Linear(5, 1)

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        first = torch.tanh(self.one(join(picture, condition, self.in_channels).flatten(1)))
        second = torch.tanh(self.two(first))
        return CriticOutput(self.head(second), [first, second])


class Normed(Smooth):
    """With a batch norm for virtual batch norm to replace."""

    def __init__(self, in_channels: int = 3, side: int = SIDE) -> None:
        super().__init__(in_channels, side)
        self.norm = nn.BatchNorm1d(7)

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        first = torch.tanh(self.norm(self.one(join(picture, condition, self.in_channels).flatten(1))))
        second = torch.tanh(self.two(first))
        return CriticOutput(self.head(second), [first, second])


EMBEDDED = {"ma-gp", "gan-int", "contrastive"}
"""Regularizers that want an embedding as condition."""


class Reconstructing(MLPAutoencoder):
    """An autoencoder of flattened pictures."""

    def __init__(self) -> None:
        super().__init__(in_channels=3 * SIDE**2, width=6, code=4, eta=2.0)

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        return super().output(picture.flatten(1) * 2 - 1, None)


def make_adversary(
    loss: str = "non-saturating",
    regularizers: tuple[str, ...] = (),
    augments: tuple[str, ...] = (),
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    **fields: Any,
) -> Adversary:
    """An adversary whose critic fits, with float weights that depend on the seed alone."""
    torch.manual_seed(seed)
    names = {*regularizers}
    view, conditioning, channels = View(), "none", 3
    if names & LABELLED:
        view = View(classes=3)
    elif "matching-aware" in names:
        view, conditioning, channels = View(classes=3), "concat", 6
    elif "contrastive" in names:
        view = View(embedding=2)
    elif names & EMBEDDED:
        view, conditioning, channels = View(embedding=2), "concat", 5
    if components.build("losses", loss).autoencoding:
        critic: nn.Module = Reconstructing()
    elif "virtual-batch-norm" in names:
        critic = Normed(channels)
    else:
        critic = Smooth(channels)
    wanted = [OPTIONS.get(name, name) for name in regularizers]
    if components.build("losses", loss).lipschitz and not bounded(regularizers):
        wanted.append("weight-clipping:limit=100")
    return Adversary(
        critic,
        loss,
        regularizers=wanted,
        augments=[OPTIONS.get(name, name) for name in augments],
        view=view,
        conditioning=fields.pop("conditioning", conditioning),
        **fields,
    ).to(dtype)


def bounded(regularizers: tuple[str, ...]) -> bool:
    return bool({*regularizers} & {"wgan-gp", "wgan-lp", "max-gp", "spectral-norm", "weight-clipping"})


def fits(loss: str, regularizer: str) -> bool:
    """Whether the two make sense together; the refusals have tests of their own."""
    built = components.build("losses", loss)
    if regularizer == "matching-aware":
        return not built.batch_statistics and not built.autoencoding
    if built.autoencoding:
        return regularizer not in {"virtual-batch-norm", *EMBEDDED}
    return True


class Generator(nn.Module):
    """From latents to pictures, smooth."""

    def __init__(self, seed: int = 5) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layer = nn.Linear(6, 3 * SIDE**2)

    def forward(self, latent: Tensor) -> Tensor:
        return torch.sigmoid(self.layer(latent)).unflatten(1, (3, SIDE, SIDE))


def make_judged(
    generator: Generator,
    rows: slice = slice(0, 8),
    condition: Literal["none", "classes", "embedding"] = "none",
    dtype: torch.dtype = torch.float32,
) -> Judged:
    """Rows of a fixed batch of eight, the fakes with the generator's graph."""
    draws = torch.Generator().manual_seed(11)
    real = torch.rand(8, 3, SIDE, SIDE, generator=draws, dtype=torch.float64).to(dtype)[rows]
    latent = torch.randn(8, 6, generator=draws, dtype=torch.float64).to(dtype)[rows]
    embedding = torch.randn(8, 2, generator=draws, dtype=torch.float64).to(dtype)[rows]
    label = torch.tensor([0, 1, 2, 0, 1, 2, 1, 0])[rows]
    given = {"none": None, "classes": label, "embedding": embedding}[condition]
    return Judged(
        real, generator(latent), given, identity=torch.arange(8)[rows], code=label, latent=latent, synthesize=generator,
        synthesize_under=lambda moved: generator(latent + torch.cat((moved, moved, moved), 1)),
    )  # fmt: skip


def condition_of(adversary: Adversary) -> Literal["none", "classes", "embedding"]:
    """What this adversary wants to be given."""
    names = {regularizer.name for regularizer in adversary.regularizers}  # type: ignore[union-attr]
    if names & (LABELLED | {"matching-aware"}):
        return "classes"
    return "embedding" if names & EMBEDDED else "none"


def detached(judged: Judged) -> Judged:
    return dataclasses.replace(judged, fake=judged.fake.detach())
