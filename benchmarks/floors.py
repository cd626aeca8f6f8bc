"""Floors: training steps written by hand in plain PyTorch, as fast as we can make them, and the ceiling above them.

``floor(setting)`` gives a function that does one training step on one batch that lies on the device as bytes. It holds
what the method needs and nothing else: no loading, logging, moving average, schedule or check. Only networks come from
the framework, so that both sides compute the same. No step waits for the device; whoever times it must synchronize.

What makes them fast: one fake batch for both phases; a critic frozen while the generator learns; real and fake in one
pass where no batch norm forbids it; fused Adam; gradient penalties without double backward (see ``gradients``).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from advtasks_pix2pix.generators import UNet
from advtasks_sr.generators import SRResNet
from torch import Tensor, nn
from torch.nn.functional import conv2d, l1_loss, relu, softplus
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

from advtasks.discriminators import PatchDiscriminator, VGGStyleDiscriminator

Step = Callable[[], None]
Network = TypeVar("Network", bound=nn.Module)
Norm = Literal["batch", "none", "spectral"]

LOW, SCALE, SR_BATCH, SIDE, LATENT, GAN_BATCH = 32, 4, 4, 64, 100, 64
PAIR_SIDE, PAIR_BATCH = 256, 1


def batch_of(name: str) -> int:
    """Samples of a step."""
    return SR_BATCH if name.startswith("sr") else PAIR_BATCH if name == "pix2pix" else GAN_BATCH


@dataclass(frozen=True)
class Setting:
    """How and where a step computes."""

    precision: Literal["fp32", "bf16"]
    channels_last: bool
    device: torch.device

    @property
    def layout(self) -> torch.memory_format:
        """Of weights and pictures."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self) -> torch.autocast:
        """A context in the precision of the step."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")

    def place(self, network: Network) -> Network:
        """The network on the device, in the layout."""
        return network.to(self.device).to(memory_format=self.layout)  # type: ignore[call-overload]

    def pixels(self, side: int, batch: int) -> Tensor:
        """Random bytes (N, H, W, 3) on the device."""
        return torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8, device=self.device)

    def floats(self, pixels: Tensor) -> Tensor:
        """Bytes (N, H, W, 3) to floats (N, 3, H, W) in [0, 1], in the layout."""
        return pixels.permute(0, 3, 1, 2).to(dtype=torch.float32, memory_format=self.layout).div_(255)


def adam(network: nn.Module, rate: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Adam, one kernel for all parameters."""
    return torch.optim.Adam(network.parameters(), lr=rate, betas=betas, fused=True)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """The critic's part of the non-saturating loss."""
    return softplus(-real).mean() + softplus(fake).mean()


class DCGANGenerator(nn.Sequential):
    """Noise (N, 100, 1, 1) to pictures (N, 3, 64, 64) in [-1, 1] (Radford et al. 2015)."""

    def __init__(self, latent: int = LATENT, width: int = 64) -> None:
        widths = [width * 8, width * 4, width * 2, width]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], 4, 1, 0, bias=False)]
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(True), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(width), nn.ReLU(True), nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh()]
        super().__init__(*layers)


class DCGANCritic(nn.Sequential):
    """Pictures (N, 3, 64, 64) to logits (N, 1, 1, 1) (Radford et al. 2015)."""

    def __init__(self, norm: Norm = "batch", width: int = 64) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise([3, width, width * 2, width * 4, width * 8]):
            normed = norm == "batch" and inputs > 3
            layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not normed))
            layers += [nn.BatchNorm2d(outputs)] if normed else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        super().__init__(*layers, nn.Conv2d(width * 8, 1, 4, 1, 0))
        self.judges_alone = True  # for the framework: nothing but batch norm mixes samples here
        if norm == "spectral":
            for layer in self:
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)


def srresnet(setting: Setting) -> Step:
    """SRResNet 16 x 64, x4, L1."""
    torch.manual_seed(0)
    generator = setting.place(SRResNet(SCALE))
    optimizer = adam(generator, 1e-4, (0.9, 0.99))
    low, high = setting.pixels(LOW, SR_BATCH), setting.pixels(LOW * SCALE, SR_BATCH)

    def step() -> None:
        with setting.autocast():
            fake = generator(setting.floats(low))
        descend(optimizer, l1_loss(fake, setting.floats(high)))

    return step


