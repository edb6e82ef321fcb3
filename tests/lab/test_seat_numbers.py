"""What a trained policy is told live is what it was told in training, on the same scrapes.

The lab's own numbers come from the twin's scrape, the live ones from what the product made of the
pages of that scrape: evidence, world, configuration. Both are worked out at every scrape of several
episodes, and every number is equal, or is in the list of those that are not, with the reason and
how far it may be off.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import pytest
from controller_made import Made, episode

from homeostat.base.actions import HOLD, Action, SafeSet
from homeostat.base.learning import Watched
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.detect.charted import charted
from homeostat.lab import environment_actions, environment_facts, environment_seen
from homeostat.lab.baselines.levers import quiet
from homeostat.lab.controller import Controller
from homeostat.lab.controller_direct import Choose, Direct
from homeostat.lab.controller_names import time_ns
from homeostat.lab.controller_parts import P95_OF_P99
from homeostat.lab.learned import GUARDED, Onlooker
from homeostat.lab.learned_actions import Target, named
from homeostat.lab.types import Episode, Move
from homeostat.loop import memory
from homeostat.policy import trained_menu, trained_numbers, trained_scales, trained_watch
from homeostat.safety.permit import permit
from homeostat.twin.outputs import Scrape

SCRAPES: Final = 90
SETTLED: Final = 36  # scrapes until windows are full, and charts and references learnt
WINDOW: Final = 7  # scrapes for which something that changed is still in a window live
EXACT: Final = 2e-3  # a page is read 0.1 s later than training has it: its age is 0.0003 more
NEAR: Final = 1e-6

FIVE = "live it is over the last five scrapes, in training of one"
JUDGED = "a chart of what live is over five scrapes, and of one scrape in training"
FROM = "live it is a distance from a reference that was learnt, in training from what is usual"
DIFFER: Final[Mapping[str, tuple[float, str]]] = {
    "score:arrival_rate": (0.6, JUDGED),
    "score:latency_p50_ms": (0.25, JUDGED),
    "score:latency_p95_ms": (0.25, JUDGED),
    "score:queue_length": (0.1, "a replica that hangs shows its queue a scrape longer live"),
    "score:prediction_shift": (1.0, f"a chart; {FROM}"),
    "prediction_shift:a": (0.2, FROM),
    "prediction_shift:b": (0.2, FROM),
    "feature_shift:a": (0.2, FROM),
    "arrivals": (0.02, "live a rate is of the time between two pages"),
    "age": (1.0, "these scrapes say age 0 of what they do not report; live it grows old"),
    "errors": (0.04, FIVE),
    "errors:a": (0.04, FIVE),
    "errors:b": (0.04, FIVE),
    "p50": (0.04, FIVE),
    "p95": (0.05, FIVE),
    "p95:a": (0.06, FIVE),
    "p95:b": (0.06, FIVE),
    "accuracy:a": (0.02, "live over both pools, in training of the stable one"),
    "cpu_share:mean": (0.03, FIVE),
    "cpu_share:most": (0.06, FIVE),
    "calm": (0.06, "the first scrape says nothing live: a counter needs two"),
    "trend": (0.04, "of the means of load, whose first scrape says nothing live"),
    "load_ahead": (0.02, "of the trend"),
    "time_to_full": (0.1, "of the trend"),
}
"""Numbers that are not equal: how far apart they are at most, of 2, and why."""
UNSEEN: Final[Mapping[str, str]] = {
    **dict.fromkeys(trained_numbers.NEVER, "never known live"),
    **dict.fromkeys(
        ("prediction_shift:a", "prediction_shift:b", "score:prediction_shift", "feature_shift:a",
         "invalid:a", "invalid:b"),
        "live it is counted on the replicas' pages, which say nothing; the twin reports it by pool",
    ),
    "time_to_full": "where load is not known it is known only if the trend is flat",
    "spend": "live it is worked out from prices; these scrapes do not report it",
}  # fmt: skip
"""Numbers that one of the two may know while the other does not, and why."""


def hold(state: LoopState, now: TimeNs) -> tuple[Action, SafeSet]:
    return HOLD, permit((), memory.guard_state(state), now)


def smaller(state: LoopState, now: TimeNs) -> tuple[Action, SafeSet]:
    """Halve batches whenever the guards permit it."""
    action = named("batch_down", state, Target(slot=0, rung_b=25.0, usual_b=10.0)) or HOLD
    safe_set = permit((action,), memory.guard_state(state), now)
    return (action if safe_set.holds(action) else HOLD), safe_set


class Beside:
    """A policy of the lab that writes down what both are told at every scrape.

    Args:
        choose: Decides.
    """

    name = "beside"

    def __init__(self, choose: Choose = hold) -> None:
        self.controller = Controller(
            "beside", think=lambda _, entry, where: Direct(entry, where, choose), person=False
        )

    def start(self, episodes: Sequence[Episode]) -> None:
        """Forget everything and look at these episodes."""
        self.controller.start(episodes)
        self.eyes = Onlooker(episodes, GUARDED)
        self.watched: list[Watched | None] = [None] * len(episodes)
        self.acted = np.zeros(len(episodes), bool)
        self.lab: list[np.ndarray] = []
        self.live: list[np.ndarray] = []

    def act(self, now_s: float, scrape: Scrape) -> Move:
        """Tell both, then let the product's senses and guards decide."""
        standing = quiet(self.controller._desk.orders)
        none = np.zeros(len(self.acted), int)
        self.lab.append(self.eyes.see(scrape, standing, self.acted, none).numbers)
        move = self.controller.act(now_s, scrape)
        self.live.append(
            np.stack([self._live(number, time_ns(now_s)) for number in range(len(self.acted))])
        )
        self.acted = np.array([bool(mind.done.writes) for mind in self.controller.minds])
        return move

    def _live(self, number: int, now: TimeNs) -> np.ndarray:
        state = self.controller.minds[number].state
        assert state.evidence is not None
        seen = memory.guard_state(state)
        # What is done now is in the past of the next scrape.
        seen = replace(seen, past=tuple(one for one in seen.past if one.at < now))
        self.watched[number] = trained_watch.watched(
            self.watched[number], state.evidence, seen.managed, charted
        )
        found = trained_numbers.numbers(seen, self.watched[number] or Watched(), now)
        return trained_numbers.observation(found)


