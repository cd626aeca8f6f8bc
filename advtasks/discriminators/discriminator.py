"""The shape of a critic that shows what it sees."""

from __future__ import annotations

import abc
from dataclasses import dataclass

from torch import Tensor, nn

from advtasks.layers import MinibatchDiscrimination, MinibatchStandardDeviation, VirtualBatchNorm
from advtasks.wide import at_least_float32


@dataclass(frozen=True)
class CriticOutput:
    """What a critic computed in one pass."""

    logits: Tensor
    """Any shape that starts with N; larger means more real."""
    features: list[Tensor]
    """Activations, shallow to deep, each (N, C_i, ...). Empty for critics that show none."""


class Discriminator(nn.Module, abc.ABC):
    """A critic with features. Plain modules that give logits are critics, too, for whatever needs no features."""

    feature_width: int
    """Channels of the deepest features; heads such as AC-GAN's are made for it."""

    autoencoding: bool = False
    """Whether its logits are minus the energies of an autoencoder (``began``, ``ebgan``)."""
    lipschitz: bool = False
    """Whether it is bounded by construction, as ``wasserstein`` needs."""

    @property
    def receptive_field(self) -> int | None:
        """Side of the square of pixels that one logit sees; None where it sees all, or is not known."""
        return None

    @abc.abstractmethod
    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """Logits and features in one pass, for pictures (N, C, H, W) in [0, 1]."""

    def rejudge(self, seen: CriticOutput, condition: Tensor) -> Tensor | None:
        """The logits that the samples of `seen` get under another condition, out of its features, for critics that a
        condition joins late; None for those that must look again."""
        return None

    def forward(self, picture: Tensor, condition: Tensor | None = None) -> Tensor:
        """The logits alone."""
        return self.output(picture, condition).logits


def criticize(critic: nn.Module, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
    """One pass through any critic; logits are float32 (float64 stays)."""
    if isinstance(critic, Discriminator):
        output = critic.output(picture, condition)
    else:
        output = CriticOutput(critic(picture) if condition is None else critic(picture, condition), [])
    return CriticOutput(at_least_float32(output.logits), output.features)


def criticize_again(critic: nn.Module, picture: Tensor, seen: CriticOutput, condition: Tensor) -> Tensor:
    """The logits of `picture`, of which the critic said `seen`, under another condition; float32 (float64 stays)."""
    if isinstance(critic, Discriminator) and (found := critic.rejudge(seen, condition)) is not None:
        return at_least_float32(found)
    return criticize(critic, picture, condition).logits


_MIXING = (nn.modules.batchnorm._BatchNorm, MinibatchStandardDeviation, MinibatchDiscrimination, VirtualBatchNorm)


def judges_alone(critic: nn.Module) -> bool:
    """Whether the critic is known to judge each sample by itself, so that real and fake may share a pass: it is made of
    torch's layers and our own, and none mixes the samples of a batch. Of other modules nothing is known, unless they
    say so by an attribute ``judges_alone = True``."""
    for module in critic.modules():
        known = type(module).__module__.startswith(("torch.nn.", "advtasks."))
        if isinstance(module, _MIXING) or not getattr(module, "judges_alone", known):
            return False
    return True


def pooled(features: Tensor) -> Tensor:
    """Mean over all places: (N, C) from (N, C, ...)."""
    return features.flatten(2).mean(2) if features.dim() > 2 else features
