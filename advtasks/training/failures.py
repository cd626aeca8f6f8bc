"""What torch and the system say in a traceback, said with a way out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from advtasks.causes import is_out_of_memory, said
from advtasks.errors import TrainingError

_LOADER = "DataLoader worker (pid"


@contextlib.contextmanager
def told(folder: Path) -> Iterator[None]:
    """While a run in `folder` is made and trained.

    Raises:
        TrainingError: memory was full, or a loader process died. Torch tells the latter by a signal, wherever the
            trainer happens to be.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            more = "" if any((folder / "checkpoints").glob("*")) else ", a smaller network, --shard-generator"
            text = (
                f"out of memory ({said(error)}). Ways out: --accumulate N (the batch in N pieces, with the same "
                f"result), a smaller --batch or --patch, --precision bf16{more}"
            )
        elif str(error).startswith(_LOADER):
            text = f"a loader process died ({said(error)}); often memory is full: give fewer --workers"
        else:
            raise
        begun = (folder / "run.yaml").is_file()
        way = (
            f"change it in {folder / 'run.yaml'}, and go on: advtasks train --resume {folder}"
            if begun
            else "then start again"
        )
        raise TrainingError(f"{text}; {way}") from error