def quiet_day(made: Made, _: int) -> None:
    """Change nothing."""


def louder(made: Made, at: int) -> None:
    """Let load grow for a quarter of an hour."""
    made.rate = 200.0 * (1.0 + 0.01 * max(at - 30, 0))


def trouble(made: Made, at: int) -> None:
    """Lose a replica, let another hang, let errors and latency rise."""
    made.dead = {1} if at >= 45 else set()
    made.hung = {2} if at >= 55 else set()
    made.errors = 0.02 if at >= 65 else 0.0
    made.p95_ms = 420.0 if at >= 65 else 150.0


def blind(made: Made, at: int) -> None:
    """Say nothing of the gateway, then nothing of the replicas."""
    made.silent = frozenset({"gateway"} if 45 <= at < 60 else {"slot"} if at >= 72 else ())


class Play(NamedTuple):
    """What happens at each scrape, at which scrapes something changes at once, and who decides."""

    happens: Callable[[Made, int], None]
    changes: tuple[int, ...] = ()
    choose: Choose = hold


PLAYS: Final[Mapping[str, Play]] = {
    "quiet": Play(quiet_day),
    "louder": Play(louder),
    "trouble": Play(trouble, (45, 55, 65)),
    "blind": Play(blind, (45, 60, 72)),
    "acted": Play(quiet_day, (), smaller),
}


