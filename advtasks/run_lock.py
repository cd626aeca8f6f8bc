"""``RUN/.lock``: one process trains into a run folder, and how that ended. Imports no torch."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from advtasks.causes import said
from advtasks.errors import Interrupted, UsageError

_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)
_TRIES = 4
_held: set[int] = set()


def _let_go() -> None:
    for number in _held:
        os.close(number)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)  # a loader process that outlives its parent must not keep the run locked


@dataclass(frozen=True)
class Holder:
    """Who trains, or trained last, into a run folder."""

    running: bool
    host: str = "?"
    pid: int = 0
    end: str = ""
    """``finished``, ``stopped`` or ``failed: ...``; empty while it runs, and after a kill."""


class RunLock:
    """Held from its making to :meth:`release`; the kernel releases it when the process dies.

    Raises:
        UsageError: another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".lock"
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        _held.add(self._file)
        if not any(self._taken() for _ in range(_TRIES)):
            self._close()
            holder = read_lock(folder) or Holder(running=True)
            raise UsageError(
                f"{folder} is being trained by process {holder.pid} on {holder.host}: wait until that has ended, or "
                "stop it"
            )
        self._write("")

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.release("finished")
        elif isinstance(error, (Interrupted, KeyboardInterrupt)):
            self.release("stopped")
        else:
            self.release(f"failed: {said(error, 1000)}")

    def release(self, end: str) -> None:
        """Let go, and leave behind how the run ended; nothing where no run began."""
        self._write(end)
        if not (self.path.parent / "run.yaml").exists():
            self.path.unlink(missing_ok=True)
        self._close()

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _TAKEN:
                time.sleep(0.05)  # somebody may only be looking
                return False
            # else a file system without locks: nothing guards the run
        return True

    def _close(self) -> None:
        _held.discard(self._file)
        os.close(self._file)

    def _write(self, end: str) -> None:
        text = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "end": end}) + "\n"
        with contextlib.suppress(OSError):  # a full disk stops no run here
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, text.encode(), 0)


def read_lock(folder: Path) -> Holder | None:
    """Who holds a run folder's lock, or held it last; None where nobody ever did."""
    try:
        with (folder / ".lock").open(encoding="utf-8") as file:
            running = False
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError as error:
                running = error.errno in _TAKEN
            text = file.read()
    except OSError:
        return None
    try:
        values = json.loads(text)
        return Holder(running, str(values["host"]), int(values["pid"]), "" if running else str(values["end"]))
    except (ValueError, KeyError, TypeError):  # a kill between truncating and writing
        return Holder(running)
