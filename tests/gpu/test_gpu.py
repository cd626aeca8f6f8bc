"""The main job on a GPU: pytest -m gpu."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_train_and_upscale_on_a_gpu(
    advtasks, photos: Path, tmp_path: Path, tiny: tuple[str, ...], precision: str
) -> None:
    flags = [*tiny, "--device", "cuda", "--precision", precision, "--steps", "12"]
    code, _, err = advtasks("train", "sr", "--data", photos, "--out", tmp_path / "run", *flags)
    assert code == 0, err
    code, _, err = advtasks(
        "upscale", photos, "-o", tmp_path / "out", "--model", tmp_path / "run", "--device", "cuda", "--tile", "16"
    )
    assert code == 0, err
    assert len(list((tmp_path / "out").rglob("*_x4.png"))) == 6


def test_tiles_on_a_gpu_equal_the_whole_picture(tmp_path: Path) -> None:
    from advtasks_sr.generators import SRResNet

    from advtasks.inference.tiling import run_tiled

    network = SRResNet(4, 8, 1).cuda()
    picture = torch.rand(1, 3, 40, 50)
    with torch.inference_mode():
        whole = network(picture.cuda()).cpu()
        tiled = run_tiled(lambda t: network(t.cuda()), picture, scale=4, radius=network.receptive_radius, tile=16)
    torch.testing.assert_close(tiled, whole, rtol=1e-3, atol=1e-4)
