"""Training that begins with the weights of an earlier one, as adversarial stages do in the literature."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from advtasks.bundle import Manifest, find_bundle, load_bundle
from advtasks.distributed import world_size
from advtasks.errors import UsageError
from advtasks.training.checkpoint import Checkpoints
from advtasks.training.networks import Networks


def begin_with(networks: Networks, model: Path) -> None:
    """Give the generator and its moving average the weights of a bundle or of a finished run.

    Raises:
        BundleError: not a bundle.
        UsageError: the bundle holds another network or a folded one, or the generator is shared among processes.
    """
    if networks.sharded and world_size() > 1:
        raise UsageError("initial_weights and shard_generator exclude each other on several processes")
    theirs, manifest = _weights(model)
    own = networks.generator.state_dict()
    different = [name for name in own.keys() | theirs.keys() if name not in own or name not in theirs]
    different += [name for name in own.keys() & theirs.keys() if own[name].shape != theirs[name].shape]
    if different:
        raise UsageError(
            f"{model}: holds {manifest.generator} with {manifest.hyper_parameters}, which is another network than this "
            f"run's ({min(different)} differs): give --generator the same name and options"
        )
    networks.generator.load_state_dict(theirs)
    networks.ema.network.load_state_dict(theirs)


def _weights(model: Path) -> tuple[dict[str, Tensor], Manifest]:
    """Of a bundle, or of the last checkpoint of a run whose bundle holds its network folded
    (:func:`advtasks.bundle.folded`)."""
    network, manifest = load_bundle(find_bundle(model))
    if not manifest.hyper_parameters.get("deployed"):
        return network.state_dict(), manifest
    state = Checkpoints(model / "checkpoints").latest(lambda text: None) if model.is_dir() else None
    if state is None or "ema" not in state:
        raise UsageError(
            f"{model}: its network was folded for inference, which is no beginning for training: give the folder of "
            "a run whose checkpoints are there"
        )
    return state["ema"], manifest
