"""The parts of text-conditioned synthesis: generators, critic, encoders, data, scores."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from advtasks_text2image.caption_vectors import embed, teach, told_apart
from advtasks_text2image.config import TextConfig
from advtasks_text2image.critic import TextDiscriminator
from advtasks_text2image.data import CaptionedPictures, Loaded, fitted
from advtasks_text2image.encoders import CharacterEncoder, Encoded, HashEncoder
from advtasks_text2image.generators import (
    DCGAN,
    ConditioningAugmentation,
    DeepFusion,
    TextGenerator,
    WordAttention,
    standard_normal_divergence,
)
from advtasks_text2image.sheet import sheet
from advtasks_text2image.task import TextToImage
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu, normalize

from advtasks import components
from advtasks.adversary import Adversary
from advtasks.data.cache import PictureCache
from advtasks.data.loader import Position
from advtasks.discriminators import CriticOutput, criticize_again
from advtasks.errors import DataError, UsageError
from advtasks.evaluation.text_scores import RidgeProbe, clip_score, r_precision
from advtasks.regularizers import mismatched_partners
from advtasks.task import Judged, View
from advtasks.torchvision_operators import import_torchvision

E, Z = 12, 7


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- generators ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 64, 128])
@pytest.mark.parametrize("build", [DCGAN, DeepFusion])
@pytest.mark.parametrize("augment", [0, 5])
def test_pictures_have_their_size_and_range(build: type[TextGenerator], size: int, augment: int) -> None:
    network = build(E, Z, size, width=4, augment=augment)  # type: ignore[call-arg]
    found = network(normal(3, Z), normal(3, E))
    assert found.shape == (3, 3, size, size)
    assert found.min() >= 0
    assert found.max() <= 1


def test_sizes_of_the_papers_networks() -> None:
    count = lambda network: sum(p.numel() for p in network.parameters())  # noqa: E731
    assert count(components.build("generators", "df", embedding=256, latent=100, size=64)) <= 10_000_000
    dcgan = DCGAN(embedding=1024, latent=100, size=64, width=64)
    assert dcgan.first.weight.shape == (100 + 128, 512, 4, 4)


def test_before_training_fusion_is_the_plain_network() -> None:
    """Affine layers begin as the identity and gains at 0, so the text moves nothing yet, and everything gets gradients."""
    network = DeepFusion(E, Z, 32, width=4)
    noise = normal(2, Z)
    torch.testing.assert_close(network(noise, normal(2, E)), network(noise, normal(2, E, seed=1)))
    for block in network.blocks:
        block.gain.data.fill_(0.5)
    network(noise, normal(2, E)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    for block in network.blocks:
        for affine in block.affine:
            affine.scale.weight.data.normal_(0, 0.1)
    assert not torch.allclose(network(noise, normal(2, E)), network(noise, normal(2, E, seed=1)))


def test_a_joined_first_layer_shows_the_text_from_the_start() -> None:
    noise, texts = normal(2, Z), (normal(2, E), normal(2, E, seed=1))
    plain, joined = (DeepFusion(E, Z, 16, width=4, joined=joined) for joined in (False, True))
    assert torch.allclose(plain(noise, texts[0]), plain(noise, texts[1]))
    assert not torch.allclose(joined(noise, texts[0]), joined(noise, texts[1]))


def test_one_picture_alone_is_that_of_a_batch() -> None:
    network = DeepFusion(E, Z, 32, width=4)
    for block in network.blocks:
        block.gain.data.fill_(0.5)
    noise, text = normal(8, Z), normal(8, E)
    torch.testing.assert_close(network(noise[3:4], text[3:4])[0], network(noise, text)[3], rtol=1e-5, atol=1e-5)


def test_conditioning_augmentation() -> None:
    """KL = ½ Σ (μ² + σ² - 1 - log σ²), 0 for the standard normal; without noise, or with σ to 0, it is μ."""
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, math.log(4.0)]])
    expected = 0.5 * ((1 + 1 - 1 - 0) + (4 + 4 - 1 - math.log(4)))
    assert standard_normal_divergence(mean, log_variance).item() == pytest.approx(expected)
    assert standard_normal_divergence(torch.zeros(1, 3), torch.zeros(1, 3)).item() == 0
    layer = ConditioningAugmentation(E, 4)
    text = normal(5, E)
    plain, divergence = layer(text, None)
    layer.layer.bias.data[4:] = -1e4  # log σ², behind a leaky ReLU
    still, _ = layer(text, normal(5, 4))
    torch.testing.assert_close(still, plain)
    assert divergence.shape == (5,)
    assert divergence.min() >= 0


# --- the critic ------------------------------------------------------------------------------------------------------


def test_the_critic_sees_the_text() -> None:
    critic = TextDiscriminator(3 + E, width=4, blocks=3)
    pictures = torch.rand(4, 3, 32, 32)
    found = critic.output(pictures, normal(4, E))
    assert found.logits.shape == (4, 1)
    assert found.features[-1].shape == (4, critic.feature_width, 4, 4)
    assert not torch.allclose(found.logits, critic(pictures, normal(4, E, seed=1)))
    assert critic(torch.rand(2, 3, 64, 48), normal(2, E)).shape == (2, 5 * 3), "one logit for 4x4 places"
    plain = TextDiscriminator(3, width=4, blocks=1)
    assert plain(torch.rand(2, 3, 8, 8)).shape == (2, 1)
    with pytest.raises(UsageError, match="wants RGB pictures from 32 pixels a side"):
        critic(torch.rand(2, 3, 16, 16), normal(2, E))
    small = TextDiscriminator(3 + E, width=4, blocks=3, compressed=2)
    assert small.joint.in_channels == critic.joint.in_channels - E + 2


@pytest.mark.parametrize("regularizers", [["matching-aware"], ["matching-aware", "ma-gp"], ["r1"], ["gan-int"]])
def test_an_adversary_of_text(regularizers: list[str]) -> None:
    critic = TextDiscriminator(3 + E, width=4, blocks=2)
    adversary = Adversary(critic, "hinge", regularizers=regularizers, view=View(embedding=E))
    fake = torch.rand(4, 3, 16, 16, requires_grad=True)
    weights = torch.randn(E, 3 * 16 * 16)
    judged = Judged(torch.rand(4, 3, 16, 16), fake, normal(4, E), identity=torch.tensor([0, 1, 2, 2]),
                    synthesize_under=lambda e: (e @ weights).view(-1, 3, 16, 16) + fake)  # fmt: skip
    terms = adversary.generator_terms(judged)
    assert ("gan-int" in terms) == (regularizers == ["gan-int"])
    sum(term.value for term in terms.values()).backward()  # type: ignore[union-attr]
    assert fake.grad is not None
    assert not any(p.grad is not None and p.grad.any() for p in critic.parameters())
    assert adversary.discriminator_terms(judged.detached())


def test_interpolating_equal_texts_changes_nothing() -> None:
    critic = TextDiscriminator(3 + E, width=4, blocks=2)
    adversary = Adversary(critic, "non-saturating", regularizers=["gan-int:weight=0.5"], view=View(embedding=E))
    fake = torch.rand(4, 3, 16, 16)
    same = normal(1, E).expand(4, -1)
    judged = Judged(torch.rand(4, 3, 16, 16), fake, same, synthesize_under=lambda e: fake)
    terms = adversary.generator_terms(judged)
    torch.testing.assert_close(terms["gan-int"].value, 0.5 * terms["adversarial"].value)
    with pytest.raises(UsageError, match="generator under other conditions"):
        adversary.generator_terms(Judged(judged.real, fake, same))
    with pytest.raises(UsageError, match="this task shows none as condition"):
        Adversary(TextDiscriminator(3, width=4, blocks=2), "hinge", regularizers=["gan-int"])


def test_a_mismatch_costs_no_second_look_at_the_picture() -> None:
    """The text joins late: logits and gradients under another text are those of a whole pass."""
    torch.manual_seed(0)
    critic = TextDiscriminator(3 + E, width=4, blocks=2, compressed=3, gain=0.5).double()
    pictures, first, second = torch.rand(3, 3, 16, 16).double(), normal(3, E).double(), normal(3, E, seed=1).double()
    found = []
    for again in (False, True):
        critic.zero_grad()
        seen = critic.output(pictures, first)
        logits = criticize_again(critic, pictures, seen, second) if again else critic(pictures, second)
        (logits.square().sum() + seen.logits.sum()).backward()
        found.append([logits, *(p.grad.clone() for p in critic.parameters() if p.grad is not None)])
    for plain, reused in zip(*found, strict=True):
        torch.testing.assert_close(plain, reused)
    looks = []
    critic.blocks[0].register_forward_hook(lambda *_: looks.append(1))
    criticize_again(critic, pictures, critic.output(pictures, first), second)
    assert len(looks) == 1
    halves = critic.output(pictures, first)
    halves = CriticOutput(halves.logits, [feature.float() for feature in halves.features])
    assert criticize_again(critic.float(), pictures.float(), halves, second.float()).dtype == torch.float32


def test_what_is_done_to_single_places_may_be_done_before_the_side_doubles() -> None:
    """The blocks equal their definitions in the paper."""
    torch.manual_seed(0)
    block = DeepFusion(E, Z, 16, width=4, gain=0.7).double().blocks[0]
    for affine in block.affine:
        affine.scale.weight.data.normal_(0, 0.3)
    x, text = normal(2, 32, 4, 4).double()[:, : block.affine[0].scale.out_features], normal(2, Z + E).double()
    up = interpolate(x, scale_factor=2, mode="nearest")
    residual = up
    for number in range(2):
        for affine in block.affine[2 * number : 2 * number + 2]:
            residual = leaky_relu(affine(residual, text), 0.2)
        residual = block.convolutions[number](residual)
    torch.testing.assert_close(block(x, text), block.shortcut(up) + 0.7 * residual)
    halving = TextDiscriminator(3, width=4, blocks=1, gain=0.7).double().blocks[0]
    x = normal(2, 4, 8, 8).double()
    residual = leaky_relu(halving.conv(leaky_relu(halving.down(x), 0.2)), 0.2)
    torch.testing.assert_close(halving(x), avg_pool2d(halving.shortcut(x), 2) + 0.7 * residual)


# --- encoders --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hash", "hash:width=64", "wordllama"])
def test_encoders_that_need_no_download(name: str) -> None:
    encoder = components.build("text_encoders", name)
    texts = ["a red apple", "a green apple", "stock market crash", "", "犬の顔", "red " * 500]
    found = encoder.encode(texts)
    assert found.sentences.shape == (6, encoder.width)
    assert found.cut == [0] * 6
    assert torch.equal(found.sentences, components.build("text_encoders", name).encode(texts).sentences)
    torch.testing.assert_close(encoder.encode(texts[:1]).sentences, found.sentences[:1])
    cosine = found.sentences @ found.sentences.T / encoder.width
    assert cosine[0, 1] > 0.3 > cosine[0, 2]
    assert found.sentences[3].abs().sum() == 0
    assert found.sentences[4].norm().item() == pytest.approx(encoder.width**0.5)
    assert len(encoder.fingerprint) == 12
    torch.testing.assert_close(encoder.encode(["A Red APPLE"]).sentences, found.sentences[:1])


def test_another_width_is_another_encoder() -> None:
    assert HashEncoder(64).fingerprint != HashEncoder(128).fingerprint
    with pytest.raises(UsageError, match="at least 8"):
        HashEncoder(4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["bert", "clip", "t5"])
def test_text_models_of_transformers(kind: str, tmp_path: Path) -> None:
    import_torchvision()
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["<pad>", "<unk>", "<eos>", "a", "red", "green", "apple", "cat"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 2)])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="<eos>", model_max_length=6
    )
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    if kind == "bert":
        network = transformers.BertModel(transformers.BertConfig(**small, vocab_size=8, pad_token_id=0))
    elif kind == "t5":
        network = transformers.T5Model(
            transformers.T5Config(vocab_size=8, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
                                  decoder_start_token_id=0)
        )  # fmt: skip
    else:
        network = transformers.CLIPModel(
            transformers.CLIPConfig(text_config={**small, "vocab_size": 8, "eos_token_id": 2, "bos_token_id": 1,
                                                 "pad_token_id": 0, "max_position_embeddings": 8},
                                    vision_config={**small, "image_size": 16, "patch_size": 8}, projection_dim=16)
        )  # fmt: skip
    network.save_pretrained(tmp_path)
    fast.save_pretrained(tmp_path)
    encoder = components.build("text_encoders", f"transformers:model={tmp_path}")
    texts = ["a red apple", "cat", "a red apple a green apple"]
    found = encoder.encode(texts)
    assert found.sentences.shape == (3, 16)
    assert found.cut == [0, 0, 1], "six words and the end are one more than six"
    torch.testing.assert_close(found.sentences.norm(dim=1), torch.full((3,), 4.0))
    torch.testing.assert_close(encoder.encode(texts[1:2]).sentences, found.sentences[1:2], rtol=1e-4, atol=1e-5)
    states = encoder.states(texts, 4)
    assert states.shape == (3, 4, 16)
    assert (states != 0).any(2).sum(1).tolist() == [4, 2, 4]
    torch.testing.assert_close(encoder.states(texts[1:2], 4), states[1:2], rtol=1e-4, atol=1e-4)
    assert encoder.fingerprint == components.build("text_encoders", f"transformers:model={tmp_path}").fingerprint
    with pytest.raises(UsageError, match="transformers cannot load it .*wordllama, hash and characters work without"):
        components.build("text_encoders", f"transformers:model={tmp_path / 'none'}")
    swapped = {word: i for i, word in enumerate([*words[:6], "cat", "apple"])}
    unfilled = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(swapped, unk_token="<unk>")), eos_token="<eos>", model_max_length=6
    )
    unfilled.save_pretrained(tmp_path)
    other = components.build("text_encoders", f"transformers:model={tmp_path}")
    assert other.fingerprint != encoder.fingerprint, "the same weights read other words"
    assert other.tokenizer.pad_token == "<eos>", "as the GPT family has it"
    assert other.encode(texts).sentences.shape == (3, 16)


@pytest.mark.filterwarnings("ignore")
def test_a_model_of_the_hubs_cache_needs_no_hub(tmp_path: Path) -> None:
    """By its name, in a process that sees the cache and no network."""
    import_torchvision()
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    home = tmp_path / "models--somebody--tiny"
    snapshot = home / "snapshots" / ("0" * 40)
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("0" * 40)
    words = Tokenizer(models.WordLevel({"<pad>": 0, "<unk>": 1, "red": 2, "apple": 3}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    transformers.BertModel(transformers.BertConfig(**shape, vocab_size=4)).save_pretrained(snapshot)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", model_max_length=8
    ).save_pretrained(snapshot)
    code = (
        "from advtasks import components; e = components.build('text_encoders', 'transformers:model=somebody/tiny'); "
    )
    code += "print(e.encode(['red apple']).sentences.shape[1], e.fingerprint)"
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    here = components.build("text_encoders", f"transformers:model={snapshot}")
    assert done.stdout.split() == ["16", here.fingerprint]


@pytest.mark.parametrize("name", ["hash", "wordllama", "characters:width=16"])
def test_states_are_those_of_the_tokens(name: str) -> None:
    encoder = components.build("text_encoders", name)
    texts = ["a red apple", "red", "", "one two three four five six seven eight nine ten " * 3]
    found = encoder.states(texts, 6)
    assert found.shape == (4, 6, encoder.state_width)
    lengths = found.norm(dim=2)
    there = lengths > 0
    torch.testing.assert_close(lengths[there], torch.full_like(lengths[there], encoder.state_width**0.5))
    assert there.sum(1).tolist()[2:] == [0, 6], "no word, and no more than six"
    assert 1 <= there[1].sum() < there[0].sum() < 6
    torch.testing.assert_close(encoder.states(texts[:1], 6), found[:1])
    torch.testing.assert_close(encoder.states(texts[:1], 9)[:, :6], found[:1])


class Short(HashEncoder):
    """Takes three words of a text."""

    def encode(self, texts: Sequence[str]) -> Encoded:
        rest = [max(len(text.split()) - 3, 0) for text in texts]
        return Encoded(super().encode([" ".join(text.split()[:3]) for text in texts]).sentences, rest)


def test_captions_that_were_cut_are_said_of_known_embeddings_too(tmp_path: Path) -> None:
    captions = ("a red apple", "a very very long caption")
    items = [Loaded("x", captions, lambda: np.zeros((16, 16, 3), np.uint8))]
    for _ in range(2):
        notes: list[str] = []
        (found,) = embed(items, Short(16), PictureCache(tmp_path), notes)
        assert torch.equal(found, Short(16).encode(captions).sentences)
        assert notes == [
            "warning: 1 captions are longer than hash-16 takes and were cut, most 2 tokens of 'a very very long caption'"
        ]


def test_captions_that_an_encoder_hardly_tells_apart_are_said(tmp_path: Path) -> None:
    apart, alike = torch.eye(16)[:6], torch.ones(6, 16) + 0.1 * torch.eye(16)[:6]
    silent = torch.zeros(2, 16)
    assert told_apart(tmp_path, [silent, apart], HashEncoder(16)) == []
    (note,) = told_apart(tmp_path, [alike, apart[:1]], HashEncoder(16))
    assert "of the pairs of captions are nearly the same to hash-16" in note
    for same in (alike, silent):
        with pytest.raises(DataError, match="all captions are nearly the same"):
            told_apart(tmp_path, [silent, same], HashEncoder(16))


def test_captions_left_out_are_a_share_of_all(tmp_path: Path) -> None:
    task = TextToImage(TextConfig(encoder="hash:width=16", caption_dropout=0.3, generator="df:width=4:attention=8"))
    count = 4000
    batch = {"real": torch.zeros(count, 3, 2, 2), "embedding": torch.ones(count, 16), "words": torch.ones(count, 5, 16)}
    torch.manual_seed(0)
    found = task.prepare(batch)
    left_out = ~found["embedding"].any(1)
    assert left_out.float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert torch.equal(left_out, ~found["words"].any(2).any(1)), "with all their words"
    assert found["embedding"][~left_out].min() == 1


def test_places_listen_to_words_in_any_order_and_to_none() -> None:
    attention = WordAttention(4, E)
    x, words = normal(2, 4, 3, 5), normal(2, 6, E)
    words[:, 4:] = 0
    torch.testing.assert_close(attention(x, words), x, msg="γ is 0 before training")
    attention.gain.data.fill_(0.5)
    found = attention(x, words)
    torch.testing.assert_close(attention(x, words[:, torch.tensor([2, 5, 0, 3, 1, 4])]), found)
    torch.testing.assert_close(attention(x, words[:, :4]), found, msg="what is no word is not heard")
    torch.testing.assert_close(attention(x, torch.zeros(2, 6, E)), x, msg="silence says nothing")
    query = attention.query(x).flatten(2).transpose(1, 2)
    logits = torch.cat((query @ attention.key(words[:, :4]).transpose(1, 2), torch.zeros(2, 15, 1)), 2) / 64**0.5
    heard = logits.softmax(2)[..., :4] @ attention.value(words[:, :4])
    torch.testing.assert_close(found, x + 0.5 * heard.transpose(1, 2).reshape(x.shape))
    generator = DeepFusion(E, Z, 16, width=4, attention=8, states=E, gain=1.0)
    assert generator.attention is not None
    generator.attention.gain.data.fill_(1.0)
    noise, text = normal(2, Z), normal(2, E)
    assert not torch.allclose(generator(noise, text, words), generator(noise, text, words.flip(0)))
    with pytest.raises(UsageError, match=r"one of \[8, 16\], got 4"):
        DeepFusion(E, Z, 16, attention=4)
    with pytest.raises(ValueError, match="needs their states"):
        generator(noise, text)


def test_the_character_encoder_learns_which_captions_belong_to_which_pictures() -> None:
    """Captions whose words say a picture's features, spelt in ways that no word list knows."""
    kinds, draws = ["zorb", "quax", "mifle", "трум"], torch.Generator().manual_seed(0)
    captions = [(f"a {kinds[n % 4]} no {n}", f"{kinds[n % 4].upper()}!") for n in range(64)]
    features = torch.eye(4)[torch.arange(64) % 4].repeat(1, 3) + 0.1 * torch.randn(64, 12, generator=draws)
    before = torch.get_rng_state()
    encoder = CharacterEncoder(width=16, steps=40)
    untrained = encoder.fingerprint
    encoder.learn(captions, features, torch.arange(64))
    assert torch.equal(torch.get_rng_state(), before), "nobody else's draws move"
    assert encoder.fingerprint != untrained
    again = CharacterEncoder(width=16, steps=40)
    again.learn(captions, features, torch.arange(64))
    assert again.fingerprint == encoder.fingerprint
    new = encoder.encode([f"the {kind}, number {n}" for kind in kinds for n in (70, 81)]).sentences / 4
    cosine = new @ new.T
    same = torch.eye(4, dtype=torch.bool).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert cosine[same].min() > cosine[~same].max() + 0.3
    long = encoder.encode(["x" * 200, "x"])
    assert long.cut == [40, 0]
    torch.testing.assert_close(encoder.encode(["x"]).sentences, long.sentences[1:])
    with pytest.raises(UsageError, match="at least 8"):
        CharacterEncoder(width=2)


