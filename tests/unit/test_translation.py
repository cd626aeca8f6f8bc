"""Translation as a task: what the critic sees, what is measured, which terms a stage may have."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from advtasks_pix2pix.config import TranslationConfig
from advtasks_pix2pix.crops import Loaded
from advtasks_pix2pix.makers import MAKERS
from advtasks_pix2pix.pixels import Pixels
from advtasks_pix2pix.presets import PRESETS
from advtasks_pix2pix.task import Translation
from conftest import natural
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, l1_loss

from advtasks import components
from advtasks.config import StageConfig
from advtasks.errors import UsageError
from advtasks.training.adversaries import make_adversaries

LABELS = Pixels(kind="labels", channels=1, classes=3, colors=((255, 0, 0), (0, 255, 0), (0, 0, 255)))


def task(given: Pixels | None = None, wanted: Pixels | None = None, **options: Any) -> Translation:
    sides = {
        f"{name}_pixels": json.dumps(dataclasses.asdict(pixels or Pixels()))
        for name, pixels in (("input", given), ("target", wanted))
    }
    common: dict[str, Any] = {
        "generator": "unet:levels=3:width=4",
        "crop": 32,
        "load": 0,
        "metric_network": "efficientnet-lite0:levels=2",
        "perceptual_network": "efficientnet-lite0:levels=2",
    }
    return Translation(TranslationConfig(**{**common, **sides, **options}))


class Same(nn.Module):
    """Its input."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_the_critic_sees_the_output_and_the_input_at_each_scale() -> None:
    made = task(LABELS, scales=3)
    assert {name: (view.channels, view.condition_channels) for name, view in made.views().items()} == dict.fromkeys(
        ("image", "half", "quarter"), (3, 3)
    )
    batch = made.prepare(
        {"input": torch.randint(0, 3, (2, 32, 32), dtype=torch.uint8),
         "target": torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)}
    )  # fmt: skip
    output = torch.rand(2, 3, 32, 32)
    judged = made.judged(batch, output)
    assert judged["image"].fake is output
    assert torch.equal(judged["image"].condition, batch["input"])
    for one, other in (("image", "half"), ("half", "quarter")):
        for part in ("real", "fake", "condition"):
            whole = getattr(judged[one], part)
            expected = avg_pool2d(whole, 3, 2, 1, count_include_pad=False)
            assert torch.equal(getattr(judged[other], part), expected)
    assert len(make_adversaries(made, made.options)) == 3


def test_a_perfect_output_measures_so_and_the_input_measures_what_it_is() -> None:
    picture = natural(48, 40, 0)
    other = np.clip(picture.astype(int) + 4, 0, 255).astype(np.uint8)
    pair = Loaded("a", "00", picture, other)
    made = task()
    wrong = made.evaluate(Same(), pair).metrics
    assert wrong["l1"] == pytest.approx(np.abs(picture.astype(int) - other.astype(int)).mean(), abs=1e-3)
    assert made.evaluate(None, pair).metrics == pytest.approx(wrong), "the baseline is the input"
    right = made.evaluate(Same(), Loaded("a", "00", picture, picture)).metrics
    assert right["l1"] == 0
    assert right["psnr_rgb"] == float("inf")
    assert right["ssim_rgb"] == pytest.approx(1)


def test_made_inputs_are_the_same_in_every_evaluation() -> None:
    made = task(Pixels(channels=4), make_input="mask")
    pair = Loaded("a", "5ac3", None, natural(48, 40, 0))
    one, other = (made.evaluate(None, pair).pictures["input"] for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, made.evaluate(None, dataclasses.replace(pair, content="77")).pictures["input"])


def test_label_maps_as_targets_are_measured_by_their_classes() -> None:
    numbers = np.random.default_rng(0).integers(0, 3, (40, 48), dtype=np.uint8)
    made = task(LABELS, LABELS)
    found = made.evaluate(Same(), Loaded("a", "0", numbers, numbers))
    assert found.metrics == {"pixel_accuracy": 1, "class_accuracy": 1, "mean_iou": 1}
    colours = (found.pictures["output"].permute(1, 2, 0) * 255).round().byte().numpy()
    assert np.array_equal(colours, np.array(LABELS.colors, np.uint8)[numbers])


def test_terms_of_label_maps() -> None:
    stage = StageConfig(name="all", steps=1, weights={"l1": 2.0, "cross-entropy": 1.0, "perceptual": 0.5, "mse": 0.0})
    made = task(wanted=LABELS, stages=(stage,))
    batch = made.prepare(
        {"input": torch.zeros(1, 32, 32, 3, dtype=torch.uint8),
         "target": torch.randint(0, 3, (1, 32, 32), dtype=torch.uint8)}
    )  # fmt: skip
    output = torch.rand(1, 3, 32, 32, requires_grad=True)
    terms = made.objective(batch, output, stage.weights)
    assert set(terms) == {"l1", "cross-entropy", "perceptual"}
    assert torch.equal(terms["l1"].value, l1_loss(output, batch["target"]))
    assert torch.equal(terms["cross-entropy"].value, cross_entropy(output * 10, batch["target"].argmax(1)))
    perfect = made.objective(batch, batch["target"], {"perceptual": 1.0})["perceptual"].value
    assert perfect < 1e-6 < terms["perceptual"].value
    torch.autograd.grad(terms["perceptual"].value, output)


