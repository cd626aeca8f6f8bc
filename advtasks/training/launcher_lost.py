"""A rank ends with the launcher that started it, however that one ends: ``kill -9`` lets it pass nothing on."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from advtasks.errors import TrainingError

LAUNCHER = "ADVTASKS_LAUNCHER"
"""Environment variable with the process number of the launcher."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_launcher() -> None:
    """Have the kernel send SIGTERM when the launcher dies: the ranks then write a checkpoint and leave, as they do when
    it is stopped.

    Raises:
        TrainingError: it has died already.
    """
    launcher = os.environ.get(LAUNCHER)
    if launcher is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != int(launcher):  # before the line above could help
        raise TrainingError(f"the launcher (process {launcher}) is gone; this rank stops before it begins")