def srgan(setting: Setting) -> Step:
    """The same with a VGG-style critic and the non-saturating loss."""
    torch.manual_seed(0)
    generator, critic = setting.place(SRResNet(SCALE)), setting.place(VGGStyleDiscriminator())
    optimizer, critic_optimizer = adam(generator, 1e-4, (0.9, 0.99)), adam(critic, 1e-4, (0.9, 0.99))
    low, high = setting.pixels(LOW, SR_BATCH), setting.pixels(LOW * SCALE, SR_BATCH)

    def step() -> None:
        real = setting.floats(high)
        critic.requires_grad_(True)
        with setting.autocast():
            fake = generator(setting.floats(low))
            of_real, of_fake = critic(real).float(), critic(fake.detach()).float()
        descend(critic_optimizer, cross_entropy(of_real, of_fake))
        critic.requires_grad_(False)
        with setting.autocast():
            of_fake = critic(fake).float()
        descend(optimizer, l1_loss(fake, real) + 5e-3 * softplus(-of_fake).mean())

    return step


def pix2pix(setting: Setting) -> Step:
    """The 54.4 M U-Net with batch norm and dropout, 70x70 PatchGAN that sees the input, 100 L1 + GAN, batch 1."""
    torch.manual_seed(0)
    generator = setting.place(UNet(norm="batch", upsample="transposed", dropout=0.5, test_time="paper"))
    critic = setting.place(PatchDiscriminator(6, norm="batch"))
    optimizer, critic_optimizer = adam(generator, 2e-4, (0.5, 0.999)), adam(critic, 2e-4, (0.5, 0.999))
    given, target = (setting.pixels(PAIR_SIDE, PAIR_BATCH) for _ in range(2))

    def step() -> None:
        condition, real = setting.floats(given), setting.floats(target)
        critic.requires_grad_(True)
        with setting.autocast():
            fake = generator(condition)
            of_real, of_fake = critic(real, condition).float(), critic(fake.detach(), condition).float()
        descend(critic_optimizer, cross_entropy(of_real, of_fake))
        critic.requires_grad_(False)
        with setting.autocast():
            of_fake = critic(fake, condition).float()
        descend(optimizer, 100 * l1_loss(fake, real) + softplus(-of_fake).mean())

    return step


class InputGradient(torch.autograd.Function):
    """The gradient of a convolution in its input, as a function of the gradient in its output and of the weight."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor, x: Tensor, stride: list[int], padding: list[int]) -> Tensor:
        """The gradient in `x`, of which only the shape counts."""
        ctx.save_for_backward(grad, weight)
        ctx.rest = None, stride, padding, [1, 1], False, [0, 0], 1
        return torch.ops.aten.convolution_backward(grad, x, weight, *ctx.rest, [True, False, False])[0]

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        """It is linear in both."""
        grad, weight = ctx.saved_tensors
        in_grad = conv2d(v, weight, *ctx.rest[:3]) if ctx.needs_input_grad[0] else None
        in_weight = torch.ops.aten.convolution_backward(grad, v, weight, *ctx.rest, [False, True, False])[1]
        return in_grad, in_weight, None, None, None


def gradients(critic: nn.Sequential, picture: Tensor) -> Tensor:
    """Of each picture's logit in the picture, in fp32, differentiable in the weights: the chain rule by hand.

    Autograd's double backward does half as many convolutions again, with the zeros of the activations' second
    derivative, and takes the gradients in the weights by convolutions with kernels as large as the maps.
    """
    inputs = []
    with torch.no_grad():
        for layer in critic:
            inputs.append(picture)
            picture = layer(picture)
    grad = torch.ones_like(picture)
    for layer, x in zip(reversed(list(critic)), reversed(inputs), strict=True):
        if isinstance(layer, nn.Conv2d):
            grad = InputGradient.apply(grad, layer.weight, x, layer.stride, layer.padding)
        else:  # the activation was in place, so that x is its output, of the same sign
            grad = torch.ops.aten.leaky_relu_backward(grad, x, 0.2, True)
    return grad


def gradients_by_autograd(critic: nn.Sequential, picture: Tensor) -> Tensor:
    """The same by double backward, as usual."""
    leaf = picture.detach().requires_grad_(True)
    return torch.autograd.grad(critic(leaf).sum(), leaf, create_graph=True)[0]


def _gan(
    setting: Setting,
    norm: Norm,
    critic_loss: Callable[[Tensor, Tensor], Tensor],
    generator_loss: Callable[[Tensor], Tensor],
    penalty: Callable[[nn.Sequential, Tensor, Tensor], Tensor] | None = None,
    interval: int = 0,
) -> Step:
    """A critic step and a generator step. The penalty is in the critic's loss, or a step of its own at `interval`."""
    torch.manual_seed(0)
    generator, critic = setting.place(DCGANGenerator()), setting.place(DCGANCritic(norm))
    optimizer, critic_optimizer = adam(generator, 2e-4, (0.5, 0.999)), adam(critic, 2e-4, (0.5, 0.999))
    pixels = setting.pixels(SIDE, GAN_BATCH)
    count = 0

    def step() -> None:
        nonlocal count
        real = setting.floats(pixels).mul_(2).sub_(1)
        noise = torch.randn(GAN_BATCH, LATENT, 1, 1, device=setting.device)
        critic.requires_grad_(True)
        with setting.autocast():
            fake = generator(noise)
            seen = fake.detach()
            if norm == "batch":  # statistics of real and of fake stay apart
                of_real, of_fake = critic(real).float(), critic(seen).float()
            else:
                of_real, of_fake = critic(torch.cat((real.to(seen.dtype), seen))).float().chunk(2)
        loss = critic_loss(of_real, of_fake)
        if penalty is not None and not interval:
            loss = loss + penalty(critic, real, seen.float())
        descend(critic_optimizer, loss)
        if penalty is not None and interval and count % interval == 0:
            descend(critic_optimizer, interval * penalty(critic, real, seen.float()))
        count += 1
        critic.requires_grad_(False)
        with setting.autocast():
            of_fake = critic(fake).float()
        descend(optimizer, generator_loss(of_fake))

    return step


