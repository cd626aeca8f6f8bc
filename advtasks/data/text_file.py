"""Reading a text file, or one inside an archive, whole. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from advtasks.causes import said
from advtasks.errors import DataError


def read_text(path: Path) -> str:
    """The text, without a byte order mark.

    Raises:
        DataError: it is not there, or not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text in UTF-8 ({error.reason}); save it as UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({said(error)})") from error
