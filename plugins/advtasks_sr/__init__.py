"""Super-resolution: its networks, its presets, and the verb ``upscale``. Descriptions only."""

from __future__ import annotations

from advtasks.hookspecs import Component, ForeignSpec, TaskSpec, VerbSpec, hookimpl


@hookimpl
def advtasks_tasks() -> list[TaskSpec]:
    """The task ``sr``."""
    return [
        TaskSpec(
            name="sr",
            summary="super-resolution: a pixel stage (SRResNet), then an adversarial stage (SRGAN)",
            config="advtasks_sr.config:SuperResolutionConfig",
            task="advtasks_sr.task:SuperResolution",
            presets="advtasks_sr.presets:PRESETS",
            recognize="advtasks_sr.layouts:recognize",
        )
    ]


@hookimpl
def advtasks_verbs() -> list[VerbSpec]:
    """The verb ``upscale``."""
    return [
        VerbSpec(
            name="upscale",
            summary="enlarge pictures and folders of pictures with a trained model",
            run="advtasks_sr.upscale_command:main",
        )
    ]


@hookimpl
def advtasks_foreign() -> list[ForeignSpec]:
    """Community models."""
    return [
        ForeignSpec(
            name="spandrel",
            summary="ESRGAN, Real-ESRGAN, SRVGG, SwinIR, SPAN and other community models that spandrel recognises",
            suffixes=(".pth", ".pt", ".ckpt", ".safetensors"),
            open="advtasks_sr.foreign:open_community_model",
        )
    ]


@hookimpl
def advtasks_generators() -> list[Component]:
    """Networks from low to high resolution."""
    return [
        Component(
            name="srresnet",
            summary="residual blocks without batch norm (Ledig et al. 2017; MSRResNet), 1.5 M parameters at 16 x 64",
            build="advtasks_sr.generators:SRResNet",
        ),
        Component(
            name="rrdb",
            summary="residual-in-residual dense blocks of ESRGAN (Wang et al. 2018), 16.7 M parameters at 23 blocks",
            build="advtasks_sr.generators:RRDBNet",
        ),
        Component(
            name="compact",
            summary="SRVGGNetCompact of Real-ESRGAN (Wang et al. 2021), 0.6 M parameters at 16 x 64",
            build="advtasks_sr.generators:Compact",
        ),
        Component(
            name="span",
            summary="parameter-free attention (Wan et al. 2024), 0.4 M parameters once its branches are folded",
            build="advtasks_sr.generators:SPAN",
        ),
        Component(
            name="safmn",
            summary="spatially-adaptive feature modulation (Sun et al. 2023), 0.24 M parameters at 8 x 36",
            build="advtasks_sr.generators:SAFMN",
        ),
    ]
