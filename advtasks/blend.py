"""Network interpolation (ESRGAN: Wang et al. 2018, section 3.4): a choice between two trainings without another one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from advtasks.bundle import Manifest, load_bundle
from advtasks.errors import BundleError, UsageError

if TYPE_CHECKING:
    from torch import nn

_MUST_EQUAL = ("task", "verb", "generator", "hyper_parameters", "channels", "scale", "value_range")


def blend(first: Path, second: Path, alpha: float) -> tuple[nn.Module, Manifest]:
    """The network with the weights ``(1 - α) θ_first + α θ_second`` (Wang et al. 2018, eq. 4), on the CPU, in
    evaluation mode, and a manifest that says what it is.

    The paper blends a fidelity-oriented network with the adversarial one that started from it; networks that were
    trained apart from each other lie in different valleys, and what is between them is usually useless. α = 0 and 1
    give the two networks themselves, bit for bit.

    The manifest names both files with their sha256, stage and share. Nothing was measured on the blend, so it has no
    metrics; its licence and training data are those of both.

    Args:
        first, second: bundles of the same generator with the same hyper-parameters.
        alpha: share of `second`, 0 to 1.

    Raises:
        UsageError: alpha is not a share.
        BundleError: a file is no bundle, or the two hold different networks; the message says what differs.
    """
    import torch

    if not 0 <= alpha <= 1:
        raise UsageError(f"a blend is a share from 0 (all {first.name}) to 1 (all {second.name}), got {alpha}")
    (network, one), (network_two, other) = load_bundle(first), load_bundle(second)
    _check_alike(first, one, second, other)
    others = network_two.state_dict()
    mixed = {}
    for name, value in network.state_dict().items():
        if alpha == 1 or (alpha > 0.5 and not value.is_floating_point()):  # counters cannot be mixed
            mixed[name] = others[name]
        elif alpha > 0 and value.is_floating_point():
            mixed[name] = torch.lerp(value.double(), others[name].double(), alpha).to(value.dtype)
        else:
            mixed[name] = value
    network.load_state_dict(mixed)
    return network, _manifest(first, one, second, other, alpha)


def _check_alike(first: Path, one: Manifest, second: Path, other: Manifest) -> None:
    """Raises BundleError where the two are different networks."""
    differences = []
    for name in _MUST_EQUAL:
        here, there = getattr(one, name), getattr(other, name)
        if isinstance(here, dict):
            keys = [key for key in {**here, **there} if here.get(key) != there.get(key)]
            differences += [f"{name}.{key}: {here.get(key)!r} and {there.get(key)!r}" for key in keys]
        elif here != there:
            differences.append(f"{name}: {here!r} and {there!r}")
    if differences:
        raise BundleError(
            f"{first} and {second} cannot be blended, they hold different networks ({'; '.join(differences)}). Blend "
            "the stages of one run, for example stages/pixel.safetensors with stages/adversarial.safetensors"
        )


def _manifest(first: Path, one: Manifest, second: Path, other: Manifest, alpha: float) -> Manifest:
    sources = [
        f"{1 - alpha:g} of {first.name} (stage {one.stage or 'not stated'}, sha256 {one.sha256})",
        f"{alpha:g} of {second.name} (stage {other.stage or 'not stated'}, sha256 {other.sha256})",
    ]
    return dataclasses.replace(
        one,
        stage="blend: " + " and ".join(sources),
        steps=max(one.steps, other.steps),
        metrics={},
        protocols={},
        licence=_joined(one.licence, other.licence),
        training_data=_joined(one.training_data, other.training_data),
        precisions=tuple(precision for precision in one.precisions if precision in other.precisions),
        sha256="",
    )


def _joined(one: str, other: str) -> str:
    return one if one == other else "; and ".join(filter(None, (one, other)))
