"""The swift parameter-free attention network (Wan et al. 2024)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle, silu

MEAN = (0.4488, 0.4371, 0.4040)
"""Of DIV2K, as the authors subtract it."""


class Conv3XC(nn.Module):
    """A 3×3 convolution that is trained as ``1×1 (twice as wide) · 3×3 · 1×1 + 1×1`` (Wan et al. 2024, section 3.3).

    The branches are folded into one kernel in each pass, so training computes what deployment does, borders included.
    (The authors' training pass pads before the first 1×1, whose bias then shows at the border; their evaluation folds.)
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.sk = nn.Conv2d(inputs, outputs, 1)
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, 2 * inputs, 1), nn.Conv2d(2 * inputs, 2 * outputs, 3), nn.Conv2d(2 * outputs, outputs, 1)
        )

    def folded(self) -> tuple[Tensor, Tensor]:
        """Kernel (outputs, inputs, 3, 3) and bias (outputs,) of the one convolution that this is."""
        first, middle, last = (layer for layer in self.conv if isinstance(layer, nn.Conv2d))
        assert first.bias is not None
        assert middle.bias is not None
        assert last.bias is not None
        assert self.sk.bias is not None
        one, three = first.weight[:, :, 0, 0], last.weight[:, :, 0, 0]
        weight = torch.einsum("om,mnyx,nc->ocyx", three, middle.weight, one)
        bias = three @ (torch.einsum("mnyx,n->m", middle.weight, first.bias) + middle.bias) + last.bias
        return weight + pad(self.sk.weight, (1, 1, 1, 1)), bias + self.sk.bias

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w)."""
        weight, bias = self.folded()
        return conv2d(x, weight, bias, padding=1)


class FoldedConv3XC(nn.Module):
    """The same with the branches folded for good."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.eval_conv = nn.Conv2d(inputs, outputs, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w)."""
        result: Tensor = self.eval_conv(x)
        return result


class SPAB(nn.Module):
    """Three convolutions; what they found is scaled by ``sigmoid(found) - 1/2``, an attention without parameters that
    keeps its sign (section 3.2)."""

    def __init__(self, features: int, layer: type[nn.Module]) -> None:
        super().__init__()
        self.c1_r, self.c2_r, self.c3_r = (layer(features, features) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, features, h, w) to the block's output and the first convolution's, of the same shape."""
        first = self.c1_r(x)
        # the last block's is shown after its activation: the authors' activation works in place
        active = silu(first)
        found = self.c3_r(silu(self.c2_r(active)))
        return (found + x) * (torch.sigmoid(found) - 0.5), active


class SPAN(nn.Module):
    """Six blocks of parameter-free attention and one pixel shuffle: 426 thousand parameters at scale 4 when deployed,
    trained as 1.8 million. State-dict names are those of the authors and of spandrel; :meth:`community_state` writes
    files for them.

    Args:
        scale: any whole number.
        features: width.
        normalize: subtract the mean of DIV2K and multiply by 255 first, as the authors do and their weights want.
            Without it a training starts an order of magnitude nearer to pictures.
        deployed: with folded convolutions, as bundles hold it.
    """

    def __init__(self, scale: int = 4, features: int = 48, normalize: bool = False, deployed: bool = False) -> None:
        super().__init__()
        self.scale, self.features, self.normalize, self.is_deployed = scale, features, normalize, deployed
        layer = FoldedConv3XC if deployed else Conv3XC
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.conv_1 = layer(3, features)
        for number in range(1, 7):
            self.add_module(f"block_{number}", SPAB(features, layer))
        self.conv_cat = nn.Conv2d(4 * features, features, 1)
        self.conv_2 = layer(features, features)
        self.upsampler = nn.Sequential(nn.Conv2d(features, 3 * scale**2, 3, 1, 1))

    @property
    def receptive_radius(self) -> int:
        """Input pixels to each side that an output pixel depends on: one for each 3×3 convolution in a row."""
        return 1 + 6 * 3 + 1 + 1

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] to (N, 3, h·scale, w·scale)."""
        if self.normalize:
            x = (x - self.get_buffer("mean")) * 255
        blocks = dict(self.named_children())
        shallow = self.conv_1(x)
        outputs, inner = [shallow], shallow
        for number in range(1, 7):
            output, inner = blocks[f"block_{number}"](outputs[-1])
            outputs.append(output)
        joined = torch.cat((shallow, self.conv_2(outputs[6]), outputs[1], inner), 1)
        return pixel_shuffle(self.upsampler(self.conv_cat(joined)), self.scale).float()

    @torch.no_grad()
    def deployed(self) -> SPAN:
        """A network of equal output whose convolutions are folded, on the same device; itself if it is one."""
        if self.is_deployed:
            return self
        network = SPAN(self.scale, self.features, self.normalize, deployed=True).to(self.conv_cat.weight)
        state = {name: value for name, value in self.state_dict().items() if name in network.state_dict()}
        for name, module in self.named_modules():
            if isinstance(module, Conv3XC):
                state[f"{name}.eval_conv.weight"], state[f"{name}.eval_conv.bias"] = module.folded()
        network.load_state_dict(state)
        return network.train(self.training)

    @torch.no_grad()
    def community_state(self) -> dict[str, Tensor]:
        """The state dict that the authors' code and spandrel read, which hold branches and folded kernel side by side.

        A folded kernel is written as branches that fold to it: pass through, convolve, pass through, plus 0.
        """
        state = self.state_dict()
        for name, module in self.named_modules():
            if isinstance(module, Conv3XC):
                state[f"{name}.eval_conv.weight"], state[f"{name}.eval_conv.bias"] = module.folded()
            elif isinstance(module, FoldedConv3XC):
                branches = Conv3XC(module.eval_conv.in_channels, module.eval_conv.out_channels)
                for parameter in branches.parameters():
                    parameter.zero_()
                first, middle, last = (layer for layer in branches.conv if isinstance(layer, nn.Conv2d))
                nn.init.dirac_(first.weight)
                nn.init.dirac_(last.weight)
                outputs, inputs = module.eval_conv.weight.shape[:2]
                middle.weight[:outputs, :inputs] = module.eval_conv.weight.cpu()
                assert last.bias is not None
                assert module.eval_conv.bias is not None
                last.bias.copy_(module.eval_conv.bias)
                state.update({f"{name}.{key}": value for key, value in branches.state_dict().items()})
        if not self.normalize:
            state["no_norm"] = torch.zeros(1)
        return {name: value.detach().cpu().contiguous() for name, value in state.items()}
