"""Looking at runs, from their files alone: ``advtasks runs``, ``report`` of one and of two, at every moment of a run."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from advtasks.reporting import report
from advtasks.reporting.comparison import comparison_html, differences, kept, measured, names_of
from advtasks.reporting.pictures import CELL, save_contact_sheet
from advtasks.reporting.results import read_results, write_results
from advtasks.reporting.runs import summary
from advtasks.reporting.table import result_table, rows, worse_than_best
from advtasks.reporting.times import stage_times, times_table
from advtasks.run_lock import RunLock

Run = Callable[..., tuple[int, str, str]]
METRICS = [
    {"name": "up", "label": "UP", "higher_is_better": True, "protocol": "more is better", "unit": "dB"},
    {"name": "down", "label": "DOWN", "higher_is_better": False, "protocol": "less is better", "unit": ""},
]


def trained(step: int, stage: str, seconds: float = 0.5) -> dict[str, Any]:
    return {"kind": "train", "step": step, "stage": stage, "l1": 0.1, "seconds/step": seconds, "seconds/data": 0.1}


def validated(step: int, stage: str, up: float, down: float, n: int = 3) -> dict[str, Any]:
    return {"kind": "validation", "step": step, "stage": stage, "up": up, "down": down, "n": n, "seconds": 1.0}


def stage(name: str, step: int, up: float, down: float) -> dict[str, Any]:
    best = {
        "up": {"last": up, "best": up + 1, "step": 5, "ratio": up / (up + 1)},
        "down": {"last": down, "best": down, "step": step, "ratio": 1.0},
    }
    return {"stage": name, "step": step, "metrics": {"up": up, "down": down}, "seconds": 9.0, "best": best}


def make(run: Path, stages: list[dict[str, Any]], rate: str = "0.1", count: int = 3) -> Path:
    """A run of two stages with 10 and 20 steps; `stages` have ended."""
    run.mkdir(parents=True)
    (run / "run.yaml").write_text(
        "task: sr\npreset: plain\nversions: {torch: '2'}\nstages:\n"
        f"- {{name: one, steps: 10, rate: {rate}}}\n- {{name: two, steps: 20, rate: 0.1}}\n"
    )
    values = {
        "metrics": METRICS, "baseline": {"name": None, "metrics": None}, "stages": stages, "pictures": ["output"],
        "validation_pictures": count,
    }  # fmt: skip
    (run / "results.json").write_text(json.dumps(values))
    records = [trained(5, "one"), validated(5, "one", 2.0, 3.0), validated(6, "one", 1.0, 2.0)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return run


def test_runs_knows_the_best_before_a_stage_ends(tmp_path: Path) -> None:
    found = summary(make(tmp_path / "a", []))
    assert (found.target, found.step, found.steps) == ("sr:plain", 5, 30)
    assert found.metrics == {"up": 1.0, "down": 2.0}
    assert found.best == {"up": 2.0, "down": 2.0}, "in each metric's own direction"
    assert found.seconds == pytest.approx(2.5), "five steps"


def test_a_stage_that_ended_early_counts_as_long_as_it_was(tmp_path: Path) -> None:
    assert summary(make(tmp_path / "a", [stage("one", 7, 1.0, 1.0)])).steps == 27


def test_the_state_is_what_the_lock_says(tmp_path: Path, advtasks: Run) -> None:
    run = make(tmp_path / "runs" / "a", [])
    assert summary(run).state == "stopped", "it never said how it ended"
    with RunLock(run):
        assert summary(run).state == "running"
    assert summary(run).state == "stopped", "without a bundle it is not finished"
    with pytest.raises(ValueError, match="the disk"), RunLock(run):
        raise ValueError("the disk: it is full\nand more")
    assert (summary(run).state, summary(run).reason) == ("failed", "the disk: it is full")
    broken = make(tmp_path / "runs" / "b", [])
    (broken / "results.json").write_text("{")
    code, out, _ = advtasks("runs", tmp_path / "runs")
    assert code == 0
    first, why, second, broken_why = out.splitlines()
    assert "failed      step 5/30  2 s  UP 1 (best 2)  DOWN 2" in first, "as the report calls the metrics"
    assert why == "    the disk: it is full"
    assert "unreadable  step 0/0   0 s" in second, "one column below the other"
    assert "results.json is damaged" in broken_why
    assert broken_why.endswith("move a bundle.safetensors of a finished run away before"), "all of it"
    (run / "bundle.safetensors").touch()
    code, out, _ = advtasks("runs", tmp_path / "runs", "--json")
    assert [row["state"] for row in json.loads(out)] == ["finished", "unreadable"]
    code, _, err = advtasks("runs", tmp_path / "none")
    assert (code, "no such folder" in err) == (2, True)
    assert advtasks("runs", run.parent.parent / "runs" / "a" / "..")[0] == 0


def test_a_damaged_results_file_is_named(tmp_path: Path, advtasks: Run) -> None:
    run = make(tmp_path / "a", [])
    for text in ("{", "[]", '{"stages": []}'):
        (run / "results.json").write_text(text)
        code, _, err = advtasks("report", run)
        assert code == 1
        assert f"{run / 'results.json'} is damaged" in err
    whole = json.loads((make(tmp_path / "b", []) / "results.json").read_text())
    whole["stages"] = [{"stage": "one", "step": 1, "seconds": 1.0, "metrics": {}}]
    for run_of in (["report", run], ["report", run, tmp_path / "b"]):
        (run / "results.json").write_text(json.dumps(whole))
        code, _, err = advtasks(*run_of)
        assert code == 1
        assert "is damaged (one has no down, one has no up)" in err
    (run / "results.json").unlink()
    code, _, err = advtasks("report", run)
    assert (code, "no results.json" in err) == (2, True)


def test_results_that_are_not_finite_are_texts(tmp_path: Path) -> None:
    values = json.loads((make(tmp_path / "a", []) / "results.json").read_text())
    name = values["metrics"][0]["name"]
    numbers = {metric["name"]: 1.0 for metric in values["metrics"]} | {name: math.inf}
    best = {name: {"last": math.inf, "best": -math.inf, "step": 3, "ratio": None}}
    values["stages"] = [{"stage": "one", "metrics": numbers, "best": best}]
    write_results(tmp_path / "a", values)
    text = (tmp_path / "a/results.json").read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    found = read_results(tmp_path / "a")["stages"][0]
    assert found["metrics"] == numbers
    assert found["best"] == best


def test_a_report_before_the_first_stage_ends(tmp_path: Path, advtasks: Run) -> None:
    run = make(tmp_path / "a", [])
    assert advtasks("report", run)[0] == 0
    assert "UP (dB)" in (run / "report.html").read_text()
    assert "UP (dB)" in result_table(json.loads((run / "results.json").read_text()))


def test_two_runs_beside_each_other(tmp_path: Path, advtasks: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, two = make(tmp_path / "a", [stage("one", 10, 3.0, 4.0)]), make(tmp_path / "b", [], rate="0.2")
    three = make(tmp_path / "c", [stage("one", 10, 5.0, 6.0)])
    with (one / "run.yaml").open("a") as file:
        file.write("steps: null\n")  # as older runs have it
    assert differences([one, two]) == [("stages.0.rate", ["0.1", "0.2"])]
    assert measured([one, two, three]) == [
        ("UP ↑", ["3.0000 ", "- ", "5.0000*"]),
        ("DOWN ↓", ["4.0000*", "- ", "6.0000 "]),
    ]
    assert measured([two])[0] == ("UP ↑", ["- "])
    code, out, err = advtasks("report", one, two)
    assert code == 0, err
    assert [line.split() for line in out.splitlines() if line.startswith(("UP", "stages.0", "steps"))] == [
        ["UP", "↑", "3.0000*", "-"],
        ["steps", "5", "5"],
        ["stages.0.rate", "0.1", "0.2"],
    ]
    page = Path("comparison.html").read_text()
    assert "<td class=best>3.0000</td><td>-</td>" in page
    assert kept([one, two, three]) == []
    (one / "stages").mkdir()
    (one / "stages" / "one-best-00000005.safetensors").touch()
    assert kept([one, two, three]) == [("bundle of step", ["5", "-", "10"])], "the best of it was not the last"
    assert re.search(r"^bundle of step +5 +10$", advtasks("report", one, three)[1], re.MULTILINE)
    assert names_of([one, tmp_path / "other" / "a"]) == [str(one), str(tmp_path / "other" / "a")]
    other = make(tmp_path / "d", [], count=4)
    code, _, err = advtasks("report", one, other)
    assert (code, "do not measure the same (on 3 and 4 examples)" in err) == (2, True)
    assert "`advtasks evaluate` measures several models" in err
    stranger = make(tmp_path / "e", [])
    values = json.loads((stranger / "results.json").read_text())
    values["metrics"][1] |= {"protocol": "another"}
    (stranger / "results.json").write_text(json.dumps(values))
    assert "(down: missing, or by another protocol)" in advtasks("report", one, stranger)[2]


def test_worse_than_best_looks_in_each_metrics_direction() -> None:
    results = {"metrics": METRICS, "stages": [stage("one", 10, 3.0, 4.0)]}
    assert worse_than_best(results) == ["one: UP was best at step 5 with 4; the last is 3 (last / best 0.750)"]


def test_times_are_means_over_steps() -> None:
    records = [trained(2, "one", 1.0), validated(2, "one", 0, 0), trained(4, "one", 3.0), trained(5, "two", 0.2)]
    one, two = stage_times(records)
    assert (one.stage, one.steps, one.step, one.parts["data"]) == ("one", 4, 2.0, pytest.approx(0.1))
    assert one.evaluation_share == pytest.approx(1 / 9)
    assert (two.steps, two.step) == (1, pytest.approx(0.2))


def test_the_report_shows_where_the_time_went() -> None:
    """Each part that took a two-hundredth of a step, in milliseconds, and a bar of their shares."""
    records = [trained(2, "<one>", 1.0) | {"seconds/penalty": 0.25, "seconds/generator": 0.004, "memory_gib": 1.5},
               validated(2, "<one>", 0, 0)]  # fmt: skip
    page = times_table(records)
    said = re.sub("<[^>]*>", "", page)
    assert "&lt;one&gt;: 1000.0 ms a step; baseline and validation took 33.3% of the time; at most 1.50 GiB" in said
    assert "data 100.0 ms · penalty 250.0 ms · other 646.0 ms · eval 500.0 ms" in said
    assert [float(share) for share in re.findall(r'"penalty" style="flex-grow:([\d.]+)"', page)] == [25.0]
    assert times_table([]) == ""


def test_a_value_that_is_no_number_takes_no_star() -> None:
    metric = {"name": "up", "label": "up", "higher_is_better": True, "unit": "", "protocol": ""}
    results = {
        "metrics": [metric],
        "baseline": {"name": "none", "metrics": {"up": math.nan}},
        "stages": [{"stage": "one", "metrics": {"up": 30.0}}, {"stage": "two", "metrics": {"up": 20.0}}],
    }
    assert [cells for _, cells in rows(results)] == [["nan "], ["30.0000*"], ["20.0000 "]]


def test_a_record_of_no_step_hides_no_other_run(tmp_path: Path) -> None:
    assert stage_times([trained(0, "pixel"), trained(10, "pixel")])[0].steps == 10


def test_nothing_in_a_name_ends_the_script_of_the_page() -> None:
    assert "</script>" not in report._in_script([{"name": "a</script><script>alert(1)"}])
    assert json.loads(report._in_script({"a<b": "</script>"})) == {"a<b": "</script>"}


def test_a_sheet_of_a_run_without_pictures_is_refused(tmp_path: Path, advtasks: Run) -> None:
    run = make(tmp_path / "run", [stage("pixel", 10, 1.0, 1.0)])
    code, _, err = advtasks("report", run, "--sheet", tmp_path / "sheet.jpg")
    assert (code, "has no pictures yet" in err) == (2, True)
    assert not (tmp_path / "sheet.jpg").exists()


def test_a_sheet_shows_what_all_examples_have(tmp_path: Path) -> None:
    picture = torch.rand(3, 8, 8)
    save_contact_sheet(tmp_path / "a.jpg", [{"input": picture, "one": picture}, {"input": picture}])
    with Image.open(tmp_path / "a.jpg") as sheet:
        assert sheet.width == CELL


def test_a_star_in_a_differing_option_is_no_best(tmp_path: Path) -> None:
    runs = [make(tmp_path / name, [stage("pixel", 10, 1.0, 1.0)], rate=f'"/{name}/*"') for name in ("a", "b")]
    _, options = comparison_html(runs)
    assert "/a/*" in options
    assert "class=best" not in options


def test_curves_of_weeks_are_thinned_and_end_where_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advtasks.reporting.report.POINTS", 10)
    records = [{"kind": "train", "stage": "a", "step": step} for step in range(1, 96)]
    records += [{"kind": "train", "stage": "b", "step": step} for step in range(96, 104)]
    records += [{"kind": "validation", "stage": "b", "step": step} for step in range(50)]
    kept = report.thinned(records)
    assert [r["step"] for r in kept if r["stage"] == "a"] == [1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 95]
    assert [r for r in kept if r["stage"] == "b"] == records[95:]
