"""Which pairs are validated on, where neither the user nor the folder says. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from advtasks.data.folder import hold_out

_MOST = 40
"""Pairs that are held out."""
_TOGETHER = 10
"""Pairs of one target that are always held out together; of many pairs a tenth of them."""


def held_out_pairs(contents: Sequence[str]) -> set[str]:
    """The contents of the pairs to validate on. Those of one target (its part before the ``+``) go together, so that
    none is validated on that was trained on under another input; but not where it is no picture of its own, such as
    the mask of nothing, which many have."""
    shared = Counter(content.partition("+")[0] for content in contents)
    most = max(len(contents) / 10, _TOGETHER)
    groups = {
        content: target if shared[target := content.partition("+")[0]] <= most else content for content in contents
    }
    share = len(set(groups.values())) / max(len(groups), 1)
    chosen = hold_out(list(groups.values()), most=max(1, round(_MOST * share)))
    return {content for content, group in groups.items() if group in chosen}
