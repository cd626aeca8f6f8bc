"""``advtasks evaluate MODEL... --data DIR``: models against the baseline by their task's protocol, or folders of
generated pictures against real ones."""

from __future__ import annotations

import tyro

from advtasks.cli.evaluate_options import Evaluate
from advtasks.errors import UsageError

_TAKES = {
    "models": {"distances"},
    "folders": {"backbone", "train", "neighbors", "splits", "seed", "dual-encoder"},
    "folders with --paired": {"paired", "backbone", "border", "distances"},
}
"""Options beside those that all take."""


def _refuse_what_has_no_effect(argv: list[str], kind: str) -> None:
    given = {word[2:].partition("=")[0].replace("_", "-") for word in argv if word.startswith("--")}
    for name in sorted(given & set().union(*_TAKES.values()) - _TAKES[kind]):
        takers = " and ".join(other for other, names in _TAKES.items() if name in names)
        raise UsageError(f"--{name} is for {takers}, and has no effect on {kind}: leave it out")


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Evaluate, prog="advtasks evaluate", args=argv)
    if not options.models:
        raise UsageError("name at least one model or folder: advtasks evaluate MODEL --data DIR")
    if options.splits < 1:
        raise UsageError(f"--splits {options.splits}: the inception score needs one part at least")
    if options.border < 0:
        raise UsageError(f"--border {options.border}: pixels are cropped, so none or more")
    folders = [path.is_dir() and not any((path / n).exists() for n in ("bundle.safetensors", "run.yaml"))
               for path in options.models]  # fmt: skip
    if any(folders) and not all(folders):
        pictures, other = (options.models[folders.index(kind)] for kind in (True, False))
        what = "is a model" if other.exists() else "is not there"
        raise UsageError(
            f"{pictures} is a folder of generated pictures, and {other} {what}: models and folders are measured in "
            "different ways, give one kind"
        )
    kind = "models" if not any(folders) else "folders with --paired" if options.paired else "folders"
    _refuse_what_has_no_effect(argv, kind)
    if all(folders):
        from advtasks.cli.evaluate_folders import evaluate_folders

        return evaluate_folders(options)
    from advtasks.cli.evaluate_models import evaluate_models

    return evaluate_models(options)
