"""Adversarial losses (pure functions of logits) and perceptual loss, one family a file."""

from advtasks.losses.adversarial_loss import AdversarialLoss
from advtasks.losses.hinge import Hinge
from advtasks.losses.least_squares import LeastSquares
from advtasks.losses.minimax import Minimax, NonSaturating
from advtasks.losses.perceptual import PerceptualLoss
from advtasks.losses.pixel import charbonnier
from advtasks.losses.relativistic import RelativisticAverage, RelativisticPaired
from advtasks.losses.wasserstein import Wasserstein

__all__ = [
    "AdversarialLoss",
    "Hinge",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "PerceptualLoss",
    "RelativisticAverage",
    "RelativisticPaired",
    "Wasserstein",
    "charbonnier",
]
