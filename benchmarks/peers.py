"""BasicSR's recipes as shipped, re-written from their description; the networks are the project's own, to be equal.

Called as ``peer(device)``, each gives a function that does one iteration: fp32, contiguous, Adam as PyTorch defaults
it, a moving average in a Python loop, losses read back every time, and pictures decoded from PNG files by two worker
processes, which start with the first iteration. Left out, since they cost next to nothing there: the schedule of the
learning rate, the line printed every 100 iterations, the checkpoints.
"""

from __future__ import annotations

import copy
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from advtasks_sr.generators import SRResNet
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss
from torch.utils.data import DataLoader, Dataset

from advtasks.discriminators import VGGStyleDiscriminator

Picture = np.ndarray
LOW, SCALE, BATCH, WORKERS = 32, 4, 4, 2
SUB_PICTURE, PAIRS, EPOCH = 480, 16, 100_000
DECAY = 0.999
GAN_WEIGHT = 5e-3


def write_pairs(folder: Path) -> None:
    """Sub-pictures of 480 and 120 pixels, with the smooth areas and the grain of a photograph."""
    numbers = np.random.default_rng(0)
    for number in range(PAIRS):
        high = np.zeros((SUB_PICTURE, SUB_PICTURE, 3), np.float32)
        for side in (5, 20, 80):
            coarse = numbers.normal(0, 200 / side**0.5, (side, side, 3)).astype(np.float32)
            high += cv2.resize(coarse, (SUB_PICTURE, SUB_PICTURE), interpolation=cv2.INTER_CUBIC)
        high = np.clip(high + numbers.normal(128, 4, high.shape), 0, 255).astype(np.uint8)
        small = SUB_PICTURE // SCALE
        cv2.imwrite(str(folder / f"high{number}.png"), high)
        cv2.imwrite(str(folder / f"low{number}.png"), cv2.resize(high, (small, small), interpolation=cv2.INTER_AREA))


def decode(path: Path) -> Picture:
    """The whole picture, BGR, floats in [0, 1]."""
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels.astype(np.float32) / 255


class PngPairs(Dataset[dict[str, Tensor]]):
    """Random 32- and 128-pixel patches out of sub-pictures, flipped and rotated."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        """Long, as by BasicSR's `dataset_enlarge_ratio`: workers are not started anew."""
        return EPOCH

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Floats (3, H, W) in [0, 1]."""
        high, low = (decode(self.folder / f"{name}{index % PAIRS}.png") for name in ("high", "low"))
        top, left = (random.randint(0, extent - LOW) for extent in low.shape[:2])
        low = low[top : top + LOW, left : left + LOW]
        side = LOW * SCALE
        high = high[top * SCALE : top * SCALE + side, left * SCALE : left * SCALE + side]
        mirror, flip, turn = (random.random() < 0.5 for _ in range(3))
        return {"low": to_tensor(low, mirror, flip, turn), "high": to_tensor(high, mirror, flip, turn)}


def to_tensor(picture: Picture, mirror: bool, flip: bool, turn: bool) -> Tensor:
    """Augmented, RGB, channels first."""
    if mirror:
        picture = cv2.flip(picture, 1)
    if flip:
        picture = cv2.flip(picture, 0)
    if turn:
        picture = picture.transpose(1, 0, 2)
    return torch.from_numpy(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_BGR2RGB).transpose(2, 0, 1)).float()


def batches() -> Iterator[dict[str, Tensor]]:
    """Batches for ever, out of a temporary folder that is written before the first and lives as long."""
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        write_pairs(Path(folder))
        data = PngPairs(Path(folder))
        loader = DataLoader(data, BATCH, shuffle=True, num_workers=WORKERS, pin_memory=False, drop_last=True)
        while True:
            yield from loader


def against(logits: Tensor, real: bool) -> Tensor:
    """Cross entropy with the target."""
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def average(into: nn.Module, network: nn.Module) -> None:
    """The moving average, parameter by parameter."""
    latest = dict(network.named_parameters())
    for name, parameter in into.named_parameters():
        parameter.data.mul_(DECAY).add_(latest[name].data, alpha=1 - DECAY)


class Recipe:
    """What both recipes share: the generator, its moving average, the pictures, the log."""

    def __init__(self, device: torch.device) -> None:
        torch.manual_seed(0)
        self.device = device
        self.generator = SRResNet(SCALE).to(device)
        self.averaged = copy.deepcopy(self.generator).eval()
        self.optimizer = torch.optim.Adam(self.generator.parameters(), lr=1e-4, betas=(0.9, 0.99))
        self.data = batches()
        self.log: dict[str, float] = {}

    def feed(self) -> tuple[Tensor, Tensor]:
        """The next low and high patches on the device."""
        batch = next(self.data)
        return batch["low"].to(self.device), batch["high"].to(self.device)

    def finish(self, losses: dict[str, Tensor]) -> None:
        """Read back what was computed, follow the generator."""
        with torch.no_grad():
            self.log = {name: value.mean().item() for name, value in losses.items()}
        average(self.averaged, self.generator)


def basicsr_srresnet(device: torch.device) -> Callable[[], None]:
    """SRResNet (their MSRResNet) 16 x 64, x4, L1."""
    recipe = Recipe(device)

    def step() -> None:
        low, high = recipe.feed()
        recipe.optimizer.zero_grad()
        loss = l1_loss(recipe.generator(low), high)
        loss.backward()
        recipe.optimizer.step()
        recipe.finish({"pixel": loss})

    return step


def basicsr_srgan(device: torch.device) -> Callable[[], None]:
    """The same with a VGG-style critic: the generator's phase, then the critic's with two backward passes."""
    recipe = Recipe(device)
    critic = VGGStyleDiscriminator().to(device)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.9, 0.99))

    def step() -> None:
        low, high = recipe.feed()
        for parameter in critic.parameters():
            parameter.requires_grad = False
        recipe.optimizer.zero_grad()
        fake = recipe.generator(low)
        losses = {"pixel": l1_loss(fake, high), "generator": GAN_WEIGHT * against(critic(fake), real=True)}
        (losses["pixel"] + losses["generator"]).backward()
        recipe.optimizer.step()
        for parameter in critic.parameters():
            parameter.requires_grad = True
        critic_optimizer.zero_grad()
        for name, picture in (("real", high), ("fake", fake.detach())):
            logits = critic(picture)
            losses[name], losses[f"logits of {name}"] = against(logits, name == "real"), logits.detach()
            losses[name].backward()
        critic_optimizer.step()
        recipe.finish(losses)

    return step
