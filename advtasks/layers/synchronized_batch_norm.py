"""Batch norm over the batch of all ranks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advtasks.distributed import all_mean, world_size
from advtasks.wide import at_least_float32

_KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class SynchronizedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm (Ioffe & Szegedy 2015) whose mean and variance run over the batches of all ranks, which are of equal
    size: N ranks compute what one process would on the whole batch.

    Unlike torch's ``SyncBatchNorm`` it also runs on CPUs and has second derivatives, which gradient penalties need.
    Names of parameters and buffers are those of torch's.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Any shape (N, C, ...)."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalised (N, C, ...)."""
        if world_size() == 1 or not self.training:  # in evaluation ranks look at different pictures
            return super().forward(input)
        places = [0, *range(2, input.dim())]
        shape = [1, -1] + [1] * (input.dim() - 2)
        value = at_least_float32(input)
        mean = all_mean(value.mean(places))
        centred = value - mean.view(shape)
        variance = all_mean(centred.square().mean(places))
        if self.running_mean is not None:
            self._follow(mean, variance, value.numel() // value.shape[1] * world_size())
        result = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            result = result * self.weight.view(shape) + self.bias.view(shape)
        return result.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        self.running_mean += share * (mean - self.running_mean)
        self.running_var += share * (variance * count / (count - 1) - self.running_var)


def synchronize_batch_norm(network: nn.Module) -> None:
    """Put :class:`SynchronizedBatchNorm` in the place of every batch norm below `network`, with its parameters."""
    for name, child in network.named_children():
        if isinstance(child, _KINDS):
            made = SynchronizedBatchNorm(
                child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
            )
            made._parameters, made._buffers, made.training = child._parameters, child._buffers, child.training
            setattr(network, name, made)
        else:
            synchronize_batch_norm(child)
