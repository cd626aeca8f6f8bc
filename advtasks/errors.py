"""The errors that users see. Each says what is wrong, where, and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AdvtasksError(Exception):
    """Something failed for a reason that the user can act on. The command line prints it and exits with 1."""

    exit_code = 1


class UsageError(AdvtasksError):
    """The command line or a configuration names something that does not exist or does not fit. Exits with 2."""

    exit_code = 2


DATA_MISTAKE = 3
"""Exit code of a rank for a :class:`DataError`: to the launcher of ``--devices`` alone, which exits with 1."""


class DataError(AdvtasksError):
    """The data folder cannot be used as it is."""

    of_one_file = True
    """Whether data that are decoded when needed may pass over the file; a subclass says otherwise."""


class BundleError(AdvtasksError):
    """A model file cannot be read, or needs something that is not here."""


class TrainingError(AdvtasksError):
    """Training stopped: a loss or a weight is not finite, or a checkpoint cannot be used."""


class Diverged(TrainingError):
    """A loss, gradient or weight is not finite or far out of bounds."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that helps with a mistyped name: the close matches, or all that is known."""
    choices = sorted(known)
    close = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(match) for match in close) + "?"
    return "known: " + (", ".join(choices) if choices else "none")


class Interrupted(Exception):
    """The run was asked to stop and has written a checkpoint; the message is the signal's name."""
