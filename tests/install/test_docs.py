"""The examples of the docs run, and do what they say."""

from __future__ import annotations

import dataclasses
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from advtasks.cli.train import _own_flags, configure
from advtasks.errors import UsageError
from advtasks.plugins import plugins, resolve
from advtasks.training.adversaries import make_adversaries
from advtasks.training.checks import check_run

DOCS = Path(__file__).parents[2] / "docs"


def example(words: str) -> str:
    """The one of the adversary page that holds these words."""
    blocks = [block.split("```")[0] for block in (DOCS / "library.md").read_text().split("```python\n")[1:]]
    (found,) = (block for block in blocks if words in block)
    return found


def test_two_lines_in_a_loop_of_ones_own() -> None:
    example = runpy.run_path(str(DOCS / "two_lines.py"))
    before, after = example["train"](steps=120)
    assert after < 0.6 * before
    plain = example["train"](steps=5, adversarial_weight=0.0)
    with_adversary = example["train"](steps=5, adversarial_weight=0.05)
    assert plain != with_adversary


def test_the_plain_functions_of_the_page_work() -> None:
    import torch

    from advtasks import PatchDiscriminator

    block = example("r1_penalty")
    space = {"critic": PatchDiscriminator(3, features=4, layers=1), "real": torch.rand(2, 3, 16, 16)}
    space["fake"] = torch.rand(2, 3, 16, 16, requires_grad=True)
    exec(block, space)
    space["generator_loss"].backward()
    assert space["fake"].grad.abs().sum() > 0


def test_the_reference_is_up_to_date() -> None:
    made = runpy.run_path(str(DOCS / "make_reference.py"))
    assert made["main"](["--check"]) == 0, "run python docs/make_reference.py"


def test_the_adversary_page_shows_the_example_as_it_is() -> None:
    code = (DOCS / "two_lines.py").read_text()
    for line in filter(None, example("adversary.update").splitlines()):
        assert line.strip() in code, line


def test_a_training_from_python_is_as_the_page_says(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = example("training.run")
    assert photos == tmp_path / "photos"
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code.replace("steps=300", 'steps=2, batch=2, patch=8, device="cpu"'), names)
    assert names["bundle"] == Path("runs/photos/bundle.safetensors")
    assert names["bundle"].is_file()
    assert f"data: {photos}" in Path("runs/photos/run.yaml").read_text()
    with pytest.raises(UsageError, match="runs/photos holds a run"):
        exec(code, names)


def commands() -> list[str]:
    """The trainings that README and docs show, without what they begin with and what is said of them."""
    pages = [DOCS.parent / "README.md", *DOCS.glob("*.md")]
    lines = [line for page in pages for line in page.read_text().splitlines()]
    found = (match for line in lines for match in re.findall(r"(?:^|[ /`])advtasks train ([a-z][^#`>]*)", line))
    return sorted({match.strip() for match in found if "--help" not in match})


def test_every_training_of_the_docs_is_accepted(photos: Path) -> None:
    shown = commands()
    assert len(shown) > 10
    assert "sr --data DIR --devices 8" in shown
    for command in shown:
        known, flags = _own_flags().parse_known_args(command.split())
        name, _, config = configure(flags[0], flags[1:], known.config)
        task = resolve(plugins().find("tasks", name).spec.task)
        if config.data is not None:
            config = dataclasses.replace(config, data=data_of(name, photos))
        made = task(config)
        check_run(made, config, config.devices)
        make_adversaries(made, config)


def data_of(name: str, photos: Path) -> Path:
    """A folder that a task can look at."""
    return {"pix2pix": DOCS.parent / "datasets" / "pairs"}.get(name, photos)
