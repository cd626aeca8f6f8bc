"""Configuration files and flags; plugins that are broken, collide or are missing."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from advtasks_sr.presets import PRESETS, QUICK

from advtasks import components
from advtasks.cli.data import _options_of
from advtasks.cli.presets import presets_of
from advtasks.cli.train import _tasks, configure
from advtasks.config import AdversaryConfig, RunConfig
from advtasks.config_files import from_plain, to_plain, to_yaml
from advtasks.config_places import from_anywhere
from advtasks.errors import AdvtasksError, UsageError
from advtasks.hookspecs import TaskSpec
from advtasks.plugins import Plugins, chosen
from advtasks.training.checks import check_run


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_survive_yaml(preset: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(to_yaml({"task": "sr", "preset": preset, **to_plain(PRESETS[preset])}))
    assert configure("", [], file) == ("sr", preset, PRESETS[preset])


def test_flags_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("task: sr\nbatch: 5\nadversary: {loss: hinge, weight: 0.5}\n")
    _, preset, config = configure(
        "sr", ["--batch", "7", "--adversary.regularizers", "r1:interval=8,spectral-norm"], file
    )
    assert preset == "quick"
    assert config.batch == 7
    assert config.adversary.loss == "hinge"
    assert config.adversary.weight == 0.5
    assert config.adversary.regularizers == ("r1:interval=8", "spectral-norm")
    assert config.adversary.discriminator == QUICK.adversary.discriminator


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bacth: 5", "bacth: unknown field; did you mean 'batch'"),
        ("adversary: {los: hinge}", "adversary.los: unknown field; did you mean 'loss'"),
        ("batch: many", "batch: Input should be a valid integer, .*found 'many'"),
        ("stages: 3", "stages: a list is needed, found 3"),
        ("stages: [3]", "stages.0: fields with values are needed, found 3"),
        ("stages: [{name: a}]", "stages.0.steps: Field required"),
        ("task: sdr", "unknown task 'sdr': did you mean 'sr'"),
        (
            "stages: [{name: a, steps: 1, weights: {l1: 1}, lr: 2}]",
            r"stages.0.lr: unknown field; .*learning_rate",
        ),
        ("- 1", "expected fields with values"),
        ("a: [", "not YAML"),
        ("batch: 4\nbatch: 8", r"batch is there twice\n.*line 2, column 1"),
        ("adversary: {loss: hinge, loss: wasserstein}", "loss is there twice"),
        ("out: 2024-13-45", "not YAML: month must be in 1..12"),
        ("cache_gib: .inf", "cache_gib must be finite"),
        ("adversary: {learning_rate: .nan}", "adversary.learning_rate must be above 0, got nan"),
        ("adversary: {label_smoothing: 7}", "label_smoothing must be at least 0 and below 1"),
        ("stages: [{name: a, steps: 1, weights: {l1: 1}, learning_rate: .inf}]", "learning_rate must be above 0"),
    ],
)
def test_mistakes_in_a_file_name_file_and_field(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as error:
        configure("" if "task" in text else "sr", [], file)
    assert "bad.yaml" in str(error.value)


def test_steps_keep_the_shares_of_the_stages() -> None:
    for steps in (2, 3, 12, 601, 5000):
        lengths = [stage.steps for stage in from_plain(type(QUICK), {**to_plain(QUICK), "steps": steps}, "test").stages]
        assert sum(lengths) == steps
        assert all(lengths)
        whole = sum(stage.steps for stage in QUICK.stages)
        assert lengths[0] == pytest.approx(steps * QUICK.stages[0].steps / whole, abs=1)
    with pytest.raises(UsageError, match="2 stages"):
        from_plain(type(QUICK), {**to_plain(QUICK), "steps": 1}, "test")


def test_unknown_names_get_suggestions() -> None:
    with pytest.raises(UsageError, match="unknown task 'sd': did you mean 'sr'"):
        configure("sd", [], None)
    with pytest.raises(UsageError, match="no preset 'quik': did you mean 'quick'"):
        configure("sr:quik", [], None)
    with pytest.raises(UsageError, match="unknown generator 'srresnt': did you mean 'srresnet'"):
        components.build("generators", "srresnt")
    with pytest.raises(UsageError, match="expected NAME:option=value"):
        components.parse("r1:gamma")


class FakePoint:
    """An entry point of an installed distribution."""

    def __init__(self, name: str, distribution: str, module: str) -> None:
        self.name, self.module = name, module
        self.dist = type("Distribution", (), {"name": distribution, "version": "1.2"})()

    def load(self) -> object:
        return importlib.import_module(self.module)


@pytest.fixture
def write_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.syspath_prepend(str(tmp_path))
    written = []

    def write(name: str, code: str) -> FakePoint:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        importlib.invalidate_caches()
        written.append(name)
        return FakePoint(name, f"dist-{name}", name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


TASK = """
from advtasks.hookspecs import TaskSpec, hookimpl
@hookimpl
def advtasks_tasks():
    return [TaskSpec(name="{name}", summary="s", config="a:b", task="a:b", presets="a:b"{more})]
