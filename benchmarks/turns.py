"""Sides of a comparison that take turns in one process, until their ratio is known.

A single turn on a shared machine is off by several per cent; the median of the rounds' ratios is not, and its interval
says how well it is known: :func:`compare` goes on until that is narrow enough, or its rounds are used up.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from sides import Run

from advtasks.devices import wait_for

FEWEST = 9
"""Rounds before an interval is looked at."""


def others_share(before: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    """The share of the processor that other processes used since `before`, and the new reading."""
    fields = [float(value) for value in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    busy = (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    now = (busy - own, time.monotonic())
    return (now[0] - before[0]) / max(now[1] - before[1], 1e-9) / (os.cpu_count() or 1), now


def wait_until_idle(device: torch.device, limit: float = 20.0) -> None:
    """Let a side's loader processes fill their queues before the next side's turn, for at most `limit` seconds; on a
    GPU no side has any."""
    if device.type == "cuda":
        return
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        before = others_share((0.0, 0.0))[1]
        time.sleep(0.2)
        if others_share(before)[0] < 0.1:
            return


def compare(
    sides: Mapping[str, Run],
    device: torch.device,
    steps: int = 1,
    within: float = 0.01,
    rounds: int = 40,
    gate: float = 0.04,
) -> dict[str, Any]:
    """Seconds a step of each side, round by round, taking turns of `steps` in a changing order.

    Ends when the interval of the ratio of the first two sides is at most `within` to either side of it, after `rounds`
    rounds at the latest; rounds in which other processes used more than `gate` of the processor are thrown away.
    """
    for run in sides.values():
        for _ in range(3):
            run()
    times: dict[str, list[float]] = {side: [] for side in sides}
    first, second, *_ = sides
    dropped = done = 0
    while done < rounds and dropped < 2 * rounds:
        _, reading = others_share((0.0, 0.0))
        taken = {}
        for side, run in list(sides.items())[:: 1 if done % 2 else -1]:
            wait_for(device)
            wait_until_idle(device)
            start = time.perf_counter()
            for _ in range(steps):
                run()
            wait_for(device)
            taken[side] = (time.perf_counter() - start) / steps
        share, _ = others_share(reading)
        if share > gate and device.type == "cpu":
            dropped += 1
            continue
        done += 1
        for side, seconds in taken.items():
            times[side].append(seconds)
        if done >= FEWEST:
            low, high = interval(ratios(times, first, second))
            if high - low <= 2 * within:
                break
    if not done:
        raise SystemExit("the machine is too busy: every round was thrown away; raise --gate or try later")
    return {
        "seconds": {side: statistics.median(values) for side, values in times.items()},
        "rounds": times,
        "dropped": dropped,
    }


def ratios(rounds: Mapping[str, Sequence[float]], above: str, below: str) -> list[float]:
    """The seconds of one side over those of another, round by round."""
    return [a / b for a, b in zip(rounds[above], rounds[below], strict=True)]


def ratio(found: Mapping[str, Any], above: str, below: str) -> float:
    """Median over rounds of the seconds of one side over those of another."""
    return statistics.median(ratios(found["rounds"], above, below))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Where the median of what `values` were drawn from lies with a probability of at least 0.95, whatever its
    distribution: between the values whose ranks the binomial distribution gives (Conover 1999, 3.2); the range where
    there are fewer than six."""
    ordered, count = sorted(values), len(values)
    outside, below = 0, 0.0
    while (below := below + math.comb(count, outside) / 2**count) <= 0.025:
        outside += 1
    outside = max(outside - 1, 0)
    return ordered[outside], ordered[count - 1 - outside]
