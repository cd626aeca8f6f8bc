"""The inference file: weights as safetensors with a JSON manifest in their metadata. No pickle.

The manifest is read without torch; the weights' sha256 is checked when they are loaded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advtasks.atomic import write_bytes
from advtasks.causes import said
from advtasks.errors import BundleError, UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = 1
_KEY = "advtasks"
BEST = re.compile(r"(?P<stage>.+)-best-(?P<step>\d+)")
"""Names of the bundles of a stage's best validations, without suffix."""
_LONGEST_HEADER = 100 * 2**20


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What inference must know about a network, and what people should know about it."""

    task: str
    """Name of the task that trained it."""
    verb: str
    """The command that uses it, for example ``upscale``."""
    plugin: str
    """Distribution that provides task and generator; what to pip install."""
    plugin_version: str
    advtasks_version: str
    generator: str
    """Component name of the network."""
    hyper_parameters: dict[str, Any]
    """Its keyword arguments."""
    task_options: dict[str, Any] = field(default_factory=dict)
    """Fields of the task's configuration that evaluation needs."""
    channels: int
    out_channels: int | None = None
    """Of the output, where they are not those of the input."""
    scale: int
    """Output size over input size."""
    receptive_radius: int | None
    """Input pixels that an output pixel depends on, to each side; None for a network with global operations."""
    multiple_of: int
    """Input sides must be multiples of this; the engine pads."""
    value_range: tuple[float, float] = (0.0, 1.0)
    precisions: tuple[str, ...] = ("fp32", "bf16")
    metrics: dict[str, float] = field(default_factory=dict)
    """On held-out data, by name."""
    protocols: dict[str, str] = field(default_factory=dict)
    """How each metric was measured."""
    training_data: str = ""
    """Which data, how much of it, and its terms as far as known."""
    licence: str = "not stated; the terms of the training data may apply"
    stage: str = ""
    """Training stage that the weights come from."""
    steps: int = 0
    sha256: str = ""
    """Of the file's tensor section."""
    format: int = FORMAT

    @classmethod
    def of(cls, values: Mapping[str, Any], path: Path) -> Manifest:
        """As a file says it; what a newer advtasks says besides is passed over.

        Raises:
            BundleError: of another format, or incomplete.
        """
        if values.get("format") != FORMAT:
            raise BundleError(
                f"{path}: bundle format {values.get('format')}, this advtasks reads {FORMAT}: pip install -U advtasks"
            )
        known = {f.name for f in dataclasses.fields(cls)}
        try:
            return cls(**{key: value for key, value in values.items() if key in known})
        except TypeError as error:
            raise BundleError(f"{path}: the manifest is incomplete ({error})") from None


def save_bundle(path: Path, network: nn.Module, manifest: Manifest) -> None:
    """Write the network's weights and the manifest, atomically."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    plain = save(tensors)
    digest = hashlib.sha256(plain[8 + int.from_bytes(plain[:8], "little") :]).hexdigest()
    filled = dataclasses.replace(manifest, sha256=digest)
    write_bytes(path, save(tensors, metadata={_KEY: json.dumps(dataclasses.asdict(filled))}))


def folded(network: nn.Module, manifest: Manifest) -> tuple[nn.Module, Manifest]:
    """A network for inference, and the manifest that describes it.

    Networks whose branches can be folded into single layers have a method ``deployed()``, which gives one of equal
    output, and an argument ``deployed`` with which that one is built. All others stay as they are.
    """
    fold = getattr(network, "deployed", None)
    if not callable(fold):
        return network, manifest
    options = {**manifest.hyper_parameters, "deployed": True}
    return fold(), dataclasses.replace(manifest, hyper_parameters=options)


def read_manifest(path: Path) -> Manifest:
    """The manifest of a bundle, without torch.

    Raises:
        BundleError: the file is missing or not a bundle; the message says what it seems to be.
    """
    header, _ = _read_header(path)
    text = header.get("__metadata__", {}).get(_KEY)
    if text is None:
        raise BundleError(
            f"{path}: a safetensors file without an advtasks manifest. Only bundles written by `advtasks train` can "
            "be used here."
        )
    return Manifest.of(json.loads(text), path)


def is_bundle(path: Path) -> bool:
    """Whether a file is a safetensors file with a manifest of ours."""
    try:
        return _KEY in _read_header(path)[0].get("__metadata__", {})
    except BundleError:
        return False


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The JSON header of a safetensors file, and where its tensors start."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 10 or length > min(size - 8, _LONGEST_HEADER):
                raise BundleError(f"{path}: not a bundle (no safetensors header); {_guess(path)}")
            header = json.loads(file.read(length))
    except OSError as error:
        raise BundleError(f"{path}: {said(error)}") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise BundleError(f"{path}: not a bundle (its header is not JSON); {_guess(path)}") from None
    if not isinstance(header, dict):
        raise BundleError(f"{path}: not a bundle (its header is not a JSON object)")
    return header, 8 + length


def _guess(path: Path) -> str:
    if path.suffix in (".pth", ".pt", ".ckpt"):
        return "it looks like a PyTorch checkpoint; give the run folder or its bundle.safetensors"
    return "give a run folder or a bundle.safetensors written by `advtasks train`"


def find_bundle(model: Path) -> Path:
    """The bundle that `model` means: itself, or the one in a run folder.

    Raises:
        BundleError: no such file, or a run without a finished bundle.
    """
    if model.is_file():
        return model
    if not model.exists():
        raise BundleError(f"{model}: no such model; give a run folder or a bundle.safetensors")
    if (model / "bundle.safetensors").is_file():
        return model / "bundle.safetensors"
    if (model / "run.yaml").is_file():
        written = [path for path in (model / "stages").glob("*.safetensors") if not BEST.fullmatch(path.stem)]
        stages = sorted(written, key=lambda path: path.stat().st_mtime)
        hint = f", or use the finished stage {stages[-1]}" if stages else ""
        raise BundleError(f"{model}: training has not finished. Go on with `advtasks train --resume {model}`{hint}")
    raise BundleError(f"{model}: a folder without bundle.safetensors and run.yaml, so not a run")


def load_bundle(path: Path) -> tuple[nn.Module, Manifest]:
    """The network of a bundle, on the CPU, in evaluation mode.

    Raises:
        BundleError: not a bundle, damaged, or its plugin is not installed.
    """
    from safetensors.torch import load

    from advtasks import components

    manifest = read_manifest(path)
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    if hashlib.sha256(data[start:]).hexdigest() != manifest.sha256:
        raise BundleError(f"{path}: damaged (its weights do not match the manifest's sha256); copy it again")
    try:
        network: nn.Module = components.build("generators", manifest.generator, **manifest.hyper_parameters)
    except UsageError as error:
        raise BundleError(
            f"{path}: needs the network {manifest.generator!r} of {manifest.plugin} {manifest.plugin_version}, which "
            f"is not installed here: pip install '{manifest.plugin}>={manifest.plugin_version}' ({error})"
        ) from None
    tensors: dict[str, Tensor] = load(data)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise BundleError(
            f"{path}: its weights do not fit the network {manifest.generator!r} that is installed ({error}); install "
            f"{manifest.plugin} {manifest.plugin_version}"
        ) from None
    return network.eval(), manifest