def told(play: Play) -> tuple[np.ndarray, np.ndarray]:
    """Return what is told at every scrape, in training and live `[scrape, 2 x number]`."""
    beside, made, orders = Beside(play.choose), Made(seed=3), None
    beside.start([episode()])
    for at in range(SCRAPES):
        play.happens(made, at)
        scrape = made.scrape(orders)
        orders = beside.act(made.now_s, scrape).orders
    return np.stack(beside.lab)[:, 0], np.stack(beside.live)[:, 0]


def steady(changes: tuple[int, ...]) -> np.ndarray:
    """Return at which scrapes windows hold nothing of before a change `[scrape]`."""
    at = np.arange(SCRAPES)
    recent = [(at >= one) & (at < one + WINDOW) for one in changes]
    near: np.ndarray = np.any([np.zeros(SCRAPES, bool), *recent], axis=0)
    return np.asarray((at >= SETTLED) & ~near)


def test_the_product_knows_the_same_numbers_and_the_same_menu_in_the_same_order() -> None:
    assert trained_numbers.NUMBERS == environment_seen.NUMBERS
    assert trained_numbers.OBSERVATIONS == environment_seen.OBSERVATIONS
    assert trained_watch.SCORED == environment_seen.SCORED
    assert trained_menu.MENU == environment_actions.NAMES
    assert trained_scales.P95_OF_P99 == P95_OF_P99
    assert trained_scales.RATE == environment_facts.RATE


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAYS)
def test_every_number_is_what_training_told_or_is_listed_with_its_reason(name: str) -> None:
    lab, live = told(PLAYS[name])
    size, at = len(trained_numbers.NUMBERS), steady(PLAYS[name].changes)
    known = lab[:, size:] > 0.0, live[:, size:] > 0.0
    apart = np.where(known[0] & known[1], np.abs(lab[:, :size] - live[:, :size]), 0.0)[at]
    unlike = (known[0] != known[1])[at].any(axis=0)
    wrong = []
    for place, number in enumerate(trained_numbers.NUMBERS):
        most, _ = DIFFER.get(number, (EXACT, ""))
        if apart[:, place].max() > most:
            wrong.append(f"{number}: {apart[:, place].max():.4f} apart, {most} is listed")
        if unlike[place] and number not in UNSEEN:
            wrong.append(f"{number}: known to one of them only")
    assert not wrong
    # The comparison is of something: most numbers are known to both, and they move.
    assert (known[0] & known[1])[at].all(axis=0).sum() > size / 2 or name == "blind"
    assert (np.ptp(lab[at][:, :size], axis=0) > NEAR).sum() > size / 4
    since = lab[:, trained_numbers.NUMBERS.index("since_action")]
    assert (since.min() < 1.0) == (name == "acted")


@pytest.mark.slow
def test_what_is_listed_as_different_is_different() -> None:
    """A number that has come to be equal leaves the list."""
    size = len(trained_numbers.NUMBERS)
    most, unlike, ever = np.zeros(size), np.zeros(size, bool), np.zeros(size, bool)
    for play in PLAYS.values():
        lab, live = told(play)
        at = steady(play.changes)
        known = lab[:, size:] > 0.0, live[:, size:] > 0.0
        gap = np.where(known[0] & known[1], np.abs(lab[:, :size] - live[:, :size]), 0.0)
        most = np.maximum(most, gap[at].max(axis=0))
        unlike |= (known[0] != known[1])[at].any(axis=0)
        ever |= known[1].any(axis=0)
    of = dict(zip(trained_numbers.NUMBERS, zip(most, unlike, strict=True), strict=True))
    heard = dict(zip(trained_numbers.NUMBERS, ever, strict=True))
    assert {name for name in DIFFER if of[name][0] <= NEAR} == set()
    # Scrapes made by hand say nothing of an accelerator, so that neither knows its share.
    assert {name for name in UNSEEN if not of[name][1]} <= set(trained_numbers.NEVER)
    assert not {name for name in trained_numbers.NEVER if heard[name]}
