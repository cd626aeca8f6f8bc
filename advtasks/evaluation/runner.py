"""One runner for validation while training and for ``advtasks evaluate``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from advtasks.distributed import rank, world_size
from advtasks.errors import AdvtasksError
from advtasks.process_group import gathered, handed
from advtasks.task import Evaluated, Metric, Task


@dataclass(frozen=True)
class Evaluation:
    """Means over the examples, and what each gave."""

    means: dict[str, float]
    examples: list[Evaluated]


@dataclass(frozen=True)
class Comparison:
    """A measure of outputs that the task does not take itself."""

    metric: Metric
    measure: Callable[[Tensor, Tensor], Tensor]
    """(N,) of outputs and references (N, 3, H, W) in [0, 1]."""


@torch.inference_mode()
def evaluate(
    task: Task,
    generator: nn.Module | None,
    examples: Sequence[Any],
    watch: Callable[[int, int], None] | None = None,
    keep_pictures: int = 0,
    comparisons: Sequence[Comparison] = (),
    patient: bool = False,
) -> Evaluation:
    """Measure a generator, or the task's baseline for None, on examples; several ranks share them.

    The mean of a metric is the mean of the examples' values (for PSNR: of their dB).

    Args:
        watch: called with how many are done and how many there are.
        keep_pictures: pictures are kept for this many examples, the first ones.
        comparisons: of the output with the picture that the task names (:attr:`advtasks.task.Task.reference`). NaN for
            outputs that are no RGB, such as label maps.
        patient: ranks may have very different shares of the work; otherwise one that hangs is an error.
    """
    was_training = generator is not None and generator.training
    if generator is not None:
        generator.eval()
    mine, shown = [], []
    for index in range(rank(), len(examples), world_size()):
        result = task.evaluate(generator, examples[index])
        metrics = _measured(task, result) | {
            one.metric.name: _compared(one, result.pictures["output"], result.pictures[str(task.reference)])
            for one in comparisons
        }
        mine.append(metrics)
        if index < keep_pictures:
            shown.append({name: picture.cpu() for name, picture in result.pictures.items()})
        if watch is not None:
            watch(min(index + world_size(), len(examples)), len(examples))
    parts = gathered(mine, patient=patient)
    results = [Evaluated(parts[index % len(parts)][index // len(parts)]) for index in range(len(examples))]
    for index in range(min(keep_pictures, len(examples))):  # gathered at once they would be padded to the largest
        turn, owner = divmod(index, world_size())
        pictures = handed(shown[turn] if rank() == owner else {}, owner, patient)
        results[index] = Evaluated(results[index].metrics, pictures)
    if generator is not None:
        generator.train(was_training)
    names = results[0].metrics if results else {}
    means = {name: sum(r.metrics[name] for r in results) / len(results) for name in names}
    return Evaluation(means, results)


def _measured(task: Task, result: Evaluated) -> dict[str, float]:
    """As plain numbers, whatever a task's libraries gave: others cannot be read back from a checkpoint or as JSON."""
    found = {name: float(value) for name, value in result.metrics.items()}
    if missing := [metric.name for metric in task.metrics if metric.name not in found]:
        raise AdvtasksError(
            f"{type(task).__name__}.evaluate measured {', '.join(found) or 'nothing'}, and Task.metrics declares "
            f"{', '.join(missing)}, too: measure it (NaN where it cannot be), or declare it no more"
        )
    return found


def _compared(one: Comparison, output: Tensor, reference: Tensor) -> float:
    if output.shape != reference.shape or output.shape[0] != 3:
        return float("nan")
    return float(one.measure(output[None].clamp(0, 1), reference[None].to(output)))
