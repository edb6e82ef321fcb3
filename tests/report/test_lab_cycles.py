"""The HASH table survives the way to JSON and back, and says what it rests on."""

from dataclasses import replace

import pytest

from homeostat.report.lab_cycles import (
    Cycles,
    Line,
    Step,
    from_json,
    markdown,
    shown,
    to_json,
)
from homeostat.report.lab_results import Figure, Machine, ResultsError


def line(per_hour: float, uptime: float, policy: str = "threshold") -> Line:
    return Line(
        policy=policy,
        per_hour=per_hour,
        incidents=2345,
        uptime=Figure(value=uptime, low=uptime - 0.001, high=uptime + 0.001, n=1000),
        latency_ms=Figure(value=350.0, n=1000),
        error_rate=Figure(value=0.012, n=1000),
        recovery_s=Figure(value=None, n=0),
    )


FOUND = Cycles(
    version="0.1.0",
    made_at="2026-02-03T04:05:06Z",
    commit="0123456789abcdef",
    command="homeostat lab cycles",
    wall_s=600.0,
    machine=Machine(cpu="A processor", cores=2, python="3.11.2", jax="0.9.0"),
    catalogue="catalogue (43 scenarios)",
    catalogue_digest="c" * 64,
    thresholds_digest="d" * 64,
    cycles=1000,
    search_cycles=400,
    target=0.78,
    tolerance=0.02,
    steps=(Step(per_hour=4.0, uptime=0.6), Step(per_hour=2.5, uptime=0.782)),
    lines=(line(1 / 72, 0.998), line(2.5, 0.791)),
    alone={"load": Figure(value=4.0, n=10), "serving": Figure(value=9.0, n=12)},
)


def test_what_was_found_comes_back_as_it_was() -> None:
    assert from_json(to_json(FOUND)) == FOUND


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "homeostat.dev/lab-results/v1"}'])
def test_what_is_no_cycles_file_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ResultsError, match="cycles file"):
        from_json(text)


def test_the_table_stands_beside_the_papers_and_says_how_it_was_made() -> None:
    text = markdown(FOUND)
    rows = [row.strip("| ").split(" | ") for row in text.splitlines() if row.startswith("| ")]
    assert ["HASH paper, before", "", "78 %", "350 ms", "1.2 %", "60 s"] in rows
    found = next(row for row in rows if row[0] == "threshold, one in 72 h")
    assert found[1:] == ["2,345", "99.80 % (99.70 to 99.90 %)", "350 ms", "1.2 %", "-"]
    assert "searched on 400 other hours" in text
    assert "commit 0123456789ab" in text
    families = [row[0] for row in rows if row[0] in FOUND.alone]
    assert families == ["serving", "load"]  # the costliest first


def test_the_baseline_is_as_wanted_only_within_the_tolerance_on_the_hours_measured() -> None:
    assert FOUND.met is True
    assert replace(FOUND, lines=(line(2.5, 0.801),)).met is False
    assert replace(FOUND, lines=(line(2.5, 0.78, policy="hpa"),)).met is None
    assert replace(FOUND, steps=()).met is None
    assert "more than 2 points from that" in markdown(replace(FOUND, lines=(line(2.5, 0.7),)))


def test_a_command_prints_a_row_for_each_line_or_everything() -> None:
    rows = shown(FOUND, plain=False)
    assert [row["policy"] for row in rows] == ["threshold, one in 72 h", "threshold, 2.5 an hour"]
    assert shown(FOUND, plain=True)["steps"][-1] == {"per_hour": 2.5, "uptime": 0.782}
