"""Atomic writes: a reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO


def _processes() -> str:
    """Which numbers of processes these are: of the host, and of the container, since several may have one name."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # no Linux
        space = ""
    return f"{zlib.crc32((socket.gethostname() + space).encode()):08x}"


_HOST = _processes()
_NAME = re.compile(r"\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.tmp(?:\..*)?")
_STREAMS = {Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd")}
_OWN = {"/dev/stdout": 1, "/dev/stderr": 2}
_CLEARED: set[Path] = set()
_ABANDONED = 7 * 24 * 3600
"""Seconds after which what nobody has written to is nobody's, on whatever machine it was begun."""


@contextlib.contextmanager
def atomic_path(target: Path, place: Callable[[Path, Path], object] = os.replace, flush: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `target`, of the same suffix; on success it is flushed to disk and renamed onto
    `target`, or put there by `place`. Without `flush` a machine that loses its power may leave part of it: for files
    that tell whether they are whole.

    On any error, a full disk included, the temporary file is removed and `target` stays as it was. What a kill left of
    another process of this machine (of any, after a week) is removed when a folder is first written to. What is no
    file, such as /dev/stdout, is written to and stays what it is.
    """
    if target.exists() and not _replaceable(target):
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / f"whole{target.suffix}"
            yield temporary
            with _stream(target) as stream:
                stream.write(temporary.read_bytes())
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear(target.parent)
    temporary = target.with_name(f".{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.tmp{target.suffix}")
    try:
        yield temporary
        if flush:
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        place(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _replaceable(target: Path) -> bool:
    """Whether it is a file, and not a name of an open stream."""
    return target.is_file() and target.parent.absolute() not in _STREAMS


def _stream(target: Path) -> IO[bytes]:
    """Opened anew, a file behind it would not know how far the program has written."""
    own = _OWN.get(str(target))
    return target.open("ab") if own is None else os.fdopen(os.dup(own), "ab")


def is_temporary(path: Path) -> bool:
    """Whether a file is one that :func:`atomic_path` gave, of any process."""
    return _NAME.fullmatch(path.name) is not None


def _clear(folder: Path) -> None:
    if folder in _CLEARED:
        return
    _CLEARED.add(folder)
    for entry in os.scandir(folder):
        found = _NAME.fullmatch(entry.name)
        if not found:
            continue
        with contextlib.suppress(OSError):
            ended = found[1] == _HOST and not _alive(int(found[2]))
            if ended or time.time() - entry.stat().st_mtime > _ABANDONED:
                Path(entry.path).unlink()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def create_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8 to a file that is not there yet, atomically.

    Raises:
        FileExistsError: it is there; it stays as it was.
    """
    with atomic_path(target, place=_placed_new) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _placed_new(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            raise FileExistsError(target) from None
        temporary.replace(target)


def write_bytes(target: Path, data: bytes) -> None:
    """Write `data`, atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)
