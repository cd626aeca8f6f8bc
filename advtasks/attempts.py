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
        store.set(f"question of {here.rank}", own)  # in the place of one that died
        store.wait([f"answer to {own}"], timeout)
        name = store.get(f"answer to {own}").decode()
        store.set(f"{here.rank} came to {name}", "")
        return name
    missing = set(range(1, here.ranks))
    while missing:
        for number in sorted(missing):
            if store.check([f"question of {number}"]):
                asked = store.get(f"question of {number}").decode()
                store.compare_set(f"answer to {asked}", "", own)  # a first rank that died may have answered
            if store.check([f"{number} came to {own}"]):
                missing.discard(number)
        if time.monotonic() > deadline:
            raise RuntimeError(f"rank {', '.join(map(str, sorted(missing)))} did not come within {timeout}")
        time.sleep(_PAUSE)
    return own
