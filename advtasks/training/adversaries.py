"""From a configuration to an adversary for each view of a task."""

from __future__ import annotations

from advtasks import components
from advtasks.adversary import Adversary
from advtasks.config import RunConfig
from advtasks.errors import UsageError
from advtasks.mixture import AnyAdversary, MixtureAdversary
from advtasks.task import Task, View
from advtasks.training.randomness import seed_draws


def make_adversaries(task: Task, config: RunConfig) -> dict[str, AnyAdversary]:
    """A freshly initialised adversary for each view that the task shows; none with ``--adversary.kind none``.

    Raises:
        UsageError: an unknown component or option, or a combination that makes no sense.
    """
    wanted = config.adversary
    if wanted.kind == "none":
        return {}
    adversaries: dict[str, AnyAdversary] = {}
    for name, view in task.views().items():
        if wanted.conditioning == "projection" and not (view.classes or view.embedding):
            raise UsageError(
                f"--adversary.conditioning projection needs classes or an embedding, and the view {name!r} of "
                "this task shows none; use concat"
            )
        seed_draws(config.seed, 0, f"adversary/{name}")
        made = [_make_adversary(config, view) for _ in range(wanted.critics)]
        adversaries[name] = made[0] if len(made) == 1 else MixtureAdversary(made)
    return adversaries


def _make_adversary(config: RunConfig, view: View) -> Adversary:
    wanted = config.adversary
    joined = view.condition_width if wanted.conditioning == "concat" else 0
    channels = (view.channels + joined) * wanted.pack
    return Adversary(
        components.build("discriminators", wanted.discriminator, in_channels=channels),
        wanted.loss,
        weight=wanted.weight,
        regularizers=wanted.regularizers,
        augments=wanted.augments,
        conditioning=wanted.conditioning,
        pack=wanted.pack,
        view=view,
        label_smoothing=wanted.label_smoothing,
        optimizer=wanted.optimizer,
        learning_rate=wanted.learning_rate,
        betas=wanted.betas,
        clip_norm=wanted.clip_norm,
        updates=wanted.updates,
        compile=config.compile,
        accumulate=config.accumulate,
    )
