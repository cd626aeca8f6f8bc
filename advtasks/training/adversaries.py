"""From a configuration to an adversary for each view of a task."""

from __future__ import annotations

from advtasks import components
from advtasks.adversary import Adversary
from advtasks.config import RunConfig
from advtasks.task import Task
from advtasks.training.randomness import seed_draws


def make_adversaries(task: Task, config: RunConfig) -> dict[str, Adversary]:
    """A freshly initialised adversary for each view that the task shows; none with ``--adversary.kind none``.

    Raises:
        UsageError: an unknown component or option, or a combination that makes no sense.
    """
    wanted = config.adversary
    if wanted.kind == "none":
        return {}
    adversaries = {}
    for name, view in task.views().items():
        seed_draws(config.seed, 0, f"adversary/{name}")
        critic = components.build(
            "discriminators", wanted.discriminator, in_channels=view.channels + view.condition_channels
        )
        adversaries[name] = Adversary(
            critic,
            wanted.loss,
            weight=wanted.weight,
            regularizers=wanted.regularizers,
            label_smoothing=wanted.label_smoothing,
            learning_rate=wanted.learning_rate,
            betas=wanted.betas,
        )
    return adversaries
