"""Convolutions of maps of a few pixels as one matrix product. There a CPU's convolution library spends its time
re-ordering weights, of which there are millions and which are used for few pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import fold, unfold

_FEW = 64
"""Pixels of the smaller map, of all samples of the batch, up to which a product is faster (measured)."""


class SmallMapConv2d(nn.Conv2d):
    """:class:`torch.nn.Conv2d`, of equal output to rounding."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, h, w) to (N, out, h', w')."""
        if not _product_pays(x, x.shape[-2] // self.stride[0] * (x.shape[-1] // self.stride[1])):
            return super().forward(x)
        size, stride, padding = self.kernel_size, self.stride, self.padding
        assert not isinstance(padding, str), "given as numbers"
        height, width = (
            (side + 2 * p - k) // s + 1 for side, p, k, s in zip(x.shape[-2:], padding, size, stride, strict=True)
        )
        columns = unfold(x, size, padding=padding, stride=stride)  # (N, in * kernel, h' * w')
        output = torch.matmul(self.weight.flatten(1), columns).unflatten(2, (height, width))
        return output if self.bias is None else output + self.bias[:, None, None]


class SmallMapConvTranspose2d(nn.ConvTranspose2d):
    """:class:`torch.nn.ConvTranspose2d`, of equal output to rounding."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, in, h, w) to (N, out, h', w')."""
        if not _product_pays(x, x.shape[-2] * x.shape[-1]):
            return super().forward(x, output_size)
        size, stride, padding = self.kernel_size, self.stride, self.padding
        assert not isinstance(padding, str), "given as numbers"
        shape = tuple(
            (side - 1) * s - 2 * p + k + more
            for side, s, p, k, more in zip(x.shape[-2:], stride, padding, size, self.output_padding, strict=True)
        )
        columns = torch.matmul(self.weight.flatten(1).T, x.flatten(2))
        output = fold(columns, shape, size, padding=padding, stride=stride)
        return output if self.bias is None else output + self.bias[:, None, None]


def _product_pays(x: Tensor, pixels: int) -> bool:
    return x.device.type == "cpu" and len(x) * pixels <= _FEW and not torch.onnx.is_in_onnx_export()
