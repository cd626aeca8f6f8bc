"""``--compile`` through whole trainings, and what is said where torch cannot compile."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ranks_rows import Row
from ranks_train import train
from states import tensors

Run = Callable[..., tuple[int, str, str]]
ROWS: list[Row] = [
    ("sr", "non-saturating", "wgan-gp", ""),
    ("points", "simultaneous", "r1", ""),
]


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # of torch's own tracing
@pytest.mark.parametrize("row", ROWS, ids=["+".join(row[:3]) for row in ROWS])
def test_a_compiled_run_trains_as_an_eager_one(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the names that a run which is not compiled goes on with. Traced and differentiated as for the compiler, whose
    own kernels tests/unit/test_adversary.py compares."""
    seen = []
    compiled = functools.partial(torch.compile, backend="aot_eager")
    monkeypatch.setattr(torch, "compile", lambda run: seen.append(run) or compiled(run))
    torch._dynamo.reset()
    plain, fast = (train(row, tmp_path, compile=compile) for compile in (False, True))
    assert len(seen) == 2, "the critic and the generator"
    one, other = tensors(plain), tensors(fast)
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-5, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}")


def test_without_a_compiler_nothing_begins(advtasks: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._inductor.config

    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, "/nonexistent"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    torch._dynamo.reset()
    code, _, err = advtasks("train", "points", "--out", tmp_path / "run", "--compile", "--device", "cpu")
    assert code == 2
    assert "--compile: torch cannot compile here" in err
    assert "leave --compile out" in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()
