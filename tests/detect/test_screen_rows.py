"""Rows screened: what an incident teaches, and what it does not."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect.screen_rows import Config, Rows

ROWS, TICKS = 4, 1700
STARTS = (600, 1000, 1400)


def _played(values: Any, *, guarded: bool) -> Any:
    """Return the evidence, `[tick, row]`."""
    rows = Rows(Config())
    state, learn, out = rows.init(np, ROWS), np.ones(ROWS, dtype=bool), []
    for tick in values:
        state, seen = rows.step(np, state, tick, learn, guarded=guarded)
        out.append(seen.evidence)
    return np.array(out)


def _noise() -> Any:
    return np.random.default_rng(11).normal(size=(TICKS, ROWS))


@pytest.mark.slow
def test_incidents_that_last_do_not_make_the_next_ones_usual() -> None:
    values = _noise()
    for start in STARTS:
        values[start : start + 60] += np.linspace(0.0, 7.0, 60)[:, None]  # a climb, found midway
    guarded, taught = (_played(values, guarded=how) for how in (True, False))
    late = slice(STARTS[-1] + 40, STARTS[-1] + 60)
    assert np.median(guarded[late]) > Config().incident.stay
    assert np.median(guarded[late]) > np.median(taught[late]) + 0.3


@pytest.mark.slow
def test_single_values_that_come_again_and_again_are_usual_in_the_end() -> None:
    values = _noise()
    values[400::50] += 9.0
    said = _played(values, guarded=True)
    assert said[400].min() > Config().incident.stay
    assert np.median(said[1550::50]) < Config().incident.stay


def test_no_patience_is_refused() -> None:
    with pytest.raises(ValueError, match="patience"):
        Config(patience=0)
