"""What each regularizer costs beyond its mathematics; what lazy intervals, compilation, EMA and optimiser forms bring.

Usage: python benchmarks/regularized_step.py [OUT.json]

Critic steps through ``Adversary`` against the same steps written by hand in plain PyTorch, alternately in one process,
on the same weights and data; the median of the ratios of neighbouring pairs counts. Run it on an idle machine.
"""

from __future__ import annotations

import copy
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from advtasks import Adversary, Judged, PatchDiscriminator
from advtasks.optimizers import make_optimizer
from advtasks.regularizers import apply_spectral_norm
from advtasks.training.ema import MovingAverage

BATCH, SIDE, REPEATS = 16, 64, 15
Step = Callable[[], object]


def critic() -> PatchDiscriminator:
    """A patch critic without norm, 0.69 M parameters."""
    torch.manual_seed(0)
    return PatchDiscriminator(3, features=32, layers=3, norm="none")


def gradient(model: nn.Module, sample: Tensor) -> Tensor:
    """By hand: the gradient of each sample's mean logit."""
    leaf = sample.requires_grad_(True)
    return torch.autograd.grad(model(leaf).flatten(1).mean(1).sum(), leaf, create_graph=True)[0].flatten(1)


def blend(real: Tensor, fake: Tensor) -> Tensor:
    """By hand: random places between real and fake."""
    share = torch.rand(len(real), 1, 1, 1)
    return share * real + (1 - share) * fake


def matrices(model: nn.Module) -> list[Tensor]:
    """By hand: weights as matrices."""
    return [p.flatten(1) for p in model.parameters() if p.dim() > 1]


def gram_penalty(model: nn.Module) -> Tensor:
    """By hand: rows at right angles."""
    return sum(((m @ m.T) * (1 - torch.eye(len(m)))).square().sum() for m in matrices(model))  # type: ignore[return-value]


PENALTIES: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {
    "r1": lambda c, r, f: 5 * gradient(c, r.clone()).square().sum(1).mean(),
    "r2": lambda c, r, f: 5 * gradient(c, f.clone()).square().sum(1).mean(),
    "zero-gp": lambda c, r, f: 10 * gradient(c, blend(r, f)).square().sum(1).mean(),
    "wgan-gp": lambda c, r, f: 10 * (gradient(c, blend(r, f)).norm(dim=1) - 1).square().mean(),
    "wgan-lp": lambda c, r, f: 10 * (gradient(c, blend(r, f)).norm(dim=1) - 1).relu().square().mean(),
    "max-gp": lambda c, r, f: gradient(c, blend(r, f)).square().sum(1).max(),
    "dragan": lambda c, r, f: 10 * (gradient(c, r + 0.1 * torch.randn_like(r)).norm(dim=1) - 1).square().mean(),
    "r1-first-order": lambda c, r, f: (
        5 * ((c(r + 0.01 * torch.randn_like(r)) - c(r)).flatten(1).mean(1) / 0.01).square().mean()
    ),
    "orthogonal": lambda c, r, f: 1e-4 * gram_penalty(c),
}


