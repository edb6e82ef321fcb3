"""One alarm an incident."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.detect import stack_incident
from homeostat.detect.stack_incident import Config

EVIDENCE = st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, 5.0, float("nan")]), max_size=60)


def _play(config: Config, evidence: list[float]) -> tuple[Any, Any]:
    state = stack_incident.init(np, 1)
    starts, active = [], []
    for one in evidence:
        state, start = stack_incident.step(np, config, state, np.array([one]))
        starts.append(bool(start[0]))
        active.append(bool(state.active[0]))
    return np.array(starts, dtype=bool), np.array(active, dtype=bool)


@given(EVIDENCE)
def test_between_two_alarms_lie_quiet_ticks_enough(evidence: list[float]) -> None:
    config = Config(start=3.0, stay=2.0, quiet=4)
    starts, _ = _play(config, evidence)
    for first, second in zip(np.flatnonzero(starts)[:-1], np.flatnonzero(starts)[1:], strict=True):
        calm = best = 0
        for one in evidence[first + 1 : second + 1]:
            calm = calm if np.isnan(one) else calm + 1 if one < 2.0 else 0
            best = max(best, calm)
        assert best >= 4


@given(EVIDENCE)
def test_every_strong_tick_lies_in_an_incident(evidence: list[float]) -> None:
    starts, active = _play(Config(start=3.0, stay=2.0, quiet=4), evidence)
    strong = np.array([one >= 3.0 for one in evidence], dtype=bool)
    assert active[strong].all()
    assert not (starts & ~strong).any()


def test_silence_neither_starts_nor_ends_an_incident() -> None:
    starts, active = _play(
        Config(start=3.0, stay=2.0, quiet=3), [np.nan, 4.0, 0.0, 0.0, *[np.nan] * 9, 0.0, 4.0]
    )
    assert np.flatnonzero(starts).tolist() == [1, 14]
    assert active[1:13].all()
    assert not active[13]


def test_an_incident_speaks_by_this_ticks_evidence_alone() -> None:
    config = Config(start=3.0, stay=2.0, quiet=3)
    state, spoke = stack_incident.init(np, 1), []
    for one in [2.5, 4.0, 0.0, np.nan, 2.0, np.nan, 1.0, 1.0, 1.0, 2.5]:
        state, _ = stack_incident.step(np, config, state, np.array([one]))
        spoke.append(bool(stack_incident.spoke(state, np.isfinite([one]))[0]))
    assert np.flatnonzero(spoke).tolist() == [1, 4]


def test_evidence_that_wavers_between_the_levels_is_one_incident() -> None:
    starts, _ = _play(Config(start=3.0, stay=2.0, quiet=3), [4.0, 2.5, 1.0, 3.5, 1.0, 2.0] * 5)
    assert starts.sum() == 1


@pytest.mark.parametrize(
    ("start", "stay", "quiet", "name"),
    [(0.0, 1.0, 1, "start"), (2.0, 3.0, 1, "stay"), (2.0, 0.0, 1, "stay"), (2.0, 1.0, 0, "quiet")],
)
def test_an_incident_that_cannot_start_or_end_is_refused(
    start: float, stay: float, quiet: int, name: str
) -> None:
    with pytest.raises(ValueError, match=name):
        Config(start=start, stay=stay, quiet=quiet)
