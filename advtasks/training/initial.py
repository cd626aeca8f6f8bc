"""Training that begins with the weights of an earlier one, as adversarial stages do in the literature."""

from __future__ import annotations

from pathlib import Path

from advtasks.bundle import find_bundle, load_bundle
from advtasks.distributed import world_size
from advtasks.errors import UsageError
from advtasks.training.networks import Networks


def begin_with(networks: Networks, model: Path) -> None:
    """Give the generator and its moving average the weights of a bundle or of a finished run.

    Raises:
        BundleError: not a bundle.
        UsageError: the bundle holds another network, or the generator is shared among processes.
    """
    if networks.sharded and world_size() > 1:
        raise UsageError("initial_weights and shard_generator exclude each other on several processes")
    given, manifest = load_bundle(find_bundle(model))
    theirs, own = given.state_dict(), networks.generator.state_dict()
    different = [name for name in own.keys() | theirs.keys() if name not in own or name not in theirs]
    different += [name for name in own.keys() & theirs.keys() if own[name].shape != theirs[name].shape]
    if different:
        raise UsageError(
            f"{model}: holds {manifest.generator} with {manifest.hyper_parameters}, which is another network than this "
            f"run's ({min(different)} differs): give --generator the same name and options"
        )
    networks.generator.load_state_dict(theirs)
    networks.ema.network.load_state_dict(theirs)
