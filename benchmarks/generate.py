"""How fast pictures of texts come, and a training step of text2image against the same step written by hand.

    python benchmarks/generate.py [--json benchmarks/results/generate_cpu.json]

*Sampling*: a :class:`Sampler` makes 512 pictures of 64 pixels of one text and 512 seeds, encoding of the text included,
with the presets' generators (before training; the work is the same). *Step*: one critic step and one generator step of
DF-GAN with mismatches (hinge, real and fake in one pass, the second text judged on the features of the real pictures),
at the precision and layout of the setting, fused Adam on both sides. Sides take turns; the median of the rounds' ratios
counts, and rounds in which other processes used the processor are thrown away.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from pathlib import Path

import torch
from advtasks_text2image.critic import TextDiscriminator
from advtasks_text2image.encoders import HashEncoder
from advtasks_text2image.generators import DeepFusion
from advtasks_text2image.presets import DF
from advtasks_text2image.sampler import Sampler
from advtasks_text2image.task import TextToImage
from floors import Setting, Step, adam, descend
from machine import machine
from torch.nn.functional import relu
from turns import compare, interval, ratio, ratios

from advtasks import Adversary, View, components
from advtasks.allocator import keep_freed_memory
from advtasks.bundle import Manifest
from advtasks.config import StageConfig
from advtasks.devices import computes_bf16
from advtasks.discriminators import CriticOutput
from advtasks.training.clock import Clock
from advtasks.training.meters import Meters
from advtasks.training.networks import Networks
from advtasks.training.step import Step as TrainerStep

SIZE, BATCH, WIDTH, PICTURES = 64, 24, 16, 512
GENERATORS = ("df:width=16", "df", "dcgan")


def sampling(text: str, rounds: int) -> float:
    """Pictures a second, the median of `rounds`."""
    encoder = HashEncoder()
    network = components.build("generators", text, embedding=encoder.width, latent=100, size=SIZE)
    manifest = Manifest(**{field.name: field.default for field in dataclasses.fields(Manifest)} | {"task_options": {}})  # type: ignore[arg-type]
    sampler = Sampler(network, encoder, manifest, "cpu")
    sampler("a red apple", range(64))
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        sampler("a red apple", range(PICTURES))
        taken.append(time.perf_counter() - start)
    return PICTURES / statistics.median(taken)


def batch_of(setting: Setting, encoder: HashEncoder) -> dict[str, torch.Tensor]:
    """Random pictures as bytes, and the embeddings of as many captions."""
    pixels = setting.pixels(SIZE, BATCH).permute(0, 3, 1, 2).contiguous()
    embeddings = encoder.encode([f"caption number {number}" for number in range(BATCH)]).sentences
    return {"real": pixels, "embedding": embeddings, "identity": torch.arange(BATCH)}


def floor(setting: Setting) -> Step:
    """The step by hand: no loader, no average, no checks."""
    torch.manual_seed(0)
    encoder = HashEncoder()
    generator = setting.place(DeepFusion(encoder.width, 100, SIZE, width=WIDTH))
    critic = setting.place(TextDiscriminator(3 + encoder.width, width=WIDTH))
    optimizer, critic_optimizer = adam(generator, 1e-4, (0.0, 0.9)), adam(critic, 4e-4, (0.0, 0.9))
    batch = batch_of(setting, encoder)

    def step() -> None:
        real, text = (batch["real"].float() / 255).contiguous(memory_format=setting.layout), batch["embedding"]
        critic.requires_grad_(True)
        with setting.autocast():
            fake = generator(torch.randn(BATCH, 100), text)
            found = critic.output(torch.cat((real.to(fake.dtype), fake.detach())), torch.cat((text, text)))
        of_real, of_fake = found.logits.float().chunk(2)
        features = found.features[-1][:BATCH].float()
        of_wrong = critic.rejudge(CriticOutput(of_real, [features]), text.roll(1, 0))
        matched = relu(1 - of_real).mean() + relu(1 + of_fake).mean()
        mismatched = relu(1 - of_real).mean() + relu(1 + of_wrong).mean()
        descend(critic_optimizer, 0.5 * (matched + mismatched))
        critic.requires_grad_(False)
        with setting.autocast():
            of_fake = critic(fake, text).float()
        descend(optimizer, -of_fake.mean())

    return step


def framework(setting: Setting) -> Step:
    """A step of the trainer with the same networks."""
    stage = StageConfig(name="stage", steps=10**6, weights={}, adversary=True, learning_rate=1e-4)
    config = dataclasses.replace(
        DF, generator=f"df:width={WIDTH}", encoder="hash", batch=BATCH, stages=(stage,), device="cpu", monitor="off",
        precision=setting.precision, channels_last=setting.channels_last,
    )  # fmt: skip
    task = TextToImage(config)
    critic = TextDiscriminator(3 + task.encoder.width, width=WIDTH)
    view = View(embedding=task.encoder.width)
    made = Adversary(critic, "hinge", regularizers=["matching-aware"], learning_rate=4e-4, betas=(0.0, 0.9), view=view)
    step = TrainerStep(Networks(task, config, {"image": made}), config, stage, Meters(), Clock(setting.device))
    batch, done = batch_of(setting, HashEncoder()), 0

    def run() -> None:
        nonlocal done
        step.run(batch, done, done)
        done += 1

    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5, help="of sampling")
    parser.add_argument("--gate", type=float, default=0.04, help="share of the processor that others may use")
    options = parser.parse_args()
    keep_freed_memory()
    device = torch.device("cpu")
    setting = Setting("bf16" if computes_bf16(device) else "fp32", True, device)
    speeds = {}
    for text in GENERATORS:
        speeds[text] = sampling(text, options.rounds)
        print(f"{text}: {speeds[text]:.0f} pictures of {SIZE} pixels a second", flush=True)
    found = compare({"framework": framework(setting), "floor": floor(setting)}, device, gate=options.gate)
    overhead = ratio(found, "framework", "floor") - 1
    low, high = (end - 1 for end in interval(ratios(found["rounds"], "framework", "floor")))
    print(
        f"step of {BATCH}: floor {found['seconds']['floor']:.4f} s, "
        f"overhead {overhead:+.1%} ({low:+.1%} to {high:+.1%}; {setting.precision})"
    )
    if options.json:
        record = {
            "machine": machine(device), "torch": torch.__version__,
            "threads": torch.get_num_threads(), "pictures_per_s": speeds, "precision": setting.precision,
            "step": {**found, "overhead": overhead, "overhead_interval": [low, high]},
        }  # fmt: skip
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
