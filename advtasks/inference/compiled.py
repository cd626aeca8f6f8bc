"""Compiling a network for tiles that come again and again, where that pays."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from advtasks.causes import said

Network = Callable[[Tensor], Tensor]

AFTER = 30.0
"""Seconds that tiles of one shape have taken before it is compiled for. Compiling takes about as long, so in the worst
case, a batch that ends right then, the time doubles; in a long one nothing is lost."""
_TOLERANCE = 1e-3
"""Difference of a value in [0, 1] that is accepted: rounding in half precision."""
_FASTER = 0.95


class CompiledWhereItPays:
    """A network that is compiled for a shape of tiles once that shape has taken `AFTER` seconds, and only used compiled
    where it was measured to be faster and to compute the same.

    Args:
        network: a module; on its device, in its precision.
        say: told what was decided.
    """

    def __init__(self, network: nn.Module, say: Callable[[str], None]) -> None:
        self.network, self.say = network, say
        self.seconds: defaultdict[torch.Size, float] = defaultdict(float)
        self.decided: dict[torch.Size, Network] = {}

    def __call__(self, tile: Tensor) -> Tensor:
        """The network's output."""
        if tile.shape in self.decided:
            return self.decided[tile.shape](tile)
        start = _now(tile)
        output: Tensor = self.network(tile)
        self.seconds[tile.shape] += _now(tile) - start
        if self.seconds[tile.shape] > AFTER:
            self.decided[tile.shape] = self._decide(tile, output)
        return output

    def _decide(self, tile: Tensor, expected: Tensor) -> Network:
        size = f"{tile.shape[-1]}x{tile.shape[-2]}"
        try:
            candidate: Network = torch.compile(self.network, dynamic=False)
            output = candidate(tile)
            apart = (output.float() - expected.float()).abs().max().item()
            eager, compiled = (min(_seconds(net, tile) for _ in range(2)) for net in (self.network, candidate))
        except Exception as error:  # no C++ compiler, an operation that it does not know
            self.say(f"tiles of {size} could not be compiled for ({said(error, 100)})")
            return self.network
        pays = compiled < _FASTER * eager and apart <= _TOLERANCE
        verdict = "used" if pays else "not used"
        self.say(f"compiled for tiles of {size}: {compiled:.3f} s against {eager:.3f} s, {verdict}")
        return candidate if pays else self.network


def _seconds(network: Network, tile: Tensor) -> float:
    start = _now(tile)
    network(tile)
    return _now(tile) - start


def _now(tile: Tensor) -> float:
    if tile.is_cuda:
        torch.cuda.synchronize(tile.device)
    return time.perf_counter()
