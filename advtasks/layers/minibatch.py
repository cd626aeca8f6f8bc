"""Layers that let a critic compare the samples of a batch, so that it sees a lack of variety."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advtasks.distributed import gather
from advtasks.wide import at_least_float32


class MinibatchStandardDeviation(nn.Module):
    """One more channel: the mean over channels and places of the standard deviation over a group of samples, with
    1e-8 under the root (progressive growing: Karras et al. 2018, section 3).

    A group is `group` neighbours within the rank's batch, or the largest divisor of the batch below that, so ranks
    change nothing as long as each holds whole groups.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """(N, C + 1, ...) from (N, C, ...)."""
        count = x.shape[0]
        group = next(size for size in range(min(self.group, count), 0, -1) if count % size == 0)
        members = at_least_float32(x).unflatten(0, (-1, group))  # the root's slope at 0 is infinite in float16
        deviation = (members.var(1, unbiased=False) + 1e-8).sqrt().flatten(1).mean(1)
        channel = deviation.to(x.dtype).repeat_interleave(group).view(-1, *[1] * (x.dim() - 1))
        return torch.cat((x, channel.expand(-1, 1, *x.shape[2:])), dim=1)


class MinibatchDiscrimination(nn.Module):
    """``o_i = Σ_{j≠i} exp(-‖M_i - M_j‖₁)`` for each of `kernels` matrices M = T x, appended to x
    (Salimans et al. 2016, section 3.2). The sum runs over the batch of all ranks.

    Args:
        inputs: features of x (N, inputs).
        kernels: how many o there are.
        rows: of each matrix M.
    """

    def __init__(self, inputs: int, kernels: int = 16, rows: int = 8) -> None:
        super().__init__()
        self.tensor = nn.Parameter(torch.randn(inputs, kernels, rows) * inputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs + kernels)."""
        mine = torch.einsum("ni,ikr->nkr", x, self.tensor)
        everyone = gather(mine)
        closeness = (-(mine[:, None] - everyone[None]).abs().sum(3)).exp().sum(1)
        return torch.cat((x, closeness - 1), dim=1)  # 1: the sample itself
