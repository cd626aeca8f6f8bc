"""Commands that only look: data check, plugins, doctor, help; and what starting costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image

import advtasks.plugins as plugins_module
from advtasks.cli import doctor


def test_data_check(advtasks, photos: Path, tmp_path: Path) -> None:
    code, out, _ = advtasks("data", "check", photos, "--min-side", "20", "--sheet", tmp_path / "sheet.jpg")
    assert code == 0
    assert "6 pictures, 96x80 to 136x80 pixels" in out
    assert "sr: pictures: pictures in high resolution; the low" in out
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.width == 6 * 160
    (photos / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    (photos / "copy.png").write_bytes((photos / "picture-0.png").read_bytes())
    (photos / "notes.txt").touch()
    Image.new("RGB", (10, 10)).save(photos / "small.png")
    code, out, _ = advtasks("data", "check", photos, "--min-side", "20")
    assert code == 1
    for part in ("unreadable (1)", "cut.jpg", "small.png: 10x10", "copy.png = ", "notes.txt"):
        assert part in out, out
    assert "training, high resolution: 8, and 1 unreadable" in out
    code, _, err = advtasks("data", "check", tmp_path / "none")
    assert code == 1
    assert "no such folder" in err
    (tmp_path / "empty").mkdir()
    assert advtasks("data", "check", tmp_path / "empty")[0] == 1
    code, _, err = advtasks("data", "check", photos, "--task")
    assert code == 2
    assert "--task: expected one argument; see advtasks data check --help" in err


def test_plugins_and_doctor(advtasks) -> None:
    code, out, _ = advtasks("plugins")
    assert code == 0
    for part in ("advtasks:core", "advtasks:sr", "relativistic-average", "srresnet", "upscale"):
        assert part in out
    code, out, _ = advtasks("plugins", "sr", "--json")
    assert [plugin["name"] for plugin in json.loads(out)] == ["advtasks:sr"]
    code, _, err = advtasks("plugins", "srr")
    assert code == 2
    assert "did you mean" in err
    code, out, _ = advtasks("doctor")
    assert code == 0
    for part in ("torch ", "cpu ", "vision ops", "plugins ", "picture cache", "all is well"):
        assert part in out


HELPS = [
    [],
    ["train"],
    ["train", "sr"],
    ["upscale"],
    ["evaluate"],
    ["data"],
    ["plugins"],
    ["doctor"],
    ["models"],
    ["report"],
]


@pytest.mark.parametrize("verb", HELPS, ids=lambda v: " ".join(v) or "advtasks")
def test_help_imports_no_torch_and_names_the_options(verb: list[str]) -> None:
    code = (
        "import sys\nfrom advtasks.cli.main import main\n"
        f"try: main({[*verb, '--help']!r})\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'torchvision', 'kornia', 'numpy', 'transformers', 'albumentations', 'cv2', 'pydantic', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "usage:" in found.stdout
    assert "``" not in found.stdout


def test_importing_the_package_costs_nothing() -> None:
    code = "import sys, advtasks; assert not {'torch', 'numpy', 'pluggy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_version(advtasks) -> None:
    code, out, _ = advtasks("--version")
    assert code == 0
    assert out.startswith("advtasks ")


def test_doctor_knows_modules_of_other_distributions(advtasks, monkeypatch: pytest.MonkeyPatch) -> None:
    found = doctor.packages_distributions()
    known = {**found, "onnxruntime": ["numpy"]}
    del known["av"]
    monkeypatch.setattr(doctor, "packages_distributions", lambda: known)
    code, out, _ = advtasks("doctor")
    assert code == 0
    assert re.search(rf"^onnxruntime +{version('numpy')}$", out, re.MULTILINE)
    assert "not installed (videos: pip install 'advtasks[video]')" in out


def test_a_task_whose_package_is_broken_stops_no_other_in_data_check(
    advtasks, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = plugins_module.resolve

    def broken(name: str) -> object:
        if name == "advtasks_pix2pix.layouts:recognize":
            raise ImportError("No module named 'gone'")
        return resolve(name)

    monkeypatch.setattr(plugins_module, "resolve", broken)
    code, out, _ = advtasks("data", "check", photos)
    assert code == 0
    assert "pix2pix: its package cannot be imported (No module named 'gone')" in out
    assert "sr: pictures: " in out
    assert advtasks("data", "check", photos, "--task", "pix2pix")[0] == 1
