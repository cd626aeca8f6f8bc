"""The networks of a run, where they train: on their device, in their layout, with what runs them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from advtasks.config import RunConfig
from advtasks.devices import autocast, choose_precision, use_device
from advtasks.distributed import all_mean, world_size
from advtasks.layers import synchronize_batch_norm
from advtasks.mixture import AnyAdversary
from advtasks.task import Task
from advtasks.training.ema import MovingAverage
from advtasks.training.randomness import seed_draws
from advtasks.training.sharding import keep_for_second_derivatives, shard, whole_state


class Networks:
    """Generator, its moving average, and the adversaries.

    Args:
        task: moved to the device.
        adversaries: one for each view; none trains the plain task.
    """

    def __init__(self, task: Task, config: RunConfig, adversaries: dict[str, AnyAdversary]) -> None:
        self.device = use_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        self.autocast = autocast(self.device, self.precision)
        self.layout = _layout(config.channels_last)
        other = config.critic_channels_last
        self.critic_layout = self.layout if other is None else _layout(other)
        self.task: Task = self._placed(task).eval()  # what it holds is frozen: no dropout, no new statistics
        seed_draws(config.seed, 0, "generator")
        generator = task.generator()
        self.sharded = config.shard_generator
        """Whether the generator is shared among the ranks. On one process it is whole, and checkpoints fit both."""
        # a shared one may not fit on the device, and stays on the CPU until its blocks go there one by one; its shares
        # are contiguous
        self.generator: nn.Module = generator if self.sharded else self._placed(generator)
        self.adversaries = adversaries
        if world_size() > 1 and config.sync_batch_norm:
            for network in (self.generator, *(adversary.discriminator for adversary in adversaries.values())):
                synchronize_batch_norm(network)
        for adversary in self.adversaries.values():
            adversary.to(self.device, memory_format=self.critic_layout)  # type: ignore[call-overload]
            adversary.set_precision(self.autocast)
        self.ema = MovingAverage(self.generator, config.ema_half_life)
        if self.sharded and world_size() == 1:
            self.generator.to(self.device)
            self.ema.network.to(self.device)
        elif self.sharded:
            shard(self.generator, self.device)
            shard(self.ema.network, self.device)
            regularizers = [item for adversary in adversaries.values() for item in adversary.regularizers]
            if any("generator" in item.phases for item in regularizers):  # type: ignore[operator]
                keep_for_second_derivatives(self.generator)
        self.trained: nn.Module = self.generator
        if config.compile:
            self.trained = torch.compile(self.generator)  # type: ignore[assignment]
        """What runs the generator's main terms."""

    def _placed(self, module: Any) -> Any:
        return module.to(self.device, memory_format=self.layout)

    def fresh_generator(self) -> nn.Module:
        """Untrained and whole, where the networks are; for trials."""
        network: nn.Module = self._placed(self.task.generator())
        return network

    def average(self) -> nn.Module:
        """A whole copy of the moving average, for bundles; on the first rank. All ranks call it together."""
        if not self.sharded:
            return self.ema.network
        state = whole_state(self.ema.network)
        network = self.task.generator()
        if state:
            network.load_state_dict(state)
        return network

    def average_statistics(self) -> None:
        """Replace what batch norm measured on each rank by its mean over ranks, where it is not synchronized."""
        for network in (*self.named().values(), self.ema.network):
            for module in network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    for buffer in (module.running_mean, module.running_var):
                        if buffer is not None:
                            buffer.copy_(all_mean(buffer))

    def named(self) -> dict[str, nn.Module]:
        """All that is trained, by name."""
        return {"generator": self.generator, **self.adversaries}


def _layout(channels_last: bool) -> torch.memory_format:
    return torch.channels_last if channels_last else torch.contiguous_format
