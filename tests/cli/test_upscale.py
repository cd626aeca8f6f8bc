"""``advtasks upscale`` and ``export`` as somebody uses them who has a folder of pictures and a model from elsewhere."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from advtasks_sr.foreign import open_community_model
from advtasks_sr.generators import Compact
from advtasks_sr.upscaler import Upscaler
from PIL import Image
from safetensors.torch import save_file

from advtasks.errors import BundleError
from advtasks.inference.console import BatchConsole
from advtasks.inference.jobs import Job
from advtasks.inference.results import Summary
from advtasks.inference.video import count_frames

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Real-ESRGAN model file, as its training writes them."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "tiny.pth"
    torch.save({"params_ema": Compact(2, 8, 2).state_dict()}, path)
    return path


def picture(path: Path, width: int = 30, height: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return path


def test_a_community_model_enlarges_and_is_described(advtasks: Any, community: Path, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    code, out, err = advtasks("upscale", source, "-o", tmp_path / "out", "-m", community, "--precision", "fp32")
    assert code == 0, err
    torch.manual_seed(0)
    with torch.inference_mode():
        given = torch.from_numpy(np.asarray(Image.open(source)).copy()).permute(2, 0, 1)[None] / 255
        expected = (Compact(2, 8, 2)(given)[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    found = np.asarray(Image.open(tmp_path / "out" / "a_x2.png"))
    assert np.abs(found - expected).max() <= 1
    code, out, _ = advtasks("models", "info", community)
    known = json.loads(out)
    assert (known["generator"], known["scale"], known["channels"]) == ("RealESRGAN Compact", 2, 3)
    assert known["receptive_radius"] >= 2
    assert known["parameters"] == sum(p.numel() for p in Compact(2, 8, 2).parameters())
    assert len(known["sha256"]) == 64


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(advtasks: Any, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    for suffix in (".pth", ".pt", ".ckpt"):
        torch.save({"params": {"conv.weight": Malicious()}}, tmp_path / f"bad{suffix}")
        code, _, err = advtasks("upscale", picture(tmp_path / "a.png"), "-o", tmp_path, "-m", tmp_path / f"bad{suffix}")
        assert code == 1
        assert "could run code" in err
        assert not (tmp_path / "owned").exists()


def test_models_that_cannot_be_used_say_why(advtasks: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "short.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    (tmp_path / "a.onnx").write_bytes(b"no graph")
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    for name, message in (
        ("a.txt", "not a model file"), ("short.safetensors", "not a safetensors file"), ("a.onnx", "cannot be used"),
        ("other.safetensors", "recognises no architecture"),
    ):  # fmt: skip
        code, _, err = advtasks("upscale", picture(tmp_path / "a.png"), "-o", tmp_path / "out", "-m", tmp_path / name)
        assert (code, message in err) == (1, True), err
        assert name in err


@pytest.mark.filterwarnings("ignore")  # torch's exporter warns of its own insides
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_exported_model_is_the_model(advtasks: Any, community: Path, tmp_path: Path, precision: str) -> None:
    target = tmp_path / "tiny.onnx"
    code, out, err = advtasks("export", community, "-o", target, "--precision", precision)
    assert code == 0, err
    assert out.count("off by at most") == 4
    code, _, err = advtasks("export", community, "-o", target)
    assert code == 2
    assert "--overwrite" in err
    source = picture(tmp_path / "a.png", 31, 17)
    assert advtasks("upscale", source, "-o", tmp_path / "onnx", "-m", target)[0] == 0
    assert advtasks("upscale", source, "-o", tmp_path / "own", "-m", community, "--precision", "fp32")[0] == 0
    one, other = (np.asarray(Image.open(tmp_path / name / "a_x2.png")).astype(int) for name in ("onnx", "own"))
    assert np.abs(one - other).max() <= (1 if precision == "fp32" else 3)
    code, out, _ = advtasks("models", "info", target)
    assert json.loads(out)["generator"] == "RealESRGAN Compact", "the manifest travels with the file"


def test_weights_for_other_tools_are_what_those_read(advtasks: Any, community: Path, tmp_path: Path) -> None:
    code, out, err = advtasks("export", community, "-o", tmp_path / "w.safetensors", "--format", "safetensors")
    assert code == 0, err
    assert out.count("off by at most 0") == 4
    network, manifest = open_community_model(tmp_path / "w.safetensors")
    assert manifest.scale == 2
    assert set(network.deployed().state_dict()) == set(Compact(2, 8, 2).state_dict())


def test_an_export_that_computes_something_else_is_not_kept(
    advtasks: Any, community: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from advtasks.inference import export

    monkeypatch.setattr(export, "deployed", lambda network: Compact(2, 8, 2).eval())
    code, _, err = advtasks("export", community, "-o", tmp_path / "w.safetensors", "--format", "safetensors")
    assert code == 1
    assert "computes something else" in err
    assert not list(tmp_path.iterdir())


def test_another_factor_and_another_size(advtasks: Any, community: Path, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.jpg", 30, 20)
    for flags, name, size in (
        (("--scale", "3.2"), "a_x3.2.jpg", (96, 64)), (("--size", "45x"), "a_45x.jpg", (45, 30)),
        (("--size", "x90", "--format", "png"), "a_x90.png", (135, 90)),
    ):  # fmt: skip
        code, _, err = advtasks("upscale", source, "-o", tmp_path / "out", "-m", community, *flags)
        assert code == 0, err
        with Image.open(tmp_path / "out" / name) as image:
            assert image.size == size


def test_a_list_on_standard_input_with_a_file_that_is_not_there(
    advtasks: Any, community: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{picture(tmp_path / 'a.png')}\n{tmp_path / 'none.png'}\n"))
    report = tmp_path / "report.json"
    code, out, err = advtasks("upscale", "-", "-o", tmp_path / "out", "-m", community, "--report", report)
    assert code == 1
    assert "1 written, 0 skipped, 1 failed" in out
    assert "none.png" in err
    written = json.loads(report.read_text())
    found = {Path(file["source"]).name: file for file in written["files"]}
    assert {name: file["status"] for name, file in found.items()} == {"a.png": "written", "none.png": "failed"}
    assert found["a.png"]["width"] == 60
    assert len(written["sha256"]) == 64


def test_a_dry_run_predicts_and_writes_nothing(advtasks: Any, community: Path, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "sub" / "b.jpg", 50, 60)
    (tmp_path / "in" / "bad.png").write_text("no")
    code, out, err = advtasks(
        "upscale", tmp_path / "in", "-o", tmp_path / "out", "-m", community, "--dry-run", "--tile", "16"
    )
    assert code == 1
    assert "30x20 -> 60x40, 4 tiles" in out
    assert "50x60 -> 100x120, 16 tiles" in out
    assert "2 planned, 0 skipped, 1 failed of 3 files" in out
    assert "bad.png" in err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_knows_what_would_be_skipped_and_counts_frames(
    advtasks: Any, community: Path, tmp_path: Path
) -> None:
    source, moving = picture(tmp_path / "in" / "a.png"), tmp_path / "in" / "b.gif"
    frames = [Image.new("RGB", (30, 20), color) for color in ("red", "green", "blue", "white")]
    frames[0].save(moving, save_all=True, append_images=frames[1:], duration=50)
    assert advtasks("upscale", source, "-o", tmp_path / "out", "-m", community)[0] == 0
    code, out, _ = advtasks(
        "upscale", tmp_path / "in", "-o", tmp_path / "out", "-m", community, "--dry-run",
        "--report", tmp_path / "plan" / "r.json",
    )  # fmt: skip
    assert code == 0
    assert "30x20 -> 60x40, 4 frames of 1 tile" in out
    assert "1 planned, 1 skipped, 0 failed of 2 files" in out
    planned = {
        Path(file["source"]).name: file for file in json.loads((tmp_path / "plan" / "r.json").read_text())["files"]
    }
    assert (planned["a.png"]["status"], planned["b.gif"]["status"], planned["b.gif"]["frames"]) == (
        "skipped",
        "planned",
        4,
    )


def test_what_cannot_be_done_is_said_before_the_first_picture(advtasks: Any, community: Path, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    for flags, code, message in (
        (("-o", tmp_path / "file"), 1, "cannot be written there"),
        (("-o", tmp_path / "out", "--max-memory", "lots"), 2, "--max-memory"),
        (("-o", tmp_path / "out", "--scale", "2", "--size", "9x"), 2, "exclude each other"),
        (("-o", tmp_path / "out", "--format", "gif"), 2, "unknown format"),
        (("-o", tmp_path / "out", "--format", "bmp"), 2, "unknown format"),
        (("-o", tmp_path / "out", "--jobs", "0"), 2, "--jobs"),
        (("-o", tmp_path / "out", "--report", tmp_path / "file" / "r.json"), 1, "another --report"),
    ):
        found, _, err = advtasks("upscale", source, "-m", community, *flags)
        assert (found, message in err) == (code, True), err


def test_a_decompression_bomb_is_refused_with_the_limit(advtasks: Any, community: Path, tmp_path: Path) -> None:
    Image.new("1", (30_000, 20_000)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 200_000
    code, _, err = advtasks("upscale", tmp_path / "bomb.png", "-o", tmp_path / "out", "-m", community)
    assert code == 1
    assert "600 megapixels, above the limit of 400" in err


def video(path: Path, times: list[int]) -> None:
    """Frames at given times (of 1/1000 s), and a tone."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("aac", rate=8000, layout="mono")
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((24, 32, 3), 20 * number, np.uint8), format="rgb24")
            frame.pts = time
            container.mux(stream.encode(frame))
        samples = np.sin(np.arange(8000) / 5).astype(np.float32)[None]
        tone = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        tone.sample_rate, tone.pts = 8000, 0
        container.mux(sound.encode(tone))
        container.mux(stream.encode(None))
        container.mux(sound.encode(None))


