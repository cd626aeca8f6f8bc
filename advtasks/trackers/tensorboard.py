"""TensorBoard event files, when tensorboard is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from advtasks.errors import UsageError


class TensorBoard:
    """Writes scalars under ``RUN/tensorboard``, grouped by kind of record.

    Raises:
        UsageError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UsageError("tensorboard is not installed: pip install tensorboard") from None
        self._new_writer = lambda step: SummaryWriter(log_dir=str(folder / "tensorboard"), purge_step=step)
        self._writer = self._new_writer(None)

    def record(self, values: dict[str, Any]) -> None:
        """Add the numbers of a record."""
        for name, value in values.items():
            if name not in ("step", "kind", "stage") and isinstance(value, (int, float)):
                self._writer.add_scalar(f"{values['kind']}/{name}", value, values["step"])

    def rewind(self, step: int) -> None:
        """Tell TensorBoard to pass over what was written after `step`."""
        self._writer.close()
        self._writer = self._new_writer(step + 1)

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()
