"""What coordination was worth: differences by group, and words that say no more than that."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from homeostat.base.errors import ConfigError
from homeostat.cli import lab_together_run as command
from homeostat.cli.lab_together_run import BEGIN, END, Asked
from homeostat.cli.output import Output
from homeostat.lab.together import Mode
from homeostat.lab.together_measure import MEASURES, Group, joined, lines, pairs
from homeostat.report.lab_together import Found, markdown, plain, rows

MADE = {"command": "homeostat lab together", "commit": "abc", "machine": "2 cores of X",
        "first_seed": "7"}  # fmt: skip


def group(mode: Mode, gain: list[float]) -> Group:
    values = np.zeros((len(MEASURES), len(gain)))
    values[0] = gain
    return Group(mode, values, np.full(len(gain), 0.5))


def test_groups_are_paired_and_batches_are_put_together_in_order() -> None:
    parts = [
        group(Mode.FIRST, [1.0, 5.0]), group(Mode.PRICED, [2.0, 6.0]),
        group(Mode.FIRST, [-3.0, 0.0]), group(Mode.PRICED, [-2.0, 1.0]),
    ]  # fmt: skip
    found = joined(parts)
    assert found[Mode.FIRST].values[0].tolist() == [1.0, 5.0, -3.0, 0.0]
    assert found[Mode.FIRST].over.shape == (4,)
    (gain,) = [one for one in pairs(found) if one.measure == "gain"]
    # Every group gains exactly one: the interval knows it, whatever the groups are like.
    assert gain.against is Mode.FIRST
    assert gain.difference == pytest.approx((1.0, 1.0, 1.0))
    assert 0.0 < gain.p <= gain.corrected <= 1.0
    (ours,) = [one for one in lines(found) if (one.mode, one.measure) == (Mode.PRICED, "gain")]
    assert ours.mean[0] == pytest.approx(1.75)
    assert ours.mean[1] < 1.75 < ours.mean[2]


def test_of_one_group_there_is_no_interval() -> None:
    (gain, *_) = lines(joined([group(Mode.FIRST, [1.0])]))
    assert gain.mean[0] == 1.0
    assert math.isnan(gain.mean[1])


def found(low: float) -> Found:
    three = dict.fromkeys(MEASURES, (1.0, low, 2.0))
    return Found(
        members=4, groups=2, room=0.15, family="load",
        lines={"first": three, "priced": three},
        pairs={"first": {name: (three[name], 0.2, 0.4) for name in MEASURES}},
        over={"first": 1.0, "priced": 0.9},
    )  # fmt: skip


def test_the_page_and_the_file_say_what_was_found_and_what_is_not_known() -> None:
    text = markdown([found(0.5)], MADE)
    assert "Made by `homeostat lab together` at abc" in text
    assert "| 15% | priced | 1.000 (0.500 to 2.000) |" in text
    assert "| 15% | first | 1.000 (0.500 to 2.000), p 0.400 |" in text
    assert "nan" not in markdown([found(math.nan)], MADE)
    said = json.loads(json.dumps(plain([found(math.nan)], MADE), allow_nan=False))
    assert said["found"][0]["modes"]["priced"]["gain"] == [1.0, None, 2.0]
    assert [row["less"] for row in rows([found(0.5)])] == ["priced gains +1.000, p 0.400", "-"]


def asked(folder: Path, **more: object) -> Asked:
    said = {"groups": 1, "members": 2, "room": "0.15", "hours": 1, "family": None,
            "out": folder, "page": None}  # fmt: skip
    return Asked(**(said | more))  # type: ignore[arg-type]


@pytest.mark.parametrize("room", ["", "a", "-0.1", "nan", "inf", "0.1,,0.2", "11"])
def test_a_room_that_is_none_is_refused_before_anything_is_played(
    room: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="--room"):
        command.main(asked(tmp_path, room=room), Output.JSON)


def test_a_page_without_a_place_and_a_family_that_is_none_are_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(ConfigError, match="lacks"):
        command.main(asked(tmp_path, page=page), Output.JSON)
    with pytest.raises(Exception, match="no_family"):
        command.main(asked(tmp_path, family="no_family"), Output.JSON)


@pytest.mark.long
def test_the_command_plays_three_ways_and_writes_them_into_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nlast time\n{END}\nafter\n", encoding="utf-8")
    command.main(asked(tmp_path, groups=2, page=page, family="load"), Output.JSON)
    said = json.loads((tmp_path / "together.json").read_text(encoding="utf-8"))
    assert json.loads(capsys.readouterr().out) == said
    (one,) = said["found"]
    assert set(one["modes"]) == {mode.value for mode in Mode}
    assert all(most <= 1.0 + 1e-6 for most in one["most_ordered"].values())
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "last time" not in text
