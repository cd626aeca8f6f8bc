"""What became of the files of a batch."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from pathlib import Path

from advtasks.causes import is_of_the_device, said
from advtasks.errors import AdvtasksError, DataError

_FOR_GOOD = ("illegal memory access", "device-side assert", "unspecified launch failure", "uncorrectable ECC")
"""Errors of a GPU after which this process can use it no more."""
AGAIN = "run the same command again: what is done is skipped, unless you --overwrite"
"""The way to go on with a batch that stopped."""


@dataclass(kw_only=True)
class Result:
    """What became of one file."""

    source: Path
    status: str
    """``written``, ``skipped``, ``failed``, or ``planned`` of a dry run."""
    target: Path | None = None
    message: str = ""
    """Why it failed, or what is not as it was asked for."""
    width: int = 0
    height: int = 0
    frames: int = 1
    seconds: float = 0.0
    """From the begin of its computation to the end of its encoding."""

    @classmethod
    def failure(cls, source: Path, error: BaseException) -> Result:
        """That of a file that could not be done."""
        if hopeless := _hopeless(error):
            message = f"{source}: {hopeless}{AGAIN}"
        elif isinstance(error, DataError) and str(source) in str(error):
            message = str(error)
        elif isinstance(error, AdvtasksError):
            message = f"{source}: {error}"
        else:
            message = f"{source}: {type(error).__name__}: {error}"
        return cls(source=source, status="failed", message=message)

    @property
    def stops(self) -> bool:
        """Whether there is no use in trying the rest: nothing can be written, or the device failed."""
        return self.message.endswith(AGAIN)

    def line(self) -> str:
        """For the user."""
        if self.status == "failed":
            return f"failed   {self.message}"
        if self.status == "skipped":
            return f"{self.source}: exists as {self.target}, skipped (--overwrite replaces it){self.message}"
        frames = f", {self.frames} frames" if self.frames > 1 else ""
        remark = f"  ({self.message})" if self.message else ""
        return f"{self.source} -> {self.target}  {self.width}x{self.height}{frames}  {self.seconds:.1f} s{remark}"


@dataclass
class Summary:
    """What a batch did, in the order in which files were finished."""

    results: list[Result] = field(default_factory=list)
    stopped: str = ""
    """Why the rest was not tried."""

    def add(self, other: Summary) -> None:
        """What another batch did, after this one."""
        self.results += other.results
        self.stopped = self.stopped or other.stopped

    def having(self, status: str) -> list[Result]:
        """The results with a status."""
        return [result for result in self.results if result.status == status]

    @property
    def exit_code(self) -> int:
        """0 where all succeeded, 1 otherwise."""
        return 1 if self.stopped or self.having("failed") else 0


def _hopeless(error: BaseException | None) -> str:
    """Why no other file can be done either, whatever an encoder made of that; empty where one can."""
    if error is None:
        return ""
    number = getattr(error, "errno", None)
    if number == errno.ENOSPC:
        return "the disk is full; free some space and "
    if number in (errno.EDQUOT, errno.EROFS):
        return f"{said(error)}; mend that and "
    if is_of_the_device(error) and any(words in str(error) for words in _FOR_GOOD):
        return f"{said(error)}: the device failed; "
    return _hopeless(error.__cause__)
