"""Which parts of an adversary make no sense together, and why. Looked at once, when an adversary is made."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.nn.utils.parametrizations import _SpectralNorm

from advtasks.augments import Augment
from advtasks.discriminators import Discriminator
from advtasks.distributed import require_group
from advtasks.errors import UsageError
from advtasks.losses import AdversarialLoss
from advtasks.regularizers import (
    ConditionInterpolation,
    Contrastive,
    Information,
    MatchingAware,
    MatchingAwarePenalty,
    Regularizer,
)
from advtasks.regularizers.auxiliary_classifier import ClassHead
from advtasks.task import View

_BATCH_NORM = nn.modules.batchnorm._BatchNorm
"""Of any dimension, and over processes."""


def check_combination(
    critic: nn.Module,
    loss: AdversarialLoss,
    regularizers: Sequence[Regularizer],
    augments: Sequence[Augment],
    conditioning: str,
    view: View,
    pack: int,
) -> None:
    """Refuse what makes no sense.

    Raises:
        UsageError: with the reason and the way out.
    """
    names: list[str] = [item.name for item in regularizers] + [item.name for item in augments]
    if len(set(names)) != len(names):
        raise UsageError(f"regularizers and augments are named twice: {', '.join(names)}")
    what = type(loss).__name__
    for name in [what] * loss.batch_statistics + [item.name for item in regularizers if item.batch_statistics]:
        require_group(name)
    if loss.autoencoding and not getattr(critic, "autoencoding", False):
        raise UsageError(
            f"{what} reads energies of an autoencoding critic: choose the discriminator autoencoder (mlp-autoencoder "
            f"for points) instead of {type(critic).__name__}"
        )
    if loss.lipschitz and not _is_bounded(critic, regularizers):
        raise UsageError(
            f"{what} has no bound for a free critic: add one of the regularizers wgan-gp, wgan-lp, max-gp, "
            "spectral-norm, weight-clipping"
        )
    for regularizer in regularizers:
        _check_regularizer(regularizer, critic, conditioning, view)
        if isinstance(regularizer, MatchingAware) and loss.batch_statistics:
            raise UsageError(
                f"matching-aware leaves out rows without a wrong partner, and {what} compares with a mean over the "
                "batch; use a paired or plain loss"
            )
    for augment in augments:
        if augment.uses_threshold and loss.threshold is None:
            raise UsageError(
                f"{augment.name} counts how many real samples the critic calls real, and the logits of {what} have no "
                f"such boundary: use a fixed probability, {augment.name}:p=0.2:target=none"
            )
    if pack > 1:
        _check_packing(regularizers, conditioning, view)
    moved = "augments" if augments else "packing" if pack > 1 else None
    if moved and "zcr" in names:
        raise UsageError(f"zcr compares fakes as they are generated, and {moved} would change one of each pair only")


def _check_regularizer(regularizer: Regularizer, critic: nn.Module, conditioning: str, view: View) -> None:
    name = regularizer.name
    if regularizer.per_sample and any(isinstance(module, _BATCH_NORM) for module in critic.modules()):
        raise UsageError(
            f"{name} measures the critic's gradient for each sample by itself, and batch norm in "
            f"{type(critic).__name__} mixes the samples of a batch: use a critic with norm=instance or norm=none, or "
            "the regularizer virtual-batch-norm"
        )
    told = conditioning == "concat" and bool(view.classes)
    if isinstance(regularizer, (ClassHead, Information)) and told:
        raise UsageError(
            f"{name} lets the critic guess the class or code, and with conditioning concat it is told: use "
            "conditioning none or projection"
        )
    early = isinstance(critic, Discriminator) and type(critic).rejudge is Discriminator.rejudge
    if isinstance(regularizer, Contrastive) and conditioning == "concat" and view.embedding and early:
        raise UsageError(
            f"{name} compares the critic's features with texts, and those of {type(critic).__name__} are made of "
            "pictures and texts: use conditioning none or projection, or the critic text"
        )
    if isinstance(regularizer, (MatchingAware, MatchingAwarePenalty)) and (
        conditioning == "none" or not (view.classes or view.embedding)
    ):
        raise UsageError(
            f"{name} needs a critic that is given a class or an embedding as condition: a task that shows one, and "
            "conditioning concat or projection"
        )


def _check_packing(regularizers: Sequence[Regularizer], conditioning: str, view: View) -> None:
    if (view.classes and conditioning != "none") or conditioning == "projection":
        raise UsageError("pack: samples of different conditions cannot share one; use conditioning none")
    for regularizer in regularizers:
        if isinstance(regularizer, (ClassHead, Information, MatchingAware, Contrastive, ConditionInterpolation)):
            raise UsageError(f"{regularizer.name} reads each sample by itself, and pack joins several; use one of both")


def _is_bounded(critic: nn.Module, regularizers: Sequence[Regularizer]) -> bool:
    if any(regularizer.bounds_critic for regularizer in regularizers) or getattr(critic, "lipschitz", False):
        return True
    return any(isinstance(module, _SpectralNorm) for module in critic.modules())
