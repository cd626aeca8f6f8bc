"""The networks of the best validations: no more of them than training can come back to."""

from __future__ import annotations

from pathlib import Path

from advtasks.training.best_bundles import BestBundles


def there(bundles: BestBundles, stage: str = "one") -> list[int]:
    return [int(path.stem[-8:]) for path in bundles.of(stage)]


def test_those_that_are_overtaken_go_and_those_of_checkpoints_stay(tmp_path: Path) -> None:
    bundles = BestBundles(tmp_path)
    bundles.folder.mkdir()
    for step in (100, 200, 300, 400, 500, 900):  # the last one was taken back
        bundles.path("one", step).touch()
    bundles.path("other", 100).touch()
    (bundles.folder / "one-best-of-two.safetensors").touch()  # of a stage of that name, and its best
    bundles.path("one-best-of-two", 100).touch()
    bundles.forget("one", 500, True, [300, 450])
    assert there(bundles) == [200, 300, 400, 500], "a checkpoint of step 300 may be of before its validation"
    assert there(bundles, "other") == [100]
    bundles.forget("one", 500, True, [])
    assert there(bundles) == [400, 500]
    for step in (700, 800):
        bundles.path("one", step).touch()
    bundles.forget("one", 700, False, [600])
    assert there(bundles) == [500], "after a roll-back to 600 those of 700 and 800 are nobody's"
    bundles.path("one", 400).touch()
    bundles.keep_only("one", 400)
    assert there(bundles) == [400]
    bundles.path("one", 600).touch()
    bundles.keep_only("one", 700)
    assert there(bundles) == [600], "a full disk refused the best: the newest"
