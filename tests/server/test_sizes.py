"""What is said of memory before the first tick is what the parts hold once series are there."""

import sys
from pathlib import Path

import pytest

from homeostat.detect.stack import Stack
from homeostat.server.sizes import SERIES, held, of_series

sys.path.insert(0, str(Path(__file__).parents[1] / "detect"))
from fused_play import SIGNALS, Play

DEPLOYMENTS = 32  # fill a batch of the score


@pytest.mark.parametrize("replicas", [1, SERIES // len(SIGNALS)])
def test_the_score_of_a_fleet_holds_what_was_said_of_a_series(replicas: int) -> None:
    play = Play(*(f"d{number}" for number in range(DEPLOYMENTS)), replicas=replicas)
    play.play(3)
    series = len(play.keys())
    said = of_series(replicas * len(SIGNALS)).score
    assert held(play.state.batches) / series == pytest.approx(said, rel=0.02)


def test_one_column_of_a_file_keeps_less_than_eight_kibibytes() -> None:
    assert held(Stack().init(1)) <= 8 * 1024
    # Measured shortfalls, which the log of a start shows: several columns, and the controller.
    assert held(Stack().init(SERIES)) / SERIES <= 13 * 1024
    sizes = of_series()
    assert sizes.score + sizes.charts <= 26 * 1024
    assert sizes.forecasts <= 13 * 1024
    assert 2 * 1024 < sizes.fleet <= 3 * 1024