def shown(path: Path) -> tuple[list[float], list[bytes]]:
    """Times of the frames in seconds, and the packets of the sound."""
    import av

    with av.open(str(path)) as container:
        times = [round(frame.time, 3) for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    return times, packets


def test_a_video_keeps_its_frames_their_times_and_its_sound(advtasks: Any, community: Path, tmp_path: Path) -> None:
    times = [0, 40, 80, 200, 240, 500, 520, 1000]
    video(tmp_path / "a.mkv", times)
    assert shown(tmp_path / "a.mkv")[0] == [time / 1000 for time in times]
    code, out, err = advtasks("upscale", tmp_path / "a.mkv", "-o", tmp_path / "out", "-m", community)
    assert code == 0, err
    assert "64x48, 8 frames" in out
    target = tmp_path / "out" / "a_x2.mkv"
    assert count_frames(target) == len(times)
    assert shown(target) == shown(tmp_path / "a.mkv")
    (tmp_path / "b.mp4").write_bytes(b"no video")
    code, _, err = advtasks("upscale", tmp_path / "b.mp4", "-o", tmp_path / "out", "-m", community)
    assert code == 1
    assert "b.mp4: cannot be converted" in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a_x2.mkv"]


def test_without_pyav_it_is_said(
    advtasks: Any, community: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.mp4").write_bytes(b"no video")
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    code, _, err = advtasks("upscale", tmp_path / "b.mp4", "-o", tmp_path / "out", "-m", community)
    assert code == 1
    assert "advtasks[video]" in err


def test_the_console_shows_a_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with BatchConsole(2) as console:
        assert console.live is not None
        console.watch(Job(Path("a.png"), Path("b")), 1, 4)
        console.say("a line that stays")
    console.summary(Summary(), 1.0)
    assert "a line that stays" in capsys.readouterr().err


def test_the_upscaler_of_the_library(community: Path) -> None:
    model = Upscaler.load(community)
    assert model.scale == 2
    assert model(np.zeros((5, 6, 3), np.uint8)).shape == (10, 12, 3)
    with pytest.raises(BundleError, match="no such model"):
        Upscaler.load("nowhere.pth")


@pytest.mark.filterwarnings("ignore")  # torch's exporter warns of its own insides
def test_exports_that_would_lose_something_are_refused(advtasks: Any, community: Path, tmp_path: Path) -> None:
    weights, onnx = tmp_path / "w.safetensors", tmp_path / "x.onnx"
    assert advtasks("export", community, "-o", weights, "--format", "safetensors")[0] == 0
    before = weights.read_bytes()
    assert advtasks("export", weights, "-o", onnx)[0] == 0
    for arguments, message in (
        (
            (weights, "-o", weights, "--format", "safetensors", "--overwrite"),
            "is the model itself, which would be lost",
        ),
        ((weights, "-o", tmp_path / "x.pth", "--format", "safetensors"), "written to a file that ends in .safetensors"),
        ((onnx, "-o", tmp_path / "y.onnx"), "has been exported already"),
    ):
        code, _, err = advtasks("export", *arguments)
        assert (code, message in err) == (2, True), err
    assert weights.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"w.safetensors", "x.onnx"}


def test_values_that_are_no_numbers_are_computed_something_else(
    advtasks: Any, community: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from advtasks.inference import export

    monkeypatch.setattr(export, "compare", lambda *_: {"1x1x1": 0.0, "2x1x1": float("nan")})
    code, _, err = advtasks("export", community, "-o", tmp_path / "w.safetensors", "--format", "safetensors")
    assert (code, "its output is off by nan" in err) == (1, True)
    assert not list(tmp_path.iterdir())


def test_weights_that_are_taken_for_another_network_are_not_kept(
    advtasks: Any, community: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from advtasks.inference import export

    def taken(path: Path) -> Any:
        network, manifest = open_community_model(path)
        return network, replace(manifest, scale=3)

    monkeypatch.setattr(export, "open_model", taken)
    code, _, err = advtasks("export", community, "-o", tmp_path / "w.safetensors", "--format", "safetensors")
    assert (code, "Compact x3 of 3 channels is what other programs take these weights for" in err) == (1, True), err
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore")
def test_foreign_onnx_files_may_have_other_channels_and_newer_manifests(
    advtasks: Any, community: Path, tmp_path: Path
) -> None:
    import onnx

    colouring = torch.nn.Conv2d(1, 3, 1, bias=False)
    torch.nn.init.ones_(colouring.weight)
    with torch.no_grad():
        colouring.weight[2] = 0
    free = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    for name, network in (("colour", colouring), ("half", torch.nn.AvgPool2d(2))):
        given = torch.rand(2, 1, 8, 8)
        torch.onnx.export(network.eval(), (given,), tmp_path / f"{name}.onnx", dynamo=True, dynamic_shapes=(free,))
    Image.new("L", (5, 4), 100).save(tmp_path / "a.png")
    code, _, err = advtasks("upscale", tmp_path / "a.png", "-o", tmp_path / "out", "-m", tmp_path / "colour.onnx")
    assert code == 0, err
    with Image.open(tmp_path / "out" / "a_x1.png") as found:
        assert found.getpixel((2, 2)) == (100, 100, 0)
    code, _, err = advtasks("upscale", tmp_path / "a.png", "-o", tmp_path / "out", "-m", tmp_path / "half.onnx")
    assert (code, "not a picture of 1 or 3 channels whose sides are" in err) == (1, True), err
    assert advtasks("export", community, "-o", tmp_path / "new.onnx")[0] == 0
    model = onnx.load(tmp_path / "new.onnx")
    (entry,) = [entry for entry in model.metadata_props if entry.key == "advtasks"]
    entry.value = json.dumps({**json.loads(entry.value), "of_tomorrow": 1})
    onnx.save(model, tmp_path / "new.onnx")
    assert advtasks("models", "info", tmp_path / "new.onnx")[0] == 0


@pytest.mark.filterwarnings("ignore")
def test_colour_through_a_model_of_one_channel_is_said(advtasks: Any, tmp_path: Path) -> None:
    network = torch.nn.Conv2d(1, 1, 1, bias=False)
    free = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    torch.onnx.export(
        network.eval(), (torch.rand(2, 1, 8, 8),), tmp_path / "grey.onnx", dynamo=True, dynamic_shapes=(free,)
    )
    source = picture(tmp_path / "a.png")
    code, out, err = advtasks("upscale", source, "-o", tmp_path / "out", "-m", tmp_path / "grey.onnx")
    assert (code, "pictures in colour are made grey first" in out + err) == (0, True), err


def test_names_that_are_no_text_stop_no_batch(community: Path, tmp_path: Path) -> None:
    names = [os.fsencode(tmp_path / "in") + b"/caf\xe9.png", os.fsencode(tmp_path / "in" / "z.png")]
    picture(tmp_path / "in" / "z.png", 8, 8)
    Path(os.fsdecode(names[0])).write_bytes((tmp_path / "in" / "z.png").read_bytes())
    found = subprocess.run(
        [sys.executable, "-m", "advtasks.cli.main", "upscale", "-", "-o", tmp_path / "out", "-m", community],
        input=b"\n".join(names), capture_output=True, env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"}, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert b"2 written" in found.stdout
    assert rb"caf\udce9.png" in found.stdout
    assert sorted(os.fsencode(path.name) for path in (tmp_path / "out").iterdir()) == [b"caf\xe9_x2.png", b"z_x2.png"]