def test_pixels_of_no_class_are_in_no_loss_and_no_score() -> None:
    void = dataclasses.replace(LABELS, ignored=255)
    weights = {"l1": 1.0, "mse": 1.0, "cross-entropy": 1.0, "perceptual": 1.0}
    made = task(wanted=void, stages=(StageConfig(name="all", steps=1, weights=weights),))
    given, target = torch.rand(1, 3, 32, 32), torch.randint(0, 3, (1, 32, 32), dtype=torch.uint8)
    target[:, :9] = 255
    batch = made.prepare({"input": (given * 255).permute(0, 2, 3, 1).byte(), "target": target})
    other = {**batch, "input": batch["input"].clone()}
    other["input"][:, :, :9] = torch.rand(1, 3, 9, 32)
    one, two = (made.objective(b, made.generate(Same(), b), weights) for b in (batch, other))
    for name in weights:
        assert torch.equal(one[name].value, two[name].value), name
        assert one[name].value > 0
    views = [made.judged(b, made.generate(Same(), b))["image"] for b in (batch, other)]
    assert torch.equal(views[0].fake, views[1].fake)
    numbers = target[0].numpy()
    shown = np.where(numbers == 255, 1, numbers).astype(np.uint8)
    pictures = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)[shown]
    assert made.evaluate(Same(), Loaded("a", "0", pictures, numbers)).metrics == {
        "pixel_accuracy": 1, "class_accuracy": 1, "mean_iou": 1,
    }  # fmt: skip


def test_noise_and_made_inputs_differ_from_sample_to_sample() -> None:
    made = task(Pixels(channels=4), make_input="mask", noise=5)
    target = torch.from_numpy(natural(32, 32, 0))[None].expand(3, -1, -1, -1)
    batch = made.prepare({"target": target})
    assert batch["noise"].shape == (3, 5)
    assert not torch.equal(batch["noise"][0], batch["noise"][1])
    assert not torch.equal(batch["input"][0], batch["input"][1])
    assert made.generate(made.generator(), batch).shape == (3, 3, 32, 32)
    assert MAKERS["mask"](batch["target"], _Zeros()).shape[1] == 4


class _Zeros:
    """Draws of nothing but zeros."""

    def uniform(self, *shape: int) -> Tensor:
        return torch.zeros(shape)


def test_crops_must_suit_the_network_and_its_losses() -> None:
    with pytest.raises(UsageError, match="crop: 36 is no multiple of 8, which unet.* wants: give --crop 40"):
        task(crop=36).generator()
    with pytest.raises(UsageError, match=r"16x16 are too small for the 5 scales of efficientnet-lite0: .*levels=\d"):
        components.build("features", "efficientnet-lite0")(torch.rand(1, 3, 16, 16))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_hold_together(name: str) -> None:
    """Every preset's networks, losses and critics can be built, and one step of each stage has its terms."""
    preset = PRESETS[name]
    given = LABELS if name == "spade" else Pixels()
    sides = {"input_pixels": json.dumps(dataclasses.asdict(given)), "target_pixels": "{}"}
    made = Translation(dataclasses.replace(preset, **sides))
    with torch.device("meta"):
        assert sum(p.numel() for p in made.generator().parameters()) > 10**6
    assert set(make_adversaries(made, made.options)) == set(made.views())
    for stage in preset.stages:
        assert set(stage.weights) <= made.term_names


@pytest.mark.parametrize(
    "critic",
    ["patch:features=4:layers=0", "patch:features=4:layers=3", "unet:width=4", "projected",
     "vgg-style:width=4", "wavelet:width=4", "resnet:width=4"],
)  # fmt: skip
def test_every_critic_judges_pairs(critic: str) -> None:
    """With the right input beside it an output may be judged otherwise than with a wrong one."""
    made = task(LABELS, crop=64)
    config = dataclasses.replace(made.options.adversary, discriminator=critic, regularizers=())
    torch.manual_seed(0)
    adversary = make_adversaries(made, dataclasses.replace(made.options, adversary=config))["image"]
    batch = made.prepare(
        {"input": torch.randint(0, 3, (2, 64, 64), dtype=torch.uint8),
         "target": torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)}
    )  # fmt: skip
    output = torch.rand(2, 3, 64, 64, requires_grad=True)
    judged = made.judged(batch, output)["image"]
    own = adversary.term(judged.fake, judged.real, condition=judged.condition)
    assert torch.autograd.grad(own, output)[0].abs().sum() > 0
    other = adversary.term(judged.fake, judged.real, condition=judged.condition.roll(1, 1))
    assert not torch.equal(own, other)
