"""Constants on a device."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advtasks.transfers import constant, places


def test_constants_are_made_once_for_each_precision_and_can_be_trained_through() -> None:
    like = torch.zeros(1)
    with torch.inference_mode():
        first = constant((0.25, 0.5), like)
    assert constant((0.25, 0.5), like) is first
    assert constant((0.25, 0.5), like.double()).dtype == torch.float64
    x = torch.ones(2, requires_grad=True)
    (x * first).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.25, 0.5]
    assert places([2, 0], like.device).tolist() == [2, 0]


class Weighted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * constant((0.125, 3.0), x)


def test_what_an_export_traces_is_not_kept() -> None:
    x = torch.ones(2)
    exported = torch.export.export(Weighted(), (x,), strict=False)
    assert exported.module()(x).tolist() == [0.125, 3.0]
    assert type(constant((0.125, 3.0), x)) is Tensor
    assert Weighted()(x).tolist() == [0.125, 3.0]
