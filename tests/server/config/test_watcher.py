import os
from pathlib import Path

import pytest

from homeostat.base.errors import ConfigError
from homeostat.server.config import Watcher

ROOT = Path(__file__).parents[3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    text = (ROOT / "examples" / "managed-model.yaml").read_text()
    text += "---\n" + (ROOT / "examples" / "policies" / "demo.yaml").read_text()
    (tmp_path / "one.yaml").write_text(text)
    return tmp_path / "one.yaml"


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    fresh = file.with_suffix(".new")
    fresh.write_text(text.replace(old, new))
    fresh.replace(file)  # another inode, whatever the clock's grain


def test_a_change_is_read_once(file: Path) -> None:
    watcher = Watcher([file])
    assert watcher.poll() is None
    rewrite(file, "mode: shadow", "mode: approve")
    fresh = watcher.poll()
    assert fresh is not None
    assert fresh.managed()[0].mode == "approve"
    assert watcher.config is fresh
    assert watcher.poll() is None


def test_a_bad_reload_keeps_the_last_good_one_and_says_so_once(file: Path) -> None:
    said: list[str] = []
    watcher = Watcher([file], said.append)
    good = watcher.config
    rewrite(file, "mode: shadow", "mode: shaddow")
    assert watcher.poll() is None
    assert watcher.config is good
    assert "did you mean 'shadow'?" in watcher.problem
    os.utime(file)  # touched, and no better
    assert watcher.poll() is None
    assert len(said) == 1
    assert said[0].startswith("configuration NOT reloaded")
    rewrite(file, "mode: shaddow", "mode: auto")
    fresh = watcher.poll()
    assert fresh is not None
    assert (watcher.problem, len(said)) == ("", 2)


def test_a_file_that_vanishes_changes_nothing(file: Path) -> None:
    said: list[str] = []
    watcher = Watcher([file], said.append)
    good = watcher.config
    text = file.read_text()
    file.unlink()
    assert watcher.poll() is None
    assert watcher.config is good
    assert "no such file" in watcher.problem
    file.write_text(text)
    assert watcher.poll() is None  # the same as before: good again, nothing new
    assert (watcher.problem, len(said)) == ("", 2)


def test_a_comment_is_no_change(file: Path) -> None:
    watcher = Watcher([file])
    rewrite(file, "mode: shadow", "mode: shadow  # still")
    assert watcher.poll() is None


def test_a_new_file_in_a_folder_is_seen(file: Path) -> None:
    watcher = Watcher([file.parent])
    more = file.read_text().split("---")[0].replace("name: credit", "name: more")
    (file.parent / "two.yaml").write_text(more)
    fresh = watcher.poll()
    assert fresh is not None
    assert [one.name for one in fresh.managed()] == ["credit", "more"]


def test_without_a_first_good_one_there_is_nothing_to_keep(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Watcher([tmp_path / "no.yaml"])


def test_a_change_of_a_file_that_is_referred_to_is_read(file: Path, tmp_path: Path) -> None:
    metric = "{metricSource: {type: Homeostat, spec: {signal: %s}}}"
    slo = (
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: answers}\nspec:\n"
        "  indicator: {spec: {ratioMetric: {counter: true,\n"
        f"    bad: {metric % 'errors'}, total: {metric % 'requests'}}}}}}}\n"
        "  timeWindow: [{duration: 28d, isRolling: true}]\n"
        "  budgetingMethod: Occurrences\n  objectives: [{target: 0.995}]\n"
    )
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "slo.txt").write_text(slo)
    rewrite(file, "  slo:\n", "  slo:\n    - openslo: {file: beside/slo.txt}\n")
    watcher = Watcher([file])
    assert watcher.poll() is None
    before = watcher.config
    rewrite(beside / "slo.txt", "0.995", "0.999")
    fresh = watcher.poll()
    assert fresh is not None
    assert fresh.managed()[0].slos[0].target_ppm == 999_000
    assert fresh.digest != before.digest
    assert watcher.poll() is None
    (beside / "slo.txt").unlink()
    assert watcher.poll() is None
    assert watcher.config is fresh
    assert "slo.txt" in watcher.problem
