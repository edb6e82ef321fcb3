"""The benchmark's own parts: made-up recordings, the clock, the table's verdict, peers' absence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_a_seed_makes_the_same_recordings_and_another_seed_others() -> None:
    from detection.synthetic import recordings  # noqa: PLC0415 - found by the fixture above

    first, again, other = (recordings(4, seed=seed) for seed in (5, 5, 6))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.values, two.values)
        assert one.events == two.events
    assert not np.array_equal(first[0].values, other[0].values)
    for one in first:
        assert np.isfinite(one.values).all()
        assert all(0 < a <= b < len(one.values) for a, b in one.events)


def test_missing_rows_become_ticks_without_a_value() -> None:
    from detection.sets import on_clock  # noqa: PLC0415 - found by the fixture above

    at, table = on_clock(np.array([0.0, 60.0, 120.0, 300.0, 360.0]), np.arange(5.0)[:, None])
    assert at.tolist() == [0, 1, 2, 5, 6]
    np.testing.assert_array_equal(table[:, 0], [0.0, 1.0, 2.0, np.nan, np.nan, 3.0, 4.0])


@pytest.mark.parametrize("times", [[0.0, 60.0, 60.0, 120.0], [0.0, 60.0, 30.0], [0.0, 1.0, 1e6]])
def test_times_that_make_no_clock_leave_rows_as_ticks(times: list[float]) -> None:
    from detection.sets import on_clock  # noqa: PLC0415 - found by the fixture above

    values = np.arange(len(times), dtype=float)[:, None]
    at, table = on_clock(np.array(times), values)
    assert at.tolist() == list(range(len(times)))
    assert table is values


def test_a_missed_gate_is_named_and_a_met_one_is_not() -> None:
    from detection import report  # noqa: PLC0415 - found by the fixture above

    text = report.table("aiops", {"homeostat": {"VUS-PR": 0.35, "event F1": 0.69}})
    assert "Gates missed: event F1. Aims missed: VUS-PR, event F1." in text
    assert "| **homeostat** | 0.350 | 0.690 |" in text


def test_fewer_false_alarms_than_the_gate_meet_it() -> None:
    from detection import quoted, report  # noqa: PLC0415 - found by the fixture above

    ours = {key: pair[1] for key, pair in quoted.GATES["nab"].items()}
    assert "Gates missed: none. Aims missed: none." in report.table("nab", {"homeostat": ours})
    worse = ours | {"false a day": 0.051}
    assert "Gates missed: false a day." in report.table("nab", {"homeostat": worse})


def test_peers_that_are_not_installed_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from detection import peers  # noqa: PLC0415 - found by the fixture above

    monkeypatch.setattr(peers, "PYTHON", tmp_path / "python")
    assert peers.run([]) == []


def _shared() -> Any:
    from detection import sets  # noqa: PLC0415 - found by the fixture above

    if not (sets.SHARED / "tools" / "adscore.py").exists():
        pytest.skip("the public sets and their scorer are not beside this checkout")
    return sets


@pytest.mark.slow
def test_what_knows_nothing_scores_next_to_nothing() -> None:
    from detection import controls, judging  # noqa: PLC0415 - found by the fixture above

    recordings = _shared().load("nab", files=8)
    names = [one.name for one in recordings]
    for who, scores in controls.degenerate(recordings).items():
        found = judging.nab(names, scores, volume=False)
        assert found["event F1"] < 0.2, who
        assert found["shipped threshold"] < 10.0, who


@pytest.mark.slow
def test_what_must_not_matter_does_not() -> None:
    from detection import controls  # noqa: PLC0415 - found by the fixture above

    # The first two have no noise at all: what is left of them is rounding, in any unit another.
    recordings = _shared().load("nab", files=5)[2:]
    holds = controls.invariances(recordings, ticks=1500)
    assert all(holds.values()), holds
