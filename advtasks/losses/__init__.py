"""Adversarial losses (pure functions of logits) and perceptual loss, one family a file."""

from advtasks.losses.adversarial_loss import AdversarialLoss
from advtasks.losses.boundary_equilibrium import BoundaryEquilibrium
from advtasks.losses.energy_based import EnergyBased
from advtasks.losses.f_divergence import (
    Alpha,
    FDivergence,
    Jeffrey,
    JensenShannon,
    KullbackLeibler,
    Neyman,
    OriginalGAN,
    Pearson,
    ReverseKullbackLeibler,
    SquaredHellinger,
    TotalVariation,
    WeightedJensenShannon,
)
from advtasks.losses.hinge import Hinge
from advtasks.losses.least_squares import LeastSquares
from advtasks.losses.minimax import Minimax, NonSaturating
from advtasks.losses.neural_net_distance import NeuralNetDistance
from advtasks.losses.perceptual import PerceptualLoss
from advtasks.losses.pixel import charbonnier
from advtasks.losses.relativistic import RelativisticAverage, RelativisticPaired
from advtasks.losses.wasserstein import Wasserstein

__all__ = [
    "AdversarialLoss",
    "Alpha",
    "BoundaryEquilibrium",
    "EnergyBased",
    "FDivergence",
    "Hinge",
    "Jeffrey",
    "JensenShannon",
    "KullbackLeibler",
    "LeastSquares",
    "Minimax",
    "NeuralNetDistance",
    "Neyman",
    "NonSaturating",
    "OriginalGAN",
    "Pearson",
    "PerceptualLoss",
    "RelativisticAverage",
    "RelativisticPaired",
    "ReverseKullbackLeibler",
    "SquaredHellinger",
    "TotalVariation",
    "Wasserstein",
    "WeightedJensenShannon",
    "charbonnier",
]
