"""``advtasks evaluate --dual-encoder``: CLIP score and R-precision of captioned folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import natural
from PIL import Image

from advtasks import components
from advtasks.errors import DataError, UsageError
from advtasks.evaluation.captioned import captions_of
from advtasks.evaluation.cards import ScoreCard
from advtasks.features.dual_encoder import DualEncoder
from advtasks.torchvision_operators import import_torchvision

Run = Callable[..., tuple[int, str, str]]
WORDS = ("red", "blue", "green", "house", "tree", "bird", "small", "large")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP with random weights."""
    import_torchvision()
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("models") / "tiny-clip"
    words = ("<pad>", "<unk>", "<eos>", *WORDS)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 2)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="<eos>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    part = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    text = {**part, "vocab_size": len(words), "eos_token_id": 2, "pad_token_id": 0, "max_position_embeddings": 6}
    vision = {**part, "image_size": 16, "patch_size": 8}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    transformers.CLIPModel(config).save_pretrained(folder)
    return folder


def captioned(place: Path, start: int, texts: bool = True) -> Path:
    """Sixteen pictures with three words each."""
    place.mkdir()
    for number in range(16):
        Image.fromarray(natural(40, 40, start + number)).save(place / f"{number:02d}.png")
        if texts:
            caption = f"{WORDS[6 + number % 2]} {WORDS[number // 2 % 3]} {WORDS[3 + number // 6]}"
            (place / f"{number:02d}.txt").write_text(caption)
    return place


@pytest.mark.filterwarnings("ignore")
def test_captioned_folders_get_text_scores(
    clip: Path, advtasks: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("advtasks.evaluation.distributions.PAIRS", 2)
    real, own, by_name = (
        captioned(tmp_path / "r", 0),
        captioned(tmp_path / "own", 40),
        captioned(tmp_path / "n", 40, False),
    )
    encoder = f"transformers:model={clip}"
    options = ("--backbone", "efficientnet-lite0:levels=2", "--device", "cpu", "--dual-encoder", encoder)
    found = []
    for folder in (own, by_name):
        code, out, err = advtasks("evaluate", folder, "--data", real, "--json", tmp_path / "c.json", *options)
        assert code == 0, err
        assert "CLIP score on tiny-clip" in out
        assert "R-precision among" in out
        assert "R-precision wants 100 different captions" in out
        found.append(ScoreCard.load(tmp_path / "c.json"))
    assert found[0].score("clip_score") == found[1].score("clip_score"), "captions of the same name"
    score = found[0].score("clip_score")
    assert score is not None
    assert "16 captions, sha256" in score.protocol
    import transformers

    model = transformers.CLIPModel.from_pretrained(clip).eval()
    network = components.build("features", encoder)
    given = torch.rand(2, 3, 16, 16)
    texts = DualEncoder(network).texts(["red house", "small blue bird and more than it takes"])
    with torch.inference_mode():
        tokens = torch.tensor([[3, 6, 2]])
        expected = model.get_text_features(input_ids=tokens)
        expected = getattr(expected, "pooler_output", expected)
    torch.testing.assert_close(texts[:1], expected, rtol=1e-4, atol=1e-5)
    assert network.embedding(given).features.shape == texts.shape


def test_what_embeds_no_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="embeds no texts"):
        DualEncoder(components.build("features", "efficientnet-lite0:levels=1"))


def test_a_broken_table_of_captions_is_not_replaced_by_another_folders(tmp_path: Path) -> None:
    for name, text in (("fake", "a cat"), ("real", "a DOG")):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "a.png")
        (tmp_path / name / "metadata.jsonl").write_text(f'{{"file_name": "a.png", "text": "{text}"}}\n')
    path = tmp_path / "fake" / "a.png"
    assert captions_of([path], tmp_path / "fake", tmp_path / "real") == {path: "a cat"}
    (tmp_path / "fake" / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "a cat"}\n{broken\n')
    with pytest.raises(DataError, match=r"metadata\.jsonl"):
        captions_of([path], tmp_path / "fake", tmp_path / "real")
    (tmp_path / "fake" / "metadata.jsonl").unlink()
    assert captions_of([path], tmp_path / "fake", tmp_path / "real") == {path: "a DOG"}