# --- data ------------------------------------------------------------------------------------------------------------


def test_mismatches_never_call_a_right_caption_wrong() -> None:
    """Many pictures twice, many captions on several pictures, some captions nearly equal."""
    encoder = HashEncoder()
    captions = ["red apple", "red apple", "Red apple.", "green pear", "cat", "cat", "dog", "the red apple"] * 4
    identities = torch.tensor([0, 0, 1, 2, 3, 3, 4, 5] * 4)
    condition = encoder.encode(captions).sentences
    similar = condition @ condition.T / encoder.width
    for seed in range(20):
        torch.manual_seed(seed)
        partner, there = mismatched_partners(condition, condition, identities, identities, limit=0.9)
        assert there.all()
        for row, other in enumerate(partner.tolist()):
            assert identities[row] != identities[other]
            assert captions[row].casefold().strip(".") != captions[other].casefold().strip(".")
            assert similar[row, other] < 0.9


def test_items_depend_on_their_position_alone() -> None:
    draws = np.random.default_rng(0)
    pixels = [draws.integers(0, 256, (8, 8, 3), dtype=np.uint8) for _ in range(2)]
    items = [Loaded("x", ("one", "two"), lambda: pixels[0]), Loaded("y", ("three",), lambda: pixels[1]),
             Loaded("x", ("four",), lambda: pixels[0])]  # fmt: skip
    embeddings = [torch.eye(4)[:2], torch.eye(4)[2:3], torch.eye(4)[3:]]
    data = CaptionedPictures(items, embeddings, flip=True)
    found = [data[Position(0, sample)] for sample in range(40)]
    again = [data[Position(0, sample)] for sample in range(40)]
    assert all(torch.equal(a[k], b[k]) for a, b in zip(found, again, strict=True) for k in a)
    assert {int(item["embedding"].argmax()) for item in found} == {0, 1}, "each caption gets its turn"
    mirrored = [torch.equal(item["real"], found[0]["real"].flip(2)) for item in found]
    assert 5 < sum(mirrored) < 35
    assert data[Position(2, 0)]["identity"] == found[0]["identity"] != data[Position(1, 0)]["identity"]


