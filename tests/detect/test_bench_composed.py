"""Lab compositions as recordings: labelled where two plays differ, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

pytest.importorskip("jax")


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_what_two_plays_of_one_chance_differ_in_is_the_label() -> None:
    from detection.composed import labelled  # noqa: PLC0415 - found by the fixture above

    well = np.random.default_rng(1).normal(size=(400, 3)) * [1.0, 5.0, 0.0] + [0.0, 9.0, 0.0]
    ill = well.copy()
    ill[100:110, 0] += 4.0  # seen
    ill[115:118, 1] += 20.0  # the same incident: a few scrapes later
    ill[200:210, 1] += 4.0  # less than the column moves by itself
    ill[300, 2] = 1e-3  # a column that never moved
    ill[350:352, 0] = np.nan  # nothing is reported
    expected = np.zeros(400, dtype=bool)
    expected[[*range(100, 118), 300, 350, 351]] = True
    np.testing.assert_array_equal(labelled(ill, well), expected)
    assert not labelled(well, well).any()


def test_peers_that_need_numbers_get_the_last_known_one() -> None:
    from detection.composed import fading_z, filled  # noqa: PLC0415 - found by the fixture above

    gaps = np.array([[np.nan, 1.0], [2.0, np.nan], [np.nan, 3.0]])
    np.testing.assert_array_equal(filled(gaps), [[0.0, 1.0], [2.0, 1.0], [2.0, 3.0]])
    values = np.random.default_rng(2).normal(size=(500, 6))
    values[400] += 30.0
    assert fading_z(values)[300:].argmax() == 100


@pytest.mark.slow
def test_compositions_come_one_after_another_in_the_second_half_alone() -> None:
    from detection import composed  # noqa: PLC0415 - found by the fixture above

    episode = composed._episode(composed.SEED)
    half_s = composed.TRAINED * 15.0
    start, stop = (np.asarray(part) for part in (episode.faults.start_s, episode.faults.stop_s))
    assert start[0] == 60.0, "the job that is health"
    assert (start[1:] > half_s).all()
    assert len(np.unique(start[1:][np.isfinite(start[1:])])) >= 4
    assert (stop[1:] < composed.TICKS * 15.0).all()
    healthy = composed._without(episode)
    assert np.isinf(np.asarray(healthy.start_s)[1:]).all()
    assert healthy.start_s[0] == start[0]
