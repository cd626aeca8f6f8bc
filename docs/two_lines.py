"""Adding an adversary to a training loop of your own: the two lines, in a task that is not one of advtasks.

A small network learns to remove noise from 8x8 pictures of bars. Run it: python docs/two_lines.py
"""

import torch
from torch import nn

from advtasks import Adversary, PatchDiscriminator


def bars(count: int, generator: torch.Generator) -> torch.Tensor:
    """Pictures (N, 1, 8, 8) in [0, 1] with one bright row each."""
    rows = torch.randint(0, 8, (count,), generator=generator)
    return nn.functional.one_hot(rows, 8).float()[:, None, :, None].expand(-1, 1, 8, 8)


def train(steps: int = 200, adversarial_weight: float = 0.05) -> tuple[float, float]:
    """Train; gives the error of noisy pictures before and after the network."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    denoiser = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 3, padding=1))
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=3e-3)

    critic = PatchDiscriminator(in_channels=1, features=8, layers=1, norm="none")
    adversary = Adversary(critic, loss="hinge", regularizers=["r1"], weight=adversarial_weight)

    for _ in range(steps):
        real = bars(16, generator)
        noisy = real + 0.3 * torch.randn(real.shape, generator=generator)
        fake = denoiser(noisy)

        loss = (fake - real).abs().mean() + adversary.term(fake, real)  # the first line
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        adversary.update(fake, real)  # the second line

    real = bars(256, generator)
    noisy = real + 0.3 * torch.randn(real.shape, generator=generator)
    with torch.no_grad():
        return (noisy - real).abs().mean().item(), (denoiser(noisy) - real).abs().mean().item()


if __name__ == "__main__":
    before, after = train()
    print(f"mean absolute error of the noisy pictures {before:.3f}, after the network {after:.3f}")
