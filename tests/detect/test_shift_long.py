import numpy as np
import pytest

from homeostat.base.evidence import Quality
from homeostat.detect.shift_case import Window
from homeostat.detect.shift_long import SCRAPES, away, learnt

USUAL = np.array([60.0, 40.0])


def window(*counts: float, quality: Quality = Quality.GOOD) -> Window:
    return Window(
        bounds=(0.5, np.inf), counts=np.array(counts), quality=quality, events=sum(counts)
    )


def test_the_distance_from_hours_ago_is_that_of_shares() -> None:
    assert away(window(300.0, 700.0), USUAL, least=100.0) == pytest.approx(0.3)


def test_nothing_is_known_without_enough_of_the_past_or_of_the_present() -> None:
    for now, usual in (
        (window(0.0, 0.0), USUAL),
        (window(300.0, 700.0), 0.5 * USUAL),
        (window(300.0, 700.0), np.zeros(0)),
        (window(300.0, 700.0), np.array([60.0, 30.0, 10.0])),
        (window(300.0, 700.0, quality=Quality.STALE), USUAL),
    ):
        assert away(now, usual, least=100.0) is None


def test_what_was_usual_is_forgotten_over_hours_and_not_over_minutes() -> None:
    usual = np.zeros(0)
    for _ in range(int(SCRAPES)):
        usual = learnt(usual, USUAL)
    for _ in range(80):  # twenty minutes at 15 s
        usual = learnt(usual, USUAL[::-1])
    assert away(window(40.0, 60.0), usual, least=100.0) == pytest.approx(0.2, abs=0.03)
    for _ in range(3 * int(SCRAPES)):
        usual = learnt(usual, USUAL[::-1])
    assert away(window(40.0, 60.0), usual, least=100.0) == pytest.approx(0.0, abs=0.02)
