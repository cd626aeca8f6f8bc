"""The examples of the docs run, and do what they say."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


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

    block = (DOCS / "library.md").read_text().split("```python\n")[2].split("```")[0]
    space = {"critic": PatchDiscriminator(3, features=4, layers=1), "real": torch.rand(2, 3, 16, 16)}
    space["fake"] = torch.rand(2, 3, 16, 16, requires_grad=True)
    exec(block, space)
    space["generator_loss"].backward()
    assert space["fake"].grad.abs().sum() > 0


def test_the_reference_is_up_to_date() -> None:
    made = runpy.run_path(str(DOCS / "make_reference.py"))
    assert made["main"](["--check"]) == 0, "run python docs/make_reference.py"


def test_the_adversary_page_shows_the_example_as_it_is() -> None:
    page = (DOCS / "library.md").read_text()
    code = (DOCS / "two_lines.py").read_text()
    block = page.split("```python\n")[1].split("```")[0]
    for line in filter(None, block.splitlines()):
        assert line.strip() in code, line
