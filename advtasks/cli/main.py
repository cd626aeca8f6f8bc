"""``advtasks VERB ...``: finds the verb, runs it, turns errors into messages and exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from advtasks.errors import AdvtasksError, UsageError, did_you_mean
from advtasks.plugins import plugins, resolve

VERBS = {
    "train": ("train a task on a folder of pictures, or resume a run", "advtasks.cli.train:main"),
    "evaluate": ("measure models, or folders of generated pictures", "advtasks.cli.evaluate:main"),
    "compare": ("compare score cards that were measured in the same way", "advtasks.cli.compare:main"),
    "runs": ("list runs with their state and metrics", "advtasks.cli.runs:main"),
    "report": ("write the report page of a run again, or compare runs", "advtasks.cli.report:main"),
    "models": ("show what a model file holds", "advtasks.cli.models:main"),
    "export": ("write a model as ONNX or as weights for other programs", "advtasks.cli.export:main"),
    "data": ("check a data folder before training", "advtasks.cli.data:main"),
    "plugins": ("list plugins and what they provide", "advtasks.cli.plugins:main"),
    "doctor": ("show versions, devices, and what is missing", "advtasks.cli.doctor:main"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and give its exit code: 0 done, 1 failed, 2 usage, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):  # the name of a file may be no text of the terminal's encoding
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _dispatch(arguments)
    except AdvtasksError as error:
        if str(error):
            print(f"advtasks: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        if "LOCAL_RANK" not in os.environ:  # else the launcher says it for all
            print("\nadvtasks: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:  # a full disk, a folder that may not be written
        place = f"{error.filename}: " if error.filename else ""
        print(f"advtasks: {place}{error.strerror or error}", file=sys.stderr)
        return 1


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if arguments else 2
    if arguments[0] in ("--version", "-V"):
        print(f"advtasks {version('advtasks')}")
        return 0
    verb, *rest = arguments
    if verb in VERBS:
        return int(resolve(VERBS[verb][1])(rest))
    provided = plugins().provided("verbs")
    if verb not in provided:
        broken = "".join(f"\n{line}" for line in plugins().report_broken())
        raise UsageError(f"unknown command {verb!r}: {did_you_mean(verb, [*VERBS, *provided])}{broken}")
    return int(resolve(provided[verb].spec.run)(rest))


def _help() -> str:
    lines = [
        "advtasks: a discriminator and an adversarial loss for any image task",
        "",
        "usage: advtasks COMMAND [OPTIONS]      advtasks COMMAND --help",
        "",
    ]
    lines += [f"  {name:<10}  {summary}" for name, (summary, _) in VERBS.items()]
    for name, found in plugins().provided("verbs").items():
        hidden = f" (out of reach: advtasks has a {name} itself; of {found.plugin.name})" if name in VERBS else ""
        lines.append(f"  {name:<10}  {found.spec.summary}{hidden}")
    lines += ["", "tasks (advtasks train TASK --data DIR):"]
    lines += [f"  {name:<10}  {found.spec.summary}" for name, found in plugins().provided("tasks").items()]
    lines += [f"\n{line}" for line in plugins().report_broken()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
