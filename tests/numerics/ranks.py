"""What each rank of test_ranks.py runs: every row of the catalogue on its part of the batch."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from catalogue import AUGMENTS, LOSSES, REGULARIZERS, Generator, condition_of, make_adversary, make_judged

from advtasks.distributed import average_gradients
from advtasks.task import total

ROWS = (
    [(loss, "", "") for loss in LOSSES]
    + [("non-saturating", name, "") for name in REGULARIZERS]
    + [("relativistic-average", name, "") for name in ("top-k", "lecam", "feature-matching", "r1", "unrolled")]
    + [("non-saturating", "", name) for name in AUGMENTS]
    + [("non-saturating", "r1:interval=2", ""), ("hinge", "wgan-gp:interval=3", "")]
    + [("hinge", "", "packed"), ("non-saturating", "stddev", ""), ("non-saturating", "discrimination", "")]
)


def row(loss: str, regularizer: str, augment: str, rank: int, ranks: int) -> dict[str, Any]:
    """Two steps of critic and generator; all gradients and the adversary's state, as one rank sees them."""
    from advtasks import Adversary, MLPDiscriminator

    size = 8 // ranks
    rows = slice(rank * size, (rank + 1) * size)
    generator = Generator()
    if augment == "packed":
        from catalogue import Smooth

        torch.manual_seed(0)
        adversary = Adversary(Smooth(6), loss, pack=2)
    elif regularizer in ("stddev", "discrimination"):
        torch.manual_seed(0)
        adversary = Adversary(
            torch.nn.Sequential(torch.nn.Flatten(), MLPDiscriminator(48, minibatch=regularizer)), loss
        )
    else:
        adversary = make_adversary(loss, (regularizer,) if regularizer else (), (augment,) if augment else ())
    found: dict[str, Any] = {}
    for step in range(2):
        judged = make_judged(generator, rows, condition_of(adversary))
        for phase in adversary.phases():
            torch.manual_seed(100 + step)
            adversary.zero_grad(set_to_none=True)
            total(phase.terms((judged, step))).backward()
            average_gradients(adversary.parameters())
            for name, parameter in adversary.named_parameters():
                found[f"{step}/{phase.name}/{name}"] = parameter.grad
        torch.manual_seed(200 + step)
        generator.zero_grad(set_to_none=True)
        total(adversary.generator_terms(make_judged(generator, rows, condition_of(adversary)), step)).backward()
        average_gradients(generator.parameters())
        for name, parameter in generator.named_parameters():
            found[f"{step}/generator/{name}"] = parameter.grad
    phases = adversary.phases()  # whole steps, optimiser and lazy intervals included
    for step in range(6):
        judged = make_judged(generator, rows, condition_of(adversary))
        for phase in phases:
            if phase.due(step):
                torch.manual_seed(300 + step)
                phase.run((judged, step))
    for name, parameter in adversary.named_parameters():
        found[f"trained/{name}"] = parameter.detach().clone()
    for name, buffer in adversary.named_buffers():
        found[f"buffer/{name}"] = buffer.clone()
    return found


def main(rank: int, ranks: int, folder: Path) -> None:
    """Run all rows on one rank and keep what it found."""
    torch.set_num_threads(1)
    if ranks > 1:
        store = f"file://{folder / 'store'}"
        dist.init_process_group("gloo", store, timedelta(seconds=60), rank=rank, world_size=ranks)
    results = {"/".join(names): row(*names, rank, ranks) for names in ROWS}
    torch.save(results, folder / f"{ranks}-{rank}.pt")
    if ranks > 1:
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
