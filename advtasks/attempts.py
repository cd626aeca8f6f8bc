"""Which start of several processes this is. An elastic launcher keeps its store when it starts them again: what dead
ones left there must not be read, and the hosts' own counts of restarts may differ."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta

from torch.distributed import Store

from advtasks.launchers import Place

_PAUSE = 0.02


def attempt(store: Store, here: Place, timeout: timedelta) -> str:
    """A name that only those have who are alive now: the first rank's own, which it tells all who ask.

    Raises:
        RuntimeError: somebody did not come in time.
    """
    own, deadline = uuid.uuid4().hex, time.monotonic() + timeout.total_seconds()
    if here.rank > 0:
        return _asked(store, here.rank, own, timeout)
    while missing := [number for number in range(1, here.ranks) if not _came(store, number, own)]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"rank {', '.join(map(str, missing))} did not come within {timeout}")
        time.sleep(_PAUSE)
    return own


def _asked(store: Store, rank: int, own: str, timeout: timedelta) -> str:
    store.set(f"question of {rank}", own)  # in the place of one that died
    try:
        store.wait([f"answer to {own}"], timeout)
    except RuntimeError as error:
        raise RuntimeError(f"the first rank did not answer within {timeout}") from error
    name = store.get(f"answer to {own}").decode()
    store.set(f"{own} came to {name}", "")
    return name


def _came(store: Store, number: int, own: str) -> bool:
    """Answer what a rank asks now; whether it has read the answer."""
    if not store.check([f"question of {number}"]):
        return False
    asked = store.get(f"question of {number}").decode()
    store.compare_set(f"answer to {asked}", "", own)  # a first rank that died may have answered
    return store.check([f"{asked} came to {own}"])
