"""Sensor noise: Gaussian, or Poisson as of counted photons; of each channel, or the same for all (grey).

Poisson counts are computed from normal draws by the inverse of their distribution. A sampler that rejects, such as
``torch.poisson``, uses as many random numbers as the rates ask for: the last bit of one pixel would change all the
noise after it, and with it the equality of one process and several.
"""

from __future__ import annotations

import torch
from torch import Tensor

from advtasks.draws import Draws
from advtasks.transfers import constant
from advtasks_sr.degradations.recipe import Noise
from advtasks_sr.degradations.spread import within

_LUMA = (0.299, 0.587, 0.114)


def noisy(pictures: Tensor, noise: Noise, draws: Draws) -> Tensor:
    """Pictures (N, 3, H, W) in about [0, 1], with noise for a share of them; those are clipped to [0, 1]."""
    rows = len(pictures)
    u = draws.uniform(rows, 4).T
    normal = draws.normal(rows, *pictures.shape[1:], device=pictures.device)
    taking_part, gaussian, grey = u[0] < noise.probability, u[1] < noise.gaussian, u[2] < noise.grey
    sigma, strength = within(u[3], *noise.sigma) / 255, within(u[3], *noise.strength)
    found = pictures.clone()
    kinds = (
        (taking_part & gaussian & ~grey, False, False),
        (taking_part & gaussian & grey, False, True),
        (taking_part & ~gaussian & ~grey, True, False),
        (taking_part & ~gaussian & grey, True, True),
    )
    for chosen, is_poisson, is_grey in kinds:
        taken = chosen.nonzero()[:, 0]
        if not len(taken):
            continue
        amount = (strength if is_poisson else sigma)[taken].to(pictures.device, non_blocking=True)[:, None, None, None]
        taken = taken.to(pictures.device, non_blocking=True)
        clean, z = pictures[taken], normal[taken]
        z = z[:, :1] if is_grey else z
        added = poisson_noise(clean, z) if is_poisson else z
        found[taken] = (clean + added * amount).clamp(0, 1)
    return found


def poisson_noise(pictures: Tensor, normal: Tensor) -> Tensor:
    """What counting photons adds: P(x·v)/v - x, with x rounded to 8 bit and v the number of levels in the picture,
    raised to a power of 2. Real-ESRGAN (section 3.1; the number of levels as in BasicSR's ``degradations.py``) after
    scikit-image's ``random_noise``.

    Args:
        pictures: (N, C, H, W) in about [0, 1].
        normal: the draws, (N, C, H, W); or (N, 1, H, W), and the noise of the pictures' luma is given.

    Returns:
        Noise of the shape of `normal`, with mean 0 and variance x/v.
    """
    if normal.shape[1] != pictures.shape[1]:
        pictures = (pictures * constant(_LUMA, pictures)[:, None, None]).sum(1, keepdim=True)
    x = (pictures.clamp(0, 1) * 255).round() / 255
    levels = torch.zeros(len(x), 256, device=x.device).scatter_(1, (x * 255).round().long().flatten(1), 1.0).sum(1)
    counts = torch.exp2(levels.log2().ceil())[:, None, None, None]
    return poisson_quantile(x * counts, normal) / counts - x


def poisson_quantile(rates: Tensor, normal: Tensor) -> Tensor:
    """The Poisson count at the place in its distribution where a standard normal draw is in its own: the smallest k
    with P(X ≤ k) = Q(k + 1, λ) ≥ Φ(z), Q the regularized upper incomplete gamma function. Normal draws in, Poisson
    draws out.

    The Cornish-Fisher expansion λ + √λ z + (z² - 1)/6 finds k to within one; three looks at Q decide.

    Args:
        rates: λ ≥ 0, to some hundreds.
        normal: z, of the same shape.
    """
    wanted = torch.special.ndtr(normal)
    near = (rates + rates.sqrt() * normal + (normal**2 - 1) / 6 - 0.5).round()
    # below the median the expansion turns up again where rates are small
    highest = torch.where(normal < 0, rates.ceil(), torch.inf)
    near = torch.minimum(near, highest).clamp(min=1)
    found = near - 1
    for step in (-1.0, 0.0, 1.0):
        found += torch.special.gammaincc(near + step + 1, rates) < wanted
    return torch.where(rates > 0, found, 0.0)