def test_pictures_are_scaled_and_cut_in_the_middle() -> None:
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 40:60] = 255
    found = fitted(wide, 16)
    assert found.shape == (16, 16, 3)
    assert found[8, 8].tolist() == [255] * 3
    assert found[8, 0].tolist() == [0] * 3
    assert fitted(found, 16) is found


def test_sheets_bear_their_captions() -> None:
    found = sheet(torch.rand(5, 3, 8, 8), ["a very long caption that does not fit " * 3] * 5, columns=2, cell=64)
    assert found.shape == (3, 3 * (64 + 18), 2 * 68 - 4)
    assert (found[:, 65:78, :64] < 0.5).any(), "letters"


# --- scores ----------------------------------------------------------------------------------------------------------


def test_clip_score_of_known_directions() -> None:
    x = torch.eye(4)
    assert clip_score(x, 3 * x) == pytest.approx(100)
    assert clip_score(x, x.roll(1, 0)) == 0
    assert clip_score(x, -x) == 0
    assert clip_score(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.0]])) == pytest.approx(100 / 2**0.5)


def test_r_precision_knows_right_from_wrong_and_from_chance() -> None:
    texts = normalize(normal(400, 64), dim=1)
    assert r_precision(texts, texts, texts) == 1
    assert r_precision(-texts, texts, texts) == 0
    chance = [r_precision(normal(400, 64, seed=s), texts, texts, candidates=10) for s in range(1, 6)]
    assert sum(chance) / 5 == pytest.approx(0.1, abs=0.02)
    assert r_precision(torch.ones(400, 64), texts, texts, candidates=10) == pytest.approx(0.1, abs=0.05)
    doubled = torch.cat((texts, texts))
    assert r_precision(texts, texts, doubled) == 1, "a caption that is there twice is no wrong candidate"
    with pytest.raises(ValueError, match="nothing to tell it from"):
        r_precision(texts[:1], texts[:1], texts[:1])


def test_the_probe_finds_a_linear_relation_and_shuffling_destroys_it() -> None:
    features = normal(600, 20)
    texts = features @ normal(20, 32, seed=1) + 0.1 * normal(600, 32, seed=2)
    held = slice(500, 600)
    probe = RidgeProbe(features[:500], texts[:500], strength=1e-3)
    assert r_precision(probe(features[held]), texts[held], texts) > 0.95
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))
    shuffled = RidgeProbe(features[:500], texts[:500][order], strength=1e-3)
    assert r_precision(shuffled(features[held]), texts[held], texts) < 0.1


def test_a_learned_encoder_is_kept_by_the_size_of_its_pictures() -> None:
    recipes: list[str] = []

    class Recorded(PictureCache):
        def array(self, content: str, recipe: str, make: Any) -> Any:
            recipes.append(recipe)
            raise DataError("looked at")

    item = Loaded("content", ("red",), lambda: np.zeros((16, 16, 3), np.uint8))
    for size in (16, 16, 32):
        with pytest.raises(DataError, match="looked at"):
            teach(CharacterEncoder(), [item], Recorded(), size)
    assert recipes[0] == recipes[1] != recipes[2]
