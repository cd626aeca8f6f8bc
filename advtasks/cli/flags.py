"""Flags that a command reads before all of its options are known."""

from __future__ import annotations

import argparse
from typing import NoReturn

from advtasks.errors import UsageError


class Flags(argparse.ArgumentParser):
    """Takes the flags that it was told of, and leaves the others."""

    def __init__(self, command: str) -> None:
        super().__init__(prog=command, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Such as a flag without its value.

        Raises:
            UsageError: with the way to the command's help.
        """
        raise UsageError(f"{message}; see {self.prog} --help")
