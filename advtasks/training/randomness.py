"""Random numbers as a function of (seed, step, phase), so that a resumed run draws what the whole run drew.

Nothing needs to be stored, and a critic's dropout never shifts the draws of the generator.
"""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch

from advtasks.distributed import seed_shared_draws, world_size


def seed_draws(seed: int, step: int, purpose: str, rank: int = 0) -> None:
    """Seed torch, NumPy and Python for one purpose within one step.

    Ranks above 0 get streams of their own, for dropout; what is drawn by :func:`advtasks.distributed.draw_rows` comes
    from one that all share, so that each draws its rows of what one process would draw.
    """
    number = _number(f"{seed}/{step}/{purpose}")
    if world_size() > 1:
        seed_shared_draws(number)
    if rank:
        number = _number(f"{seed}/{step}/{purpose}/rank {rank}")
    # not torch.manual_seed, which on a machine without a GPU formats a traceback and queues it for each device type:
    # 2 ms a call, and memory that grows for ever
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(number)
    np.random.seed(number % 2**32)
    random.seed(number)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
