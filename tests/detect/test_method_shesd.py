"""Seasonal Hybrid ESD as a method says what its stream says, refits and all."""

import numpy as np
import pytest

from homeostat.detect.method import Method
from homeostat.detect.method_shesd import PART, Refitted
from homeostat.detect.shesd_config import Config
from homeostat.detect.shesd_stream import run
from homeostat.detect.stack_play import play


def seasonal(seed: int, ticks: int) -> np.ndarray:
    """Return a season of 48 ticks with noise, gaps and wild values."""
    rng = np.random.default_rng(seed)
    values = 50.0 + 8.0 * np.sin(np.arange(ticks) * (2.0 * np.pi / 48.0))
    values += rng.standard_normal(ticks)
    values[rng.integers(100, ticks, 6)] += 30.0
    values[150:170] = np.nan
    out: np.ndarray = values
    return out


@pytest.mark.slow
def test_each_column_is_judged_as_the_stream_of_the_detector_judges_it() -> None:
    values = np.stack([seasonal(1, 900), seasonal(2, 900)], axis=1)
    values[:, 1] = np.where(np.arange(900) > 500, np.nan, values[:, 1])
    config = Config(window=448)  # shorter than the past, and so that the ring goes round
    method: Method = PART.build(config)
    said = play(method, values[:, None]).said
    assert said.alarm.sum() >= 3
    streams = [run(values[:, column], config) for column in (0, 1)]
    assert streams[0].periods, "no season was found, so nothing here was tested"
    for column, stream in enumerate(streams):
        until = 500 if column else 900  # what is silent is not fitted again
        assert np.allclose(
            said.low[:until, 0, column], stream.low[:until], rtol=1e-9, equal_nan=True
        )
        assert np.allclose(
            said.high[:until, 0, column], stream.high[:until], rtol=1e-9, equal_nan=True
        )
    both = np.stack([stream.neg_log10_p for stream in streams])[:, :500]
    known = np.isfinite(both)
    most = np.where(known, both, 0.0).max(axis=0) - np.log10(np.maximum(known.sum(axis=0), 1))
    expected = np.where(known.any(axis=0), np.maximum(most, 0.0), np.nan)
    assert np.allclose(said.neg_log10_p[:500, 0], expected, rtol=1e-9, equal_nan=True)


def test_ticks_that_may_teach_nothing_are_not_in_the_past_of_a_fit() -> None:
    detector = Refitted(Config())
    state = detector.init(np, 2)
    for tick in range(70):
        row = np.array([float(tick), 1.0])
        state, _ = detector.step(np, state, row, np.array([tick % 2 == 0, True]))
    past, _ = detector._past(state, 0)
    assert len(past) == 70
    assert np.array_equal(past[::2], np.arange(0.0, 70.0, 2.0))
    assert np.isnan(past[1::2]).all()
