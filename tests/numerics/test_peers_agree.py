"""Our metrics on the same features as torchmetrics and torch-fidelity."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from advtasks.evaluation.frechet import frechet_distance
from advtasks.evaluation.inception_score import inception_score
from advtasks.evaluation.kid import kernel_distance
from advtasks.evaluation.manifold import manifold
from advtasks.evaluation.moments import Moments
from advtasks.losses import multi_scale_ssim
from advtasks.torchvision_operators import import_torchvision


@pytest.fixture(scope="module")
def peers() -> tuple[object, object]:
    import_torchvision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch_fidelity
        import torchmetrics
    return torchmetrics, torch_fidelity


def features(count: int, d: int = 24, seed: int = 0, shift: float = 0.0) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(count, d, generator=draws) @ torch.randn(d, d, generator=draws) + shift


def test_frechet_and_kernel_distances(peers) -> None:
    x, y = features(300), features(260, seed=1, shift=0.5)
    from torch_fidelity.metric_fid import fid_featuresdict_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    statistics = [fid_featuresdict_to_statistics({"f": z}, "f") for z in (x, y)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(Moments.of(x), Moments.of(y)) == pytest.approx(theirs, rel=1e-6)
    same = x[:260]
    theirs = kid_features_to_metric(same, y, kid_subsets=1, kid_subset_size=260, verbose=False)
    ours = kernel_distance(same, y).value
    assert ours == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)


def test_torchmetrics_frechet_distance(peers) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Same(nn.Module):
        """Its features are its input."""

        num_features = 12

        def forward(self, pictures: Tensor) -> Tensor:
            return pictures.flatten(1)

    metric = FrechetInceptionDistance(feature=Same(), input_img_size=(3, 2, 2), normalize=True)
    metric.set_dtype(torch.float64)
    draws = torch.Generator().manual_seed(0)
    x = torch.rand(200, 3, 2, 2, generator=draws)
    y = torch.rand(150, 3, 2, 2, generator=draws) * 0.7
    metric.update(x, real=True)
    metric.update(y, real=False)
    as_bytes = [(z * 255).byte().double().flatten(1) for z in (x, y)]
    ours = frechet_distance(*map(Moments.of, as_bytes))
    exact = frechet_distance(*(Moments.of(z.double().flatten(1)) for z in (x, y)))
    theirs = float(metric.compute())
    assert min(abs(theirs / ours - 1), abs(theirs / exact - 1)) < 1e-3


def test_inception_score_and_precision(peers) -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    logits = features(200, 10)
    theirs = isc_features_to_metric(logits, splits=4, shuffle=False)
    ours = inception_score(logits.double().softmax(1), 4)
    assert ours[0] == pytest.approx(theirs["inception_score_mean"], rel=1e-6)
    assert ours[1] == pytest.approx(theirs["inception_score_std"], rel=1e-5)
    x, y = features(150, 6), features(150, 6, seed=2)
    found = prc_features_to_metric(y, x, prc_neighborhood=3, prc_batch_size=50, save_cpu_ram=False, verbose=False)
    ours_found = manifold(x, y)
    assert ours_found.precision == pytest.approx(found["precision"], abs=1e-6)
    assert ours_found.recall == pytest.approx(found["recall"], abs=1e-6)


def test_multi_scale_similarity(peers) -> None:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as theirs

    draws = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 192, 192, generator=draws)
    y = (x + 0.1 * torch.randn(x.shape, generator=draws)).clamp(0, 1)
    # torchmetrics averages over channels before the product, we after it (Wang et al. define it for one channel)
    for channel in range(3):
        one, other = x[:, channel : channel + 1], y[:, channel : channel + 1]
        found = theirs(one, other, data_range=1.0, reduction="none")
        torch.testing.assert_close(multi_scale_ssim(one, other), found, rtol=2e-3, atol=2e-3)
