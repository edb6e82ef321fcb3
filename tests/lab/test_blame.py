"""A catastrophe goes back to the action without which it does not happen."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from homeostat.cli.lab_episode import why_of
from homeostat.lab.baselines.hold import Hold
from homeostat.lab.baselines.levers import changed, move, standing
from homeostat.lab.blame import Blamed, blamed
from homeostat.lab.draw import draw
from homeostat.lab.judge import judge
from homeostat.lab.run import world_of
from homeostat.lab.types import Episode, Move
from homeostat.lab.world import Played
from homeostat.testing.catalogue import scenario
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S

SLOTS, WIDTH, LENGTH_S = 16, 4, 900
HARMLESS_S, FATAL_S, AFTER_S = 120, 300, 600


class Clumsy:
    """Lets a little more in at once, takes all but one replica away, and then asks for more."""

    name = "clumsy"

    def start(self, episodes: Sequence[Episode]) -> None:
        self._orders = standing(episodes)

    def act(self, now_s: float, scrape: Scrape) -> Move:
        del scrape
        levers = {
            HARMLESS_S: {"concurrency": np.asarray(self._orders.concurrency) + 1},
            FATAL_S: {"replicas": np.minimum(self._orders.replicas, np.array([1.0, 0.0, 0.0]))},
            AFTER_S: {"concurrency": np.asarray(self._orders.concurrency) + 1},
        }.get(int(now_s), {})
        self._orders = changed(self._orders, by_us=np.full(self._count, bool(levers)), **levers)
        return move(self._orders, intervened=np.full(self._count, bool(levers)))

    @property
    def _count(self) -> int:
        return len(np.asarray(self._orders.admit_rps))


def episodes() -> list[Episode]:
    """Two healthy deployments of several replicas."""
    drawn = [draw(scenario("S03"), seed, slots=SLOTS) for seed in range(12)]
    large = [one for one in drawn if np.asarray(one.params.replicas)[0] >= 3]
    return [replace(one, length_s=LENGTH_S, onset_s=np.inf) for one in large[:2]]


@pytest.fixture(scope="module")
def plays() -> tuple[Played, Played]:
    world = world_of(SLOTS, WIDTH)
    return world.play(Clumsy(), episodes()), world.play(Hold(), episodes())


@pytest.mark.slow
def test_a_catastrophe_goes_back_to_the_action_without_which_it_does_not_happen(
    plays: tuple[Played, Played],
) -> None:
    played, hold = plays
    codes = judge(played.trace, hold.trace, orders=played.orders).codes(1)
    assert "K2" in codes
    found = blamed(world_of(SLOTS, WIDTH), played, hold, row=1)
    assert [one.code for one in found] == list(codes)
    fatal = FATAL_S // SCRAPE_S - 1
    expected = Blamed(code="K2", number=2, decision=fatal, at_s=float(FATAL_S))
    assert expected in found


@pytest.mark.slow
def test_whoever_caused_nothing_is_blamed_for_nothing(plays: tuple[Played, Played]) -> None:
    _, hold = plays
    assert blamed(world_of(SLOTS, WIDTH), hold, hold) == ()


@pytest.mark.slow
def test_what_holding_does_by_itself_goes_back_to_no_action(
    plays: tuple[Played, Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As K7 by standing by: nobody acting causes it too, so none of three actions did."""
    played, hold = plays
    real = judge(played.trace, hold.trace, orders=played.orders)
    by_itself = replace(real, caused_tick=np.array([[0] + [-1] * 6]))

    def always(trace: object, *_: object, **__: object) -> object:
        rows = len(trace.episodes)  # type: ignore[attr-defined]
        return replace(by_itself, caused_tick=np.repeat(by_itself.caused_tick[:1], rows, axis=0))

    monkeypatch.setattr("homeostat.lab.blame.judge", always)
    found = blamed(world_of(SLOTS, WIDTH), played, hold)
    assert found == (Blamed(code="K1"),)
    assert why_of(played, found) == ["K1: standing by"]
