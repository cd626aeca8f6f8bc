"""Translation: its networks, its presets, and the verb ``translate``. Descriptions only."""

from __future__ import annotations

from advtasks.hookspecs import Component, ForeignSpec, TaskSpec, VerbSpec, hookimpl


@hookimpl
def advtasks_tasks() -> list[TaskSpec]:
    """The task ``pix2pix``."""
    return [
        TaskSpec(
            name="pix2pix",
            summary="translation between paired pictures: L1 and a conditional adversary (pix2pix)",
            config="advtasks_pix2pix.config:TranslationConfig",
            task="advtasks_pix2pix.task:Translation",
            presets="advtasks_pix2pix.presets:PRESETS",
            recognize="advtasks_pix2pix.layouts:recognize",
            reading="advtasks_pix2pix.config:Reading",
        )
    ]


@hookimpl
def advtasks_verbs() -> list[VerbSpec]:
    """The verb ``translate``."""
    return [
        VerbSpec(
            name="translate",
            summary="translate pictures and folders of pictures with a trained model",
            run="advtasks_pix2pix.translate_command:main",
        )
    ]


@hookimpl
def advtasks_foreign() -> list[ForeignSpec]:
    """Generators of the original program's PyTorch port."""
    return [
        ForeignSpec(
            name="pytorch-CycleGAN-and-pix2pix",
            summary="U-Net and ResNet generators of pytorch-CycleGAN-and-pix2pix (latest_net_G.pth)",
            suffixes=(".pth", ".pt", ".safetensors"),
            open="advtasks_pix2pix.foreign:open_generator",
        )
    ]


@hookimpl
def advtasks_generators() -> list[Component]:
    """Networks from picture to picture."""
    return [
        Component(
            name="unet",
            summary="U-Net of pix2pix (Isola et al. 2017), 54.4 M parameters with transposed convolutions",
            build="advtasks_pix2pix.generators:UNet",
        ),
        Component(
            name="resnet",
            summary="residual blocks (Johnson et al. 2016; CycleGAN), 11.4 M parameters at 9 blocks",
            build="advtasks_pix2pix.generators:ResNet",
        ),
        Component(
            name="pix2pixhd",
            summary="coarse to fine with local enhancers (Wang et al. 2018)",
            build="advtasks_pix2pix.generators:Pix2PixHD",
        ),
        Component(
            name="spade",
            summary="spatially-adaptive normalisation for label maps (Park et al. 2019)",
            build="advtasks_pix2pix.generators:SPADE",
        ),
    ]
