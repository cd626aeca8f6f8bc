"""A generator whose weights, gradients, optimiser and moving average are shared among the ranks: FSDP2 (Zhao et al.
2023, "PyTorch FSDP"; torch's ``fully_shard``), and its checkpoints through torch's distributed checkpoint.

Critics stay whole on every rank. Between passes a rank holds its share of the generator alone; a pass gathers it.
torch's modules for it take a second to import, so each function imports what it needs.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.optim import Optimizer

from advtasks.components import parse
from advtasks.config import RunConfig
from advtasks.distributed import rank, world_size
from advtasks.errors import UsageError
from advtasks.process_group import FirstRankFailed, from_first

OPTIMIZERS = ("adam", "adamw", "rmsprop")
"""Those whose steps on shares were compared with steps on the whole."""
_LISTS = (nn.Sequential, nn.ModuleList)


def check_shardable(generator: nn.Module, config: RunConfig) -> None:
    """Refuse what shares cannot do.

    Raises:
        UsageError: with the reason and the way out.
    """
    name = parse(config.optimizer).name
    if name not in OPTIMIZERS:
        raise UsageError(
            f"--shard-generator: the optimizer {name} is not known to work on shares: use {', '.join(OPTIMIZERS)}"
        )
    if any(parameter.dim() == 0 for parameter in generator.parameters()):
        raise UsageError("--shard-generator: a parameter of the generator is a single number; give it the shape (1,)")
    if config.accumulate > 1 and any(isinstance(module, ParametrizationList) for module in generator.modules()):
        raise UsageError("--shard-generator: a generator with spectral norm cannot run in pieces; use --accumulate 1")


def shard(network: nn.Module, device: torch.device) -> None:
    """Share a network's parameters among the ranks, in place. They are on the CPU, contiguous, equal on all ranks, and
    no optimiser knows them yet. Block after block goes to the device, where only shares stay."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (world_size(),))
    # explicitly True: torch's default keeps the root whole after a pass without gradient, and an optimiser's step would
    # then leave that copy behind
    for block in (*blocks(network), network):
        fully_shard(block, mesh=mesh, reshard_after_forward=True)


def blocks(network: nn.Module) -> list[nn.Module]:
    """What is gathered at a time: the members of the lists of layers that a network has, or is. Not those of its parts,
    which may reach into them; and none where two have a parameter in common, which must be gathered together."""
    lists = [part for part in (network, *network.children()) if isinstance(part, _LISTS)]
    found = list(dict.fromkeys(block for part in lists for block in _members(part)))
    parameters = [id(parameter) for block in found for parameter in block.parameters()]
    return found if len(parameters) == len(set(parameters)) else []


def _members(part: nn.Module) -> Iterator[nn.Module]:
    for child in part.children():
        if isinstance(child, _LISTS):
            yield from _members(child)
        elif next(child.parameters(), None) is not None and not isinstance(child, nn.ModuleDict):  # is never called
            yield child


def _shared(network: nn.Module) -> list[Any]:
    """The network and its blocks: what torch does to one of them it does not do to those within."""
    return [module for module in network.modules() if is_sharded(module)]


def is_sharded(network: nn.Module) -> bool:
    """Whether :func:`shard` was here."""
    return hasattr(network, "set_reshard_after_backward")


def keep_for_second_derivatives(network: nn.Module) -> None:
    """Terms such as path length go backward twice: the whole weights stay until :func:`reshard`.

    torch's ``set_reshard_after_backward(False)``; without it the second pass meets weights that are gone.
    """
    if is_sharded(network):
        network.set_reshard_after_backward(False)  # type: ignore[operator]


def reshard(network: nn.Module) -> None:
    """After every backward pass, before the optimiser's step. Does nothing to what is shared already."""
    for module in _shared(network):
        module.reshard()


@contextlib.contextmanager
def whole(network: nn.Module) -> Iterator[None]:
    """While entered every rank holds all weights, and passes need no other rank."""
    if not is_sharded(network):
        yield
        return
    network.set_reshard_after_forward(False)  # type: ignore[operator]
    for module in _shared(network):
        module.unshard()
    try:
        yield
    finally:
        reshard(network)
        network.set_reshard_after_forward(True)  # type: ignore[operator]


def whole_state(network: nn.Module) -> dict[str, Any]:
    """The state of a network that may be shared, whole, on the CPU of the first rank; empty elsewhere. All ranks call
    it together."""
    if not is_sharded(network):
        return network.state_dict()
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    found = get_model_state_dict(network, options=options)
    return found if rank() == 0 else {}


def save_shards(folder: Path, networks: dict[str, nn.Module], optimizer: Optimizer) -> None:
    """Each rank writes its share of the networks and of the optimiser of ``networks["generator"]`` into `folder`, which
    appears when all are done.

    Raises:
        OSError: a rank could not write; `folder` is not there.
    """
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_model_state_dict, get_optimizer_state_dict

    temporary = folder.with_name(f".{folder.name}.tmp")
    if rank() == 0:
        shutil.rmtree(temporary, ignore_errors=True)
    _wait()
    state: dict[str, Any] = {name: get_model_state_dict(network) for name, network in networks.items()}
    state["optimizer"] = get_optimizer_state_dict(networks["generator"], optimizer)
    try:
        dcp.save(state, checkpoint_id=temporary, no_dist=world_size() == 1)
    except dcp.CheckpointException as error:  # no Exception, but a BaseException
        if rank() == 0:
            shutil.rmtree(temporary, ignore_errors=True)  # the disk may be full
        raise OSError(f"the shares could not be written ({next(iter(error.failures.values()))[0]})") from error

    def appear() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)

    try:
        from_first(appear, patient=False)
    except FirstRankFailed as error:
        raise OSError("the first rank could not put the shares in their place") from error


def load_shards(folder: Path, networks: dict[str, nn.Module], optimizer: Optimizer | None = None) -> None:
    """Read what :func:`save_shards` wrote, by however many ranks: the networks or, with `optimizer`, its state."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint import state_dict as states

    state: dict[str, Any] = {name: states.get_model_state_dict(network) for name, network in networks.items()}
    if optimizer is not None:
        state = {"optimizer": states.get_optimizer_state_dict(networks["generator"], optimizer)}
    try:
        dcp.load(state, checkpoint_id=folder, no_dist=world_size() == 1)
    except dcp.CheckpointException as error:  # no Exception
        raise RuntimeError(str(error)) from error
    if optimizer is not None:
        states.set_optimizer_state_dict(networks["generator"], optimizer, state["optimizer"])
        return
    for name, network in networks.items():
        states.set_model_state_dict(network, state[name])


def _wait() -> None:
    if world_size() > 1:
        dist.barrier()
