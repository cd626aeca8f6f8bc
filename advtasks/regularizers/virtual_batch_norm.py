"""Virtual batch norm in a critic (Salimans et al. 2016, section 3.5)."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from advtasks.discriminators import CriticOutput, Discriminator, criticize
from advtasks.distributed import gather
from advtasks.errors import UsageError
from advtasks.layers import VirtualBatchNorm as Layer
from advtasks.regularizers.regularizer import Regularizer, Scored
from advtasks.task import View

_REPLACED = (nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d)


class VirtuallyNormalized(Discriminator):
    """A critic that sees a reference batch before each batch: its first real one, of all ranks, kept for ever."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic
        self.feature_width = getattr(critic, "feature_width", 0)
        self.reference: tuple[Tensor, Tensor | None] | None = None

    def get_extra_state(self) -> Any:
        """The reference batch belongs to a checkpoint."""
        return self.reference

    def set_extra_state(self, state: Any) -> None:
        """Take the reference batch back."""
        self.reference = state

    def refer_to(self, picture: Tensor, condition: Tensor | None) -> None:
        """Take the reference batch, if there is none yet."""
        if self.reference is None:
            kept = None if condition is None else gather(condition.detach()).clone()  # the caller may reuse his memory
            self.reference = gather(picture.detach().float()).clone(), kept

    def output(self, picture: Tensor, condition: Tensor | None = None) -> CriticOutput:
        """The reference batch, then the pictures."""
        if self.reference is None:
            self.refer_to(picture, condition)
        assert self.reference is not None
        pictures, conditions = self.reference
        if pictures.device != picture.device:  # after a resume
            pictures = pictures.to(picture.device)
            conditions = None if conditions is None else conditions.to(picture.device)
            self.reference = pictures, conditions
        layers = [layer for layer in self.critic.modules() if isinstance(layer, Layer)]
        for layer in layers:
            layer.reference = True
        try:
            criticize(self.critic, pictures.to(picture), conditions)
        finally:
            for layer in layers:
                layer.reference = False
        found = criticize(self.critic, picture, condition)
        for layer in layers:
            layer.forget()
        return found


class VirtualBatchNorm(Regularizer):
    """Replaces batch norm and instance norm in the critic by virtual batch norm. It adds no term.

    When to use: a critic that wants batch norm, beside a gradient penalty that batch norm would spoil. Every pass
    costs one more pass over the reference batch.
    """

    name: ClassVar[str] = "virtual-batch-norm"
    batch_statistics: ClassVar[bool] = True
    phases: ClassVar = ()

    def apply_to(self, discriminator: nn.Module, view: View) -> nn.Module:
        """Replace the layers.

        Raises:
            UsageError: there are none.
        """
        found = [
            (name, layer.num_features) for name, layer in discriminator.named_modules() if isinstance(layer, _REPLACED)
        ]
        if not found:
            raise UsageError(
                f"virtual-batch-norm replaces batch or instance norm, and {type(discriminator).__name__} has none; "
                "choose one with norm=batch, for example patch:norm=batch"
            )
        for name, channels in found:
            parent, _, child = name.rpartition(".")
            setattr(discriminator.get_submodule(parent), child, Layer(channels))
        self._critic = (VirtuallyNormalized(discriminator),)  # not registered twice
        return self._critic[0]

    def prepare(self, scored: Scored) -> None:
        """The first real batch becomes the reference."""
        self._critic[0].refer_to(scored.judged.real, scored.condition)
