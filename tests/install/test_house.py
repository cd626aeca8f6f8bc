"""The state of the house: formatting, types, import contract, and that README and CI call the same command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        [BIN / "ruff", "check", "."],
        [BIN / "ruff", "format", "--check", "."],
        [BIN / "mypy"],
        [BIN / "lint-imports", "--no-cache"],
    ],
    ids=["ruff-check", "ruff-format", "mypy", "import-contract"],
)
def test_static(command: list[Path | str]) -> None:
    found = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_ci_runs_the_second_command_of_the_readme() -> None:
    commands = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 2
    assert "advtasks train sr --data datasets/photos" in commands[0]
    script = (ROOT / ".ci" / "run").read_text()
    assert commands[1] in script.splitlines()


def test_shipped_photographs_are_what_their_manifest_says() -> None:
    import hashlib

    from PIL import Image

    folder = ROOT / "datasets" / "photos"
    entries = json.loads((folder / "manifest.json").read_text())["pictures"]
    assert len(entries) >= 12
    assert {entry["file"] for entry in entries} == {path.name for path in folder.glob("*.jpg")}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 8 * 2**20
    for entry in entries:
        path = folder / entry["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"], path
        assert entry["author"]
        assert entry["licence"]
        with Image.open(path) as image:
            assert image.mode == "RGB"
            assert image.size == (entry["width"], entry["height"])
            assert max(image.size) <= 1024
    assert not (ROOT / "datasets" / "__init__.py").exists()


def test_no_file_is_too_long_to_read() -> None:
    for path in [*(ROOT / "advtasks").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        lines = len(path.read_text().splitlines())
        assert lines <= (350 if path.name == "loop.py" else 300), f"{path}: {lines} lines"
