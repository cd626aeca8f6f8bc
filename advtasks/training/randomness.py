"""Random numbers as a function of (seed, step, phase), so that a resumed run draws what the whole run drew.

Nothing needs to be stored, and a critic's dropout never shifts the draws of the generator.
"""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def seed_draws(seed: int, step: int, purpose: str) -> None:
    """Seed torch, NumPy and Python for one purpose within one step."""
    digest = hashlib.blake2b(f"{seed}/{step}/{purpose}".encode(), digest_size=8).digest()
    number = int.from_bytes(digest, "little")
    # not torch.manual_seed, which on a machine without a GPU formats a traceback and queues it for each device type:
    # 2 ms a call, and memory that grows for ever
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(number)
    np.random.seed(number % 2**32)
    random.seed(number)
