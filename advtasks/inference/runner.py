"""A network on its device, at its precision, with a way out where half precision is not enough."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advtasks.devices import autocast, choose_precision, settle_on
from advtasks.errors import AdvtasksError
from advtasks.inference.compiled import CompiledWhereItPays

LEAST_PSNR = 45.0
"""dB between the output in half precision and in float32 below which half precision is refused."""
MOST_OFF = 0.01
"""Share of values that may differ by more than one 8-bit level."""

_FLAT = 0.05
"""Standard deviation of values in [0, 1] below which a part of a picture says little about half precision."""


@dataclass(frozen=True)
class Difference:
    """Between two outputs for the same input."""

    psnr: float
    """dB, of values in [0, 1]; infinite where they are equal."""
    off: float
    """Share of values that differ by more than one 8-bit level, once rounded to levels."""

    @property
    def harmless(self) -> bool:
        """Whether nobody can see it."""
        return self.psnr >= LEAST_PSNR and self.off <= MOST_OFF


def difference(found: Tensor, wanted: Tensor) -> Difference:
    """How far an output in [0, 1] is from another one of its shape. Not finite: minus infinity dB."""
    if not bool(torch.isfinite(found).all()):
        return Difference(-math.inf, 1.0)
    found, wanted = found.clamp(0, 1).double(), wanted.clamp(0, 1).double()
    error = (found - wanted).square().mean().item()
    levels = ((found * 255).round() - (wanted * 255).round()).abs()
    return Difference(math.inf if error == 0 else -10 * math.log10(error), (levels > 1).double().mean().item())


class Runner:
    """Calls a network with tiles.

    Args:
        network: float (N, C, h, w) in [0, 1] to (N, C, h·scale, w·scale).
        device: where it runs.
        precision: ``fp32``, ``bf16``, ``fp16``, or ``auto``: bf16 where the device computes with it.
        say: told when half precision is refused, or a tile is repeated.
        compile: the network is compiled for tiles that come often (:mod:`advtasks.inference.compiled`).

    Half precision has the weights of convolutions in 16 bit; what networks add to their interpolated input stays in
    float32. Before the first tile its output is compared with float32's where most happens on that picture, and it is
    not used where somebody could see the difference. A tile with values that are not finite is repeated in bf16, then
    in float32.
    """

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        precision: str = "fp32",
        say: Callable[[str], None] = lambda text: None,
        compile: bool = False,
    ) -> None:
        settle_on(device)
        self.device, self.say, self.compile = device, say, compile
        self.network = network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.precision = choose_precision(precision, device)
        if next(network.parameters(), None) is None:  # not torch's: an ONNX file has its own precision
            if precision not in ("auto", "fp32"):
                say(f"this file computes in the precision it was exported with; {precision} is not used")
            self.precision = "fp32"
        self.undecided = self.precision != "fp32"
        """Whether half precision is still compared with float32 for each picture: what a flat one says is little."""
        self.checked: Difference | None = None
        """What half precision changes, once it is known."""
        self._halves: dict[str, nn.Module] = {}
        self._compiled: dict[str, CompiledWhereItPays] = {}

    def check(self, probe: Tensor) -> None:
        """Decide on half precision with a part of a picture, (N, C, h, w). One that nothing is to be seen on may refuse
        half precision, but not accept it for good."""
        if not self.undecided:
            return
        wanted = self._run(probe, "fp32")
        for precision in dict.fromkeys((self.precision, "bf16")):
            self.checked = difference(self._run(probe, precision), wanted)
            if self.checked.harmless:
                self.precision = precision
                self.undecided = probe.std().item() < _FLAT
                return
            self.say(
                f"{precision} changes this network's output too much (PSNR to fp32 {self.checked.psnr:.1f} dB, "
                f"{self.checked.off:.1%} of values off by more than one level): not used"
            )
        self.precision, self.undecided = "fp32", False

    def __call__(self, tile: Tensor) -> Tensor:
        """(N, C, h·scale, w·scale), float32, on the device.

        Raises:
            AdvtasksError: it is not finite in any precision.
        """
        output, used = self._run(tile, self.precision), self.precision
        for precision in ("bf16", "fp32"):
            if bool(torch.isfinite(output).all()):
                return output
            if used in (precision, "fp32"):
                continue
            self.say(f"{self.precision} gave values that are not finite: this tile is computed in {precision}")
            output, used = self._run(tile, precision), precision
        if not bool(torch.isfinite(output).all()):
            raise AdvtasksError(
                "the network gives values that are no numbers (NaN or infinite) in float32, too: its weights are "
                "spoiled, or the picture holds such values"
            )
        return output

    def _run(self, tile: Tensor, precision: str) -> Tensor:
        network: Callable[[Tensor], Tensor] = self.network if precision == "fp32" else self._half(precision)
        if self.compile and isinstance(network, nn.Module):
            network = self._compiled.setdefault(precision, CompiledWhereItPays(network, self.say))
        with torch.inference_mode(), autocast(self.device, precision)():
            output: Tensor = network(tile.to(self.device).contiguous(memory_format=torch.channels_last))
        return output.float()

    def _half(self, precision: str) -> nn.Module:
        """The network with 16-bit weights where the work is done."""
        if precision not in self._halves:
            dtype = torch.bfloat16 if precision == "bf16" else torch.float16
            double = copy.deepcopy(self.network)
            for module in double.modules():
                if isinstance(module, (nn.modules.conv._ConvNd, nn.Linear)):
                    module.to(dtype)
            self._halves[precision] = double
        return self._halves[precision]
