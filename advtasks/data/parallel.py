"""Work on many files at once, told of as it goes."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from advtasks.errors import DataError

_AHEAD = 1024
"""Items that are handed out before they are asked for: each takes memory."""
Item = TypeVar("Item")
Result = TypeVar("Result")
Watch = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and how many there are."""


def in_parallel(
    what: str, items: Sequence[Item], work: Callable[[Item], Result], watch: Watch = lambda what, done, count: None
) -> tuple[list[Result], list[DataError]]:
    """`work` on all items: the results in order, and the errors of those that failed. An interrupt waits for those that
    have begun, not for the queue.

    Decoding releases the interpreter's lock, so threads use all cores.
    """
    results: list[Result] = []
    errors: list[DataError] = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        rest = iter(items)
        begun: deque[Future[Result]] = deque(pool.submit(work, item) for item in itertools.islice(rest, _AHEAD))
        try:
            for done in range(1, len(items) + 1):
                try:
                    results.append(begun.popleft().result())
                except DataError as error:
                    error.__traceback__ = error.__cause__ = error.__context__ = None  # they hold what was decoded
                    errors.append(error)
                begun.extend(pool.submit(work, item) for item in itertools.islice(rest, 1))
                watch(what, done, len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results, errors