def dcgan(setting: Setting) -> Step:
    """Non-saturating loss, batch norm in both networks."""
    return _gan(setting, "batch", cross_entropy, lambda fake: softplus(-fake).mean())


def hinge_sn(setting: Setting) -> Step:
    """Hinge loss, spectral norm."""
    return _gan(
        setting, "spectral", lambda real, fake: relu(1 - real).mean() + relu(1 + fake).mean(), lambda fake: -fake.mean()
    )


def wgan_gp(setting: Setting, double_backward: bool = False) -> Step:
    """Wasserstein loss, no norm in the critic, 10 E (norm - 1)² at a random place between each real and fake."""

    def penalty(critic: nn.Sequential, real: Tensor, fake: Tensor) -> Tensor:
        between = torch.lerp(fake, real, torch.rand(len(real), 1, 1, 1, device=real.device))
        gradient = (gradients_by_autograd if double_backward else gradients)(critic, between)
        return 10 * (torch.linalg.vector_norm(gradient, dim=(1, 2, 3)) - 1).square().mean()

    return _gan(setting, "none", lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean(), penalty)


def lazy_r1(setting: Setting, double_backward: bool = False) -> Step:
    """Non-saturating loss, no norm in the critic, R1 (gamma 10) in steps 0, 16, …: time whole multiples of 16."""

    def penalty(critic: nn.Sequential, real: Tensor, fake: Tensor) -> Tensor:
        gradient = (gradients_by_autograd if double_backward else gradients)(critic, real)
        return 5 * gradient.square().sum((1, 2, 3)).mean()

    return _gan(setting, "none", cross_entropy, lambda fake: softplus(-fake).mean(), penalty, interval=16)


def convolution_ceiling(setting: Setting, repeats: int = 8) -> float:
    """GFLOP/s of a 64 to 64 3x3 convolution on 96 x 96 pixels, forward and backward, the best of `repeats`."""
    batch, runs = (64, 20) if setting.device.type == "cuda" else (4, 4)
    layer = setting.place(nn.Conv2d(64, 64, 3, 1, 1, bias=False))
    layer.to(torch.bfloat16 if setting.precision == "bf16" else torch.float32)
    x = torch.randn(batch, 64, 96, 96).to(layer.weight).to(memory_format=setting.layout).requires_grad_(True)
    grad, best = torch.ones_like(x), float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(runs):
            torch.autograd.grad(layer(x), (x, layer.weight), grad)
        if setting.device.type == "cuda":
            torch.cuda.synchronize(setting.device)
        best = min(best, (time.perf_counter() - start) / runs)
    return 3 * 2 * batch * 96 * 96 * 64 * 64 * 9 / best / 1e9


class _NoModules(ModuleTracker):
    """Its hooks on modules fail at ``autograd.grad`` of a leaf, which double backward needs."""

    __enter__ = __exit__ = lambda self, *_: self


def flops(step: Step, steps: int = 1) -> float:
    """GFLOP of a step, the mean of `steps`, which are run."""
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _NoModules()
    with counter:
        for _ in range(steps):
            step()
    return counter.get_total_flops() / steps / 1e9
