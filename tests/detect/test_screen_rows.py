"""Rows screened: what an incident teaches, and what it does not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.detect.screen_rows import Config, Rows, agreed

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


@pytest.mark.long
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


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_looks_agree_as_if_they_were_sorted(seed: int, count: int) -> None:
    chance = np.random.default_rng(seed)
    looks = np.round(chance.normal(1.0, 2.0, (count, 7)), int(chance.integers(0, 5)))
    looks[chance.random(looks.shape) < 0.3] = np.nan
    age = chance.integers(0, 3000, 7).astype(float)
    known = np.isfinite(looks)
    order = np.sort(np.where(known, np.maximum(looks, 0.0), 0.0), axis=0)
    both = (order[-1] + 0.3 * order[-2]) / 1.2
    doubt = 0.5 * np.log10(1.0 + 1000.0 / np.maximum(age, 1.0))
    wanted = np.where(known.any(axis=0), np.maximum(both - doubt, 0.0), np.nan)
    assert agreed(np, looks, age).tobytes() == wanted.tobytes()
