"""Unrolled GAN (Metz et al. 2017): the generator plays against the critic as it will be after K more steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from advtasks.discriminators import CriticOutput, Discriminator, criticize
from advtasks.distributed import all_mean
from advtasks.errors import UsageError
from advtasks.regularizers.regularizer import Regularizer, Scored


def unrolled_parameters(
    objective: Callable[[dict[str, Tensor]], Tensor],
    parameters: Mapping[str, Tensor],
    learning_rate: float,
    steps: int,
) -> dict[str, Tensor]:
    """θ_K, from ``θ_{k+1} = θ_k - η ∇ objective(θ_k)`` (section 2.2, eq. 4 to 6), differentiable with respect to
    whatever else `objective` depends on."""
    current = {name: value.detach().requires_grad_(True) for name, value in parameters.items()}
    for _ in range(steps):
        gradients = torch.autograd.grad(objective(current), list(current.values()), create_graph=True)
        current = {
            name: value - learning_rate * all_mean(gradient)
            for (name, value), gradient in zip(current.items(), gradients, strict=True)
        }
    return current


class _Unrolled(Discriminator):
    """A critic with other parameters than its own."""

    def __init__(self, critic: nn.Module, parameters: dict[str, Tensor]) -> None:
        super().__init__()
        self._calls: tuple[nn.Module, dict[str, Tensor]] = (_Output(critic), parameters)  # not registered
        self.feature_width = getattr(critic, "feature_width", 0)

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        module, parameters = self._calls
        found: CriticOutput = functional_call(module, parameters, (picture, condition))
        return found


class _Output(nn.Module):
    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, picture: Tensor, condition: Tensor | None) -> Any:
        return criticize(self.critic, picture, condition)


class Unrolled(Regularizer):
    """The generator's loss against the critic K gradient steps ahead; see :func:`unrolled_parameters`.

    The critic itself takes its ordinary steps. Look-ahead steps are plain gradient descent on the critic's loss
    (without its regularizers), with a rate of their own.

    When to use: mode collapse on small problems; each step costs K critic steps of memory and time.

    Args:
        steps: K; 0 is the plain game.
        learning_rate: η of the look-ahead.

    Raises:
        UsageError: steps are below 0.
    """

    name: ClassVar[str] = "unrolled"
    batch_statistics: ClassVar[bool] = True
    phases: ClassVar = ()
    second_order: ClassVar[bool] = True

    def __init__(self, steps: int = 5, learning_rate: float = 0.1) -> None:
        super().__init__()
        if steps < 0:
            raise UsageError(f"unrolled: steps must be at least 0, got {steps}")
        self.steps, self.learning_rate = steps, learning_rate

    def critic_for_generator(self, scored: Scored) -> nn.Module:
        """The critic after K steps, as a function of the fakes."""
        if self.steps == 0:
            return scored.critic
        judged, condition = scored.judged, scored.condition
        own = {f"critic.{name}": p for name, p in scored.critic.named_parameters() if p.requires_grad}
        buffers = {f"critic.{name}": value.clone() for name, value in scored.critic.named_buffers()}

        def objective(parameters: dict[str, Tensor]) -> Tensor:
            critic = _Unrolled(scored.critic, {**parameters, **buffers})
            real = critic.output(judged.real, condition)
            return scored.loss.discriminator(real.logits, critic.output(judged.fake, condition).logits)

        ahead = unrolled_parameters(objective, own, self.learning_rate, self.steps)
        return _Unrolled(scored.critic, {**ahead, **buffers})
