"""What the documentation says of the live twin check: every answer in its own words."""

from dataclasses import replace

import pytest

from homeostat.report import lab_live
from homeostat.report.lab_live import Line, Live
from homeostat.report.lab_results import Machine, ResultsError

LINE = Line(
    fault="hung_replica", quantity="recovery_s", median=6.957, low=6.47, high=None,
    measured=7.3, inside=True, agrees=None,
)  # fmt: skip
FOUND = Live(
    version="0.1.0", made_at="2024-05-06T07:08:09Z", commit="0123456789abcdef", command="homeostat",
    wall_s=600.0, machine=Machine(cpu="A CPU", cores=2, python="3.11.7", jax="0.4"),
    catalogue="the demo's scenarios", catalogue_digest="f" * 64, draws=20, runs=1, starved=0,
    faults=1, signs=1,
    lines=(
        LINE,
        replace(LINE, quantity="fault: p99_ms", median=917.9, low=900.0, high=1234.5, inside=False,
                measured=1000.4, agrees=True),
        replace(LINE, quantity="action: p99_ms", measured=None, inside=None, agrees=False),
    ),
)  # fmt: skip


def rows(found: Live) -> list[list[str]]:
    lines = [line for line in lab_live.markdown(found).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_what_was_found_reads_back_as_it_was() -> None:
    assert lab_live.from_json(lab_live.to_json(FOUND)) == FOUND


def test_predicted_stands_beside_measured_and_unknown_is_neither_yes_nor_no() -> None:
    first, second, third = rows(FOUND)
    assert first == ["`hung_replica`", "`recovery_s`", "6.96 (6.47 to never)", "7.3", "yes", "-"]
    assert second[2:] == ["918 (900 to 1234)", "1000", "no", "yes"]
    assert third[2:] == ["6.96 (6.47 to -)", "-", "-", "no"]


def test_what_never_came_about_is_measured_and_what_was_not_measured_is_not() -> None:
    never = replace(LINE, measured=None, inside=False)
    assert rows(replace(FOUND, lines=(never,)))[0][3:] == ["never", "no", "-"]
    assert "0 of 1 measured values" in lab_live.markdown(replace(FOUND, lines=(never,)))
    unknown = replace(never, inside=None)
    assert "0 of 0 measured values" in lab_live.markdown(replace(FOUND, lines=(unknown,)))


def test_runs_on_a_busy_machine_are_named() -> None:
    assert "2 runs were left out" in lab_live.markdown(replace(FOUND, starved=2))
    assert "left out" not in lab_live.markdown(FOUND)


def test_a_file_of_another_form_is_refused_by_name() -> None:
    with pytest.raises(ResultsError, match="twin-live file"):
        lab_live.from_json("{}")
