"""Work on many files at once, told of as it goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from advtasks.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")
Watch = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and how many there are."""


def in_parallel(
    what: str, items: Sequence[Item], work: Callable[[Item], Result], watch: Watch
) -> tuple[list[Result], list[DataError]]:
    """`work` on all items: the results in order, and the errors of those that failed. An interrupt waits for those that
    have begun, not for the queue.

    Decoding releases the interpreter's lock, so threads use all cores.
    """
    results: list[Result] = []
    errors: list[DataError] = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for done, future in enumerate(futures, 1):
                try:
                    results.append(future.result())
                except DataError as error:
                    errors.append(error)
                watch(what, done, len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results, errors