def by_hand(model: nn.Module, real: Tensor, fake: Tensor, penalty: str | None) -> Step:
    """A whole critic step in plain PyTorch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4, betas=(0.0, 0.99), fused=True)

    def step() -> None:
        loss = softplus(-model(real)).mean() + softplus(model(fake)).mean()
        if penalty in PENALTIES:
            loss = loss + PENALTIES[penalty](model, real, fake)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def ours(model: nn.Module, real: Tensor, fake: Tensor, names: list[str], **fields: Any) -> Step:
    """The same step through the phases of an adversary, as the trainer runs them."""
    adversary = Adversary(model, "non-saturating", regularizers=names, **fields)
    phases = adversary.phases()
    judged, count = Judged(real, fake), 0

    def step() -> None:
        nonlocal count
        for phase in phases:
            if phase.due(count):
                phase.run((judged, count))
        count += 1

    return step


def seconds(step: Step, repeat: int = 1) -> float:
    """Wall-clock time of one step."""
    started = time.perf_counter()
    for _ in range(repeat):
        step()
    return (time.perf_counter() - started) / repeat


def compare(first: Step, second: Step, repeat: int = 1, repeats: int = REPEATS) -> tuple[float, float, float]:
    """Median milliseconds of both, and the median ratio second / first of neighbouring pairs."""
    for step in (first, second):
        seconds(step, max(repeat, 2))
    pairs = []
    for number in range(repeats):  # who comes first alternates
        order = (first, second) if number % 2 else (second, first)
        times = {id(step): seconds(step, repeat) for step in order}
        pairs.append((times[id(first)], times[id(second)]))
    one, other = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
    return round(one, 2), round(other, 2), round(statistics.median(b / a for a, b in pairs), 3)


def main(out: Path) -> int:
    """Measure, print, write."""
    torch.manual_seed(0)
    real, fake = torch.rand(BATCH, 3, SIDE, SIDE), torch.rand(BATCH, 3, SIDE, SIDE)
    rows: dict[str, Any] = {}
    for name in ("none", *PENALTIES, "spectral-norm"):
        names = [] if name == "none" else [name]
        plain = critic()
        if name == "spectral-norm":
            apply_spectral_norm(plain)
        hand, own, ratio = compare(by_hand(plain, real, fake, name), ours(critic(), real, fake, names))
        rows[name] = {"by_hand_ms": hand, "advtasks_ms": own, "ratio": ratio}
        print(f"{name:<16} by hand {hand:8.2f} ms   advtasks {own:8.2f} ms   x {ratio:.3f}", flush=True)

    levers: dict[str, Any] = {}

    def lever(name: str, before: Step, after: Step, repeat: int = 1) -> None:
        slow, fast, ratio = compare(before, after, repeat, repeats=9)
        levers[name] = {"before_ms": slow, "after_ms": fast, "ratio": ratio}
        print(f"{name:<44} {slow:8.2f} ms -> {fast:8.2f} ms   x {ratio:.3f}", flush=True)

    every = ours(critic(), real, fake, ["r1"])
    lever("R1 every 16th step instead of every step", every, ours(critic(), real, fake, ["r1:interval=16"]), 16)
    compiled = ours(critic(), real, fake, ["r1:interval=16"], compile=True)
    lever("compiled main path, eager twin for R1", ours(critic(), real, fake, ["r1:interval=16"]), compiled, 16)
    network = nn.Sequential(*[nn.Conv2d(32, 32, 3) for _ in range(200)])
    average, loop = MovingAverage(network, 1000.0), copy.deepcopy(network)

    @torch.no_grad()
    def one_by_one() -> None:
        for own, theirs in zip(loop.parameters(), network.parameters(), strict=True):
            own.mul_(0.99).add_(theirs, alpha=0.01)

    lever("foreach EMA instead of a loop, 400 tensors", one_by_one, lambda: average.update(network, 1), 5)
    for parameter in network.parameters():
        parameter.grad = normalize(torch.randn_like(parameter), dim=0)
    slow = torch.optim.Adam(network.parameters(), lr=1e-4, foreach=False, fused=False)
    fused = make_optimizer("adam", network, 1e-4, (0.9, 0.99))
    lever("fused Adam instead of a loop, 400 tensors", slow.step, fused.step, 5)

    record = {
        "machine": {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "torch": torch.__version__,
                    "python": platform.python_version(), "processor": platform.machine()},
        "what": f"steps of a patch critic (features 32), batch {BATCH}, {SIDE}², fp32, median of {REPEATS} pairs",
        "steps": rows,
        "levers": levers,
    }  # fmt: skip
    out.write_text(json.dumps(record, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    default = Path(__file__).parent / "results" / "regularized_step.json"
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else default))
