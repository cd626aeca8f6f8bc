"""Adversarial losses (pure functions of logits) and losses of pictures, one family a file."""

from advtasks.losses.adversarial_loss import AdversarialLoss
from advtasks.losses.artifacts import locally_discriminative
from advtasks.losses.boundary_equilibrium import BoundaryEquilibrium
from advtasks.losses.dists import DISTS
from advtasks.losses.edges import gradient_variance, sobel_edges
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
from advtasks.losses.frequency import focal_frequency
from advtasks.losses.hinge import Hinge
from advtasks.losses.least_squares import LeastSquares
from advtasks.losses.lpips import LPIPS
from advtasks.losses.luma import luma_l1
from advtasks.losses.minimax import Minimax, NonSaturating
from advtasks.losses.neural_net_distance import NeuralNetDistance
from advtasks.losses.perceptual import PerceptualLoss
from advtasks.losses.pixel import charbonnier
from advtasks.losses.relativistic import RelativisticAverage, RelativisticPaired
from advtasks.losses.structural_similarity import multi_scale_ssim, multi_scale_ssim_loss, ssim_loss
from advtasks.losses.variation import total_variation
from advtasks.losses.wasserstein import Wasserstein

__all__ = [
    "DISTS",
    "LPIPS",
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
    "focal_frequency",
    "gradient_variance",
    "locally_discriminative",
    "luma_l1",
    "multi_scale_ssim",
    "multi_scale_ssim_loss",
    "sobel_edges",
    "ssim_loss",
    "total_variation",
]
