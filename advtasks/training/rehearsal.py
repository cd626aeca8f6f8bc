"""Two samples through copies of the networks before the first step: what does not fit is said now, not hours later."""

from __future__ import annotations

import copy
import functools
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor, nn
from torch.utils.data import Dataset

from advtasks.causes import is_of_the_device, is_out_of_memory, said
from advtasks.config import StageConfig
from advtasks.data.loader import Batch, Position, collated
from advtasks.errors import UsageError
from advtasks.mixture import AnyAdversary
from advtasks.task import Task, Terms, total
from advtasks.training.monitor import WATCHED
from advtasks.training.views import shown


def rehearse(
    task: Task,
    generator: nn.Module,
    adversaries: dict[str, AnyAdversary],
    data: Dataset[Batch],
    stages: Sequence[StageConfig] = (),
) -> list[str]:
    """Generate and judge once, every term and its gradient, and the task's own terms of all stages, without a trace in
    the networks. Gives what a user is to be warned of.

    Raises:
        UsageError: a critic cannot judge samples of this size, a term lacks what it needs, or two have the same name.
    """
    task.eval()  # as it trains
    device = next(generator.parameters()).device
    count = max([2, *(2 * adversary.pack for adversary in adversaries.values())])
    drawn = [data[Position(number % len(data), number)] for number in range(count)]  # type: ignore[arg-type]
    samples = collated(drawn)
    batch = task.prepare({name: tensor.to(device) for name, tensor in samples.items()})
    generator = copy.deepcopy(generator)
    generate = functools.partial(task.generate, generator)
    output = generate(batch)
    judged = shown(task, batch, output, generate)
    if adversaries.keys() - judged.keys():
        raise UsageError(
            f"{type(task).__name__}.judged shows {', '.join(judged) or 'nothing'}, and its views are "
            f"{', '.join(adversaries)}: each needs to be shown"
        )
    for view, adversary in adversaries.items():
        trial = copy.deepcopy(adversary)
        trial.prepare_for_rehearsal()
        try:
            for phase in trial.phases():
                total(phase.terms((judged[view], 0))).backward()
            terms = trial.generator_terms(judged[view], 0)
            if terms:
                total(terms).backward(retain_graph=True)
            _refuse_namesakes(task, terms, stages, several=len(adversaries) > 1)
        except (RuntimeError, ValueError) as error:
            if is_out_of_memory(error) or is_of_the_device(error):
                raise
            reason = f"{said(error)}{_place(error)}"
            twice = [regularizer.name for regularizer in trial.regularizers if regularizer.second_order]
            if twice and any(word in reason for word in ("twice", "double backward", "derivative")):
                raise UsageError(
                    f"{', '.join(map(str, twice))} differentiate the critic {type(adversary.discriminator).__name__} "
                    f"twice, and it cannot be ({reason}): use r1-first-order, or a critic without that operation"
                ) from error
            shape = "x".join(map(str, judged[view].real.shape[1:]))
            raise UsageError(
                f"the critic {type(adversary.discriminator).__name__} cannot judge {view} pictures of {shape} "
                f"({reason}); use larger patches or another --adversary.discriminator"
            ) from error
    _rehearse_terms(task, lambda: generate(batch), batch, stages)
    if not _same(drawn[0], data[Position(0, 0)]):
        return [
            "the data set gives another sample at the same position, so a resumed run will not be bit for bit the "
            "same: draw with numpy.random.default_rng(position.seed)"
        ]
    return []


def _same(one: Batch, other: Batch) -> bool:
    """Whether two samples are the same, bit for bit."""
    if one.keys() != other.keys():
        return False
    return all(one[name].numpy().tobytes() == other[name].numpy().tobytes() for name in one)


def _rehearse_terms(task: Task, generate: Callable[[], Tensor], batch: Batch, stages: Sequence[StageConfig]) -> None:
    """That the objective gives what each stage weighs, one number for each term. A task's output may be good for one
    objective only."""
    for stage in {tuple(sorted(stage.weights.items())): stage for stage in reversed(stages)}.values():
        terms = task.objective(batch, generate(), stage.weights)
        wanted = {name for name, weight in stage.weights.items() if weight}
        if missing := sorted(wanted - terms.keys()):
            raise UsageError(
                f"stage {stage.name!r} weighs {', '.join(missing)}, and {type(task).__name__}.objective gave only "
                f"{', '.join(terms) or 'nothing'}: the term would never be trained"
            )
        for name, term in terms.items():
            if term.value.dim():
                shape = tuple(term.value.shape)
                raise UsageError(f"the loss term {name!r} is {shape}: {type(task).__name__}.objective takes its mean")


def _refuse_namesakes(task: Task, terms: Terms, stages: Sequence[StageConfig], several: bool) -> None:
    """Of two terms of one name one would be lost. With several views the adversary's have an ending."""
    beside = {name for stage in stages if stage.adversary for name, weight in stage.weights.items() if weight}
    if same := sorted({*terms, WATCHED} & beside) if not several else []:
        raise UsageError(
            f"{', '.join(same)}: a loss term of {type(task).__name__} has the name of one of the adversary's, or of "
            "what the monitor watches; call it otherwise in Task.term_names"
        )


def _place(error: BaseException) -> str:
    """The last line that is not torch's: where an author has to look."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "torch" not in Path(frame.filename).parts]
    return f", at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