"""


def test_one_broken_plugin_stops_no_other(write_plugin) -> None:
    good = write_plugin("good", TASK.format(name="paint", more=""))
    raising = write_plugin("raising", "raise ImportError('no such library')")
    leaving = write_plugin("leaving", "import sys; sys.exit('needs foo')")
    spec = 'TaskSpec(name="draw", summary="s", config="a:b", task="a:b", presets="a:b")'
    twice = write_plugin(
        "twice",
        "from advtasks.hookspecs import TaskSpec, hookimpl\n@hookimpl\ndef advtasks_tasks():\n"
        f"    return [{spec}, {spec}]\n",
    )
    hook = write_plugin(
        "hook", "from advtasks.hookspecs import hookimpl\n@hookimpl\ndef advtasks_tasks():\n    1 / 0\n"
    )
    typo = write_plugin(
        "typo", "from advtasks.hookspecs import hookimpl\n@hookimpl\ndef advtasks_taks():\n    return []\n"
    )
    future = write_plugin("future", TASK.format(name="late", more=", api_version=99"))
    wrong = write_plugin(
        "wrong",
        "from advtasks.hookspecs import hookimpl\n@hookimpl\ndef advtasks_tasks():\n    return [{'name': 'x'}]\n",
    )
    bare = write_plugin("bare", "def advtasks_losses():\n    return []\n")
    found = Plugins([raising, good, hook, typo, future, wrong, leaving, twice, bare])
    assert list(found.provided("tasks")) == ["paint"]
    report = "\n".join(found.report_broken())
    for part in ("dist-raising:raising 1.2", "no such library", "ZeroDivisionError", "advtasks_taks", "plugin API 99", "must return descriptions",
                 "pip uninstall dist-raising", "needs foo", "advtasks_tasks gives draw twice",
                 "advtasks_losses is not marked with @advtasks.hookspecs.hookimpl"):  # fmt: skip
        assert part in report
    with pytest.raises(UsageError, match="no such library"):
        found.find("tasks", "other")


def test_an_option_that_a_component_does_not_have_is_the_plugins_mistake(
    write_plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = write_plugin(
        "odd",
        """
        from advtasks.hookspecs import Component, hookimpl
        @hookimpl
        def advtasks_losses():
            build = "advtasks.losses:LeastSquares"
            return [Component(name="odd", summary="s", build=build, defaults={"nonesuch": 1})]
        """,
    )
    monkeypatch.setattr(components, "plugins", lambda: Plugins([point]))
    with pytest.raises(
        AdvtasksError, match=r"'odd' of the plugin dist-odd:odd 1.2 sets nonesuch, which .*LeastSquares"
    ):
        components.build("losses", "odd")


def test_options_of_a_task_that_cannot_be_imported_do_not_matter() -> None:
    broken = TaskSpec(name="x", summary="s", config="a:b", task="a:b", presets="a:b", reading="nowhere:Reading")
    assert _options_of(broken) == set()
    assert "classes" in _options_of(dataclasses.replace(broken, reading="advtasks_pix2pix.config:Reading"))


def test_equal_names_from_two_packages_name_both(write_plugin) -> None:
    points = [write_plugin(name, TASK.format(name="paint", more="")) for name in ("one", "two")]
    with pytest.raises(AdvtasksError, match="'paint': dist-one:one and dist-two:two"):
        Plugins(points)


def test_plugins_are_chosen_by_the_names_that_messages_give(write_plugin) -> None:
    points = [write_plugin(name, "") for name in ("core", "one", "two")]
    assert [point.name for point in chosen(points, "dist-two:two")] == ["core", "two"]
    assert [point.name for point in chosen(points, "one, two")] == ["core", "one", "two"]
    assert [point.name for point in chosen(points, "")] == ["core"]
    with pytest.raises(UsageError, match="ADVTASKS_PLUGINS names 'onee': did you mean 'one'"):
        chosen(points, "onee")


def test_one_task_without_presets_stops_no_other(write_plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Plugins([write_plugin("good", TASK.format(name="paint", more=""))])
    monkeypatch.setattr("advtasks.cli.presets.plugins", lambda: found)
    monkeypatch.setattr("advtasks.cli.train.plugins", lambda: found)
    with pytest.raises(UsageError, match="presets of paint cannot be imported .*dist-good:good 1.2 is broken"):
        presets_of("paint", None)
    assert "paint       s" in _tasks()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forgetful(RunConfig):
    """Of a plugin whose own checks replace those of its base."""

    reference: Path | None = None

    def __post_init__(self) -> None:
        pass


def test_a_configuration_that_skips_its_base_is_told() -> None:
    config = Forgetful(steps=7, stages=QUICK.stages, device="cpu")
    with pytest.raises(UsageError, match="Forgetful does not share them among its stages"):
        check_run(None, config)  # type: ignore[arg-type]


def test_a_plugins_own_paths_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    assert from_anywhere(Forgetful(reference=Path("a.png"))).reference == tmp_path / "a.png"
    assert from_anywhere(Forgetful(reference=Path("masks"))).reference == Path("masks"), "below --data, perhaps"


def test_built_in_tasks_come_through_the_entry_points() -> None:
    names = {point.name for point in importlib.metadata.entry_points(group="advtasks")}
    assert {"core", "sr"} <= names
    core_only = [p for p in importlib.metadata.entry_points(group="advtasks") if p.name == "core"]
    assert not Plugins(core_only).provided("tasks")
    assert "hinge" in Plugins(core_only).provided("losses")


def test_files_that_options_name_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    for name in ("trunk.pth", "heads.pth", "0.1"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    adversary = AdversaryConfig(regularizers=("r1:gamma=5", "feature-matching:network=vgg19"))
    config = RunConfig(data=Path("data"), optimizer="adamw:weight_decay=0.2:state=./heads.pth", adversary=adversary)
    found = from_anywhere(config)
    assert found.data == tmp_path / "data"
    assert found.optimizer == f"adamw:weight_decay=0.2:state={tmp_path / 'heads.pth'}"
    assert found.adversary == adversary
    assert from_anywhere(found) == found
