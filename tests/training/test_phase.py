"""A phase with a loss scaler: what is clipped, checked and stepped is the true gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from advtasks.phase import Phase
from advtasks.task import Term, Terms


@pytest.mark.parametrize("clip", [0.0, 2.5])
def test_scaling_changes_neither_the_clipped_gradient_nor_what_is_checked(clip: float) -> None:
    steps, seen = [], []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=2.0**16)):
        parameter = nn.Parameter(torch.zeros(4))

        def terms(scene: None, parameter: nn.Parameter = parameter) -> Terms:
            return {"line": Term((parameter * 5).sum())}

        phase: Phase[None] = Phase(
            name="one", optimizer=torch.optim.SGD([parameter], lr=1.0), terms=terms, clip_norm=clip, scaler=scaler
        )
        phase.run(None, lambda phase, terms: seen.append(phase.parameters()[0].grad.norm().item()))  # type: ignore[union-attr]
        steps.append(parameter.detach().clone())
    torch.testing.assert_close(steps[0], steps[1])
    assert seen == pytest.approx([10.0, 10.0]), "guards see gradients before clipping, scaled back"
    assert steps[0].norm().item() == pytest.approx(clip or 10.0, rel=1e-4)
