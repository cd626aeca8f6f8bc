"""A batch in pieces: what every row of the catalogue computes is what it computes on the whole batch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from catalogue import AUGMENTS, LOSSES, REGULARIZERS, Generator, condition_of, fits, make_adversary, make_judged
from torch import Tensor, nn

from advtasks import Adversary, PatchDiscriminator
from advtasks.errors import UsageError
from advtasks.pieces import in_pieces
from advtasks.task import Judged, total

ROWS = (
    [(loss, "", "") for loss in LOSSES]
    + [("non-saturating", name, "") for name in REGULARIZERS if fits("non-saturating", name)]
    + [("relativistic-average", name, "") for name in REGULARIZERS if fits("relativistic-average", name)]
    + [("hinge", "", name) for name in AUGMENTS]
    + [("began", "r1", ""), ("non-saturating", "r1:interval=2", ""), ("hinge", "wgan-gp:interval=3", "")]
)


def results(loss: str, regularizer: str, augment: str, accumulate: int) -> dict[str, Any]:
    """Gradients of critic and generator, and the adversary after four whole steps."""
    dtype = torch.float32 if augment else torch.float64  # pictures are augmented in float32
    adversary = make_adversary(
        loss, (regularizer,) if regularizer else (), (augment,) if augment else (), dtype, accumulate=accumulate
    )
    generator = Generator().to(dtype)
    found: dict[str, Any] = {}

    def judged() -> Judged:
        return make_judged(generator, condition=condition_of(adversary), dtype=dtype)

    for phase in adversary.phases():
        torch.manual_seed(7)
        adversary.zero_grad(set_to_none=True)
        total(phase.terms((judged(), 1))).backward()
        found.update({f"{phase.name}/{name}": p.grad for name, p in adversary.named_parameters()})
    adversary.zero_grad(set_to_none=True)
    torch.manual_seed(8)
    total(adversary.generator_terms(judged(), 1)).backward()
    found.update({f"generator/{name}": p.grad for name, p in generator.named_parameters()})
    assert all(p.grad is None for p in adversary.parameters()), (
        "the critic is frozen while pieces are computed again, too"
    )
    phases = adversary.phases()
    for step in range(4):
        for phase in phases:
            if phase.due(step):
                torch.manual_seed(9 + step)
                phase.run((judged(), step))
    found.update({f"trained/{name}": value.detach().clone() for name, value in adversary.named_parameters()})
    found.update({f"buffer/{name}": value.clone() for name, value in adversary.named_buffers()})
    return found


@pytest.mark.parametrize(
    ("loss", "regularizer", "augment"), ROWS, ids=["+".join(filter(None, names)) for names in ROWS]
)
def test_pieces_equal_the_whole_batch(loss: str, regularizer: str, augment: str) -> None:
    whole, pieces = (results(loss, regularizer, augment, accumulate) for accumulate in (1, 4))
    assert whole.keys() == pieces.keys()
    moved = False
    for name, value in whole.items():
        if value is None:
            assert pieces[name] is None, name
            continue
        if value.dtype.is_floating_point:
            tolerance = (
                1e-5 if augment or name.startswith(("trained", "buffer")) else 1e-7
            )  # Adam divides by tiny gradients
            torch.testing.assert_close(
                pieces[name], value, rtol=tolerance, atol=tolerance * 1e-1, msg=lambda text, n=name: f"{n}: {text}"
            )
            moved |= name.startswith("generator/") and bool(value.any())
    assert moved


def test_layers_with_state_see_each_piece_once() -> None:
    """Batch norm's running values move in the first pass and not when a piece is computed again."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
    x = torch.randn(8, 3)
    parts = in_pieces(network, (x,), 4, [network])
    after = {name: buffer.clone() for name, buffer in network.named_buffers()}
    assert after["1.num_batches_tracked"] == 4
    torch.cat(parts).sum().backward()
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, after[name]), name


def test_pieces_of_random_layers_differ_and_are_repeated_exactly() -> None:
    torch.manual_seed(0)
    network = nn.Dropout(0.5)
    x = torch.ones(8, 50, requires_grad=True)
    out = torch.cat(in_pieces(network, (x,), 4, [network]))
    assert not torch.equal(out[:2], out[2:4]), "dropout draws anew for each piece"
    out.sum().backward()
    assert torch.equal(x.grad, out.detach()), "the gradient is that of the masks of the first pass"  # type: ignore[arg-type]


_PEAK = """
import pathlib, sys, torch
from advtasks import Adversary, PatchDiscriminator
torch.set_num_threads(1)
torch.manual_seed(0)
critic = PatchDiscriminator(3, features=16, layers=2, norm="none")
adversary = Adversary(critic, "relativistic-average", regularizers=sys.argv[2:], accumulate=int(sys.argv[1]))

def peak():  # of this process alone; resource's figure begins with that of the process that started it
    return int(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

adversary.update(torch.rand(16, 3, 16, 16), torch.rand(16, 3, 16, 16))  # imports what it needs
real, fake = torch.rand(32, 3, 128, 128), torch.rand(32, 3, 128, 128)
before = peak()
adversary.update(fake, real)
print(peak() - before)
"""


@pytest.mark.parametrize("regularizers", [("r1",), ()], ids=str)
def test_pieces_save_memory(regularizers: tuple[str, ...]) -> None:
    """Batch statistics included, and a penalty or none: the step in eight pieces needs a fraction of the whole batch's
    memory."""
    commands = ([sys.executable, "-c", _PEAK, str(n), *regularizers] for n in (1, 8))
    whole, pieces = (
        int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for command in commands
    )
    assert pieces < 0.5 * whole, (whole, pieces)


def test_a_critic_in_pieces_may_be_compiled() -> None:
    torch.manual_seed(0)
    made: list[Tensor] = []
    for compiled in (False, True):
        torch.manual_seed(0)
        adversary = Adversary(
            PatchDiscriminator(3, features=4, layers=1, norm="none"), accumulate=2, regularizers=["r1"]
        )
        if compiled:
            adversary.main.run = torch.compile(adversary.main.plain, backend="aot_eager")
        adversary.update(
            torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1)), torch.zeros(4, 3, 16, 16)
        )
        made.append(torch.cat([p.detach().flatten() for p in adversary.parameters()]))
    torch.testing.assert_close(made[0], made[1])


def test_spectral_norm_estimates_once_for_a_batch() -> None:
    """One step of its power iteration for the batch, not one for each piece, and none when a piece is computed again."""
    made = []
    for pieces in (1, 4):
        torch.manual_seed(0)
        network = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 5)), nn.Tanh(), nn.Linear(5, 1))
        x = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
        out = network(x) if pieces == 1 else torch.cat(in_pieces(network, (x,), pieces, [network]))
        out.square().sum().backward()
        made.append([out.detach(), *network.buffers(), *(p.grad for p in network.parameters())])
    for whole, parts in zip(*made, strict=True):
        torch.testing.assert_close(parts, whole)


def test_pieces_that_do_not_divide_are_refused() -> None:
    adversary = make_adversary("hinge", accumulate=3)
    judged = make_judged(Generator())
    for accumulate in (3, 16):
        adversary.main.accumulate = accumulate
        with pytest.raises(UsageError, match=f"cannot be cut into {accumulate} equal pieces"):
            adversary.update(judged.fake.detach(), judged.real)
