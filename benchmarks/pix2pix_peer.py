"""The training loop of pytorch-CycleGAN-and-pix2pix as shipped, re-written from its description; the networks are the
project's own with PyTorch's own convolutions, to be equal.

fp32, contiguous, Adam as PyTorch defaults it, side-by-side JPEG files decoded, resized to 286, cropped to 256 and
normalised with Pillow by four worker processes; the critic's phase first, its loss halved; losses read back every 100
iterations. No moving average, since it has none.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from advtasks_pix2pix.generators import UNet
from advtasks_pix2pix.generators.small_maps import SmallMapConv2d, SmallMapConvTranspose2d
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss
from torch.utils.data import DataLoader, Dataset

from advtasks.discriminators import PatchDiscriminator

LOAD, CROP, PAIRS, EPOCH, WORKERS = 286, 256, 16, 100_000, 4


def plain(network: nn.Module) -> nn.Module:
    """With PyTorch's own convolutions."""
    for module in network.modules():
        if isinstance(module, SmallMapConv2d):
            module.__class__ = nn.Conv2d
        elif isinstance(module, SmallMapConvTranspose2d):
            module.__class__ = nn.ConvTranspose2d
    return network


class SideBySide(Dataset[tuple[Tensor, Tensor]]):
    """Pairs in one JPEG of 512 x 256, as its data sets are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        numbers = np.random.default_rng(0)
        for pair in range(PAIRS):
            coarse = numbers.integers(0, 256, (16, 32, 3), dtype=np.uint8)
            picture = cv2.resize(coarse, (2 * CROP, CROP), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f"{pair}.jpg"), picture)

    def __len__(self) -> int:
        """Long, so that workers are not started anew."""
        return EPOCH

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """A and B, floats (3, 256, 256) in [-1, 1]."""
        with Image.open(self.folder / f"{index % PAIRS}.jpg") as file:
            both = file.convert("RGB")
        top, left = (random.randint(0, LOAD - CROP) for _ in range(2))
        mirrored = random.random() > 0.5
        sides = []
        for start in (0, CROP):
            side = both.crop((start, 0, start + CROP, CROP)).resize((LOAD, LOAD), Image.Resampling.BICUBIC)
            side = side.crop((left, top, left + CROP, top + CROP))
            if mirrored:
                side = side.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            values = torch.from_numpy(np.array(side)).permute(2, 0, 1).contiguous().float().div(255)
            sides.append((values - 0.5) / 0.5)
        return sides[0], sides[1]


def batches() -> Iterator[list[Tensor]]:
    """Batches of one for ever, out of a temporary folder that lives as long."""
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        loader = DataLoader(SideBySide(Path(folder)), 1, shuffle=True, num_workers=WORKERS, drop_last=False)
        while True:
            yield from loader


def pix2pix(device: torch.device) -> Callable[[], None]:
    """unet_256 with batch norm and dropout, basic critic of 3 layers, vanilla GAN loss, 100 L1."""
    torch.manual_seed(0)
    generator = plain(UNet(norm="batch", upsample="transposed", dropout=0.5, test_time="paper")).to(device)
    critic = PatchDiscriminator(6, norm="batch").to(device)
    optimizer, critic_optimizer = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)) for network in (generator, critic)
    )
    data, done = batches(), 0

    def against(logits: Tensor, real: bool) -> Tensor:
        return binary_cross_entropy_with_logits(logits, torch.tensor(float(real)).to(logits).expand_as(logits))

    def step() -> None:
        nonlocal done
        given, target = (side.to(device) for side in next(data))
        given, target = (given + 1) / 2, (target + 1) / 2  # the networks here take [0, 1]
        fake = generator(given)
        critic.requires_grad_(True)
        critic_optimizer.zero_grad()
        of_fake = against(critic(fake.detach(), given), real=False)
        of_real = against(critic(target, given), real=True)
        ((of_fake + of_real) * 0.5).backward()
        critic_optimizer.step()
        critic.requires_grad_(False)
        optimizer.zero_grad()
        gan = against(critic(fake, given), real=True)
        pixels = 100 * l1_loss(fake, target)
        (gan + pixels).backward()
        optimizer.step()
        done += 1
        if done % 100 == 0:
            [float(value) for value in (of_fake, of_real, gan, pixels)]

    return step
