"""What a person does about an overload that outlives its cause: few get in until it is over."""

from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np
import pytest
from traces_by_hand import episode, group
from typing_extensions import override

from homeostat.base import names
from homeostat.lab.baselines.levers import changed
from homeostat.lab.baselines.paging import Paging, threshold
from homeostat.lab.baselines.shedding import Shedding
from homeostat.lab.draw import draw
from homeostat.lab.run import world_of
from homeostat.lab.scenario_schema import load
from homeostat.lab.types import Episode, Move
from homeostat.twin import params as p
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape

NAN = float("nan")
TIMEOUT_MS, PROMISED_MS = 2000.0, 500.0
STUCK, SLOW, WELL = 0.95 * TIMEOUT_MS, 2.0 * PROMISED_MS, 0.5 * PROMISED_MS
SLOTS, WIDTH = 16, 4


def someone() -> Episode:
    one = episode()
    client = group(p.Client, timeout_s=np.float32(TIMEOUT_MS / 1e3))
    return replace(one, params=replace(one.params, client=client))


def scrape(p99_ms: float, rps: float = 100.0) -> Scrape:
    values = {signals.LATENCY_P99: p99_ms, names.ARRIVAL_RATE: rps}
    row = np.array([[values.get(name, 0.0) for name in signals.GATEWAY_SIGNALS]])
    return group(Scrape, gateway=row)  # type: ignore[no-any-return]


def limits(
    seen: Sequence[tuple[float, int]], *, fix: int | None = 20, before: float = WELL
) -> list[float]:
    """The limit after each scrape from the fix on: p99s, each so many times, after ten calm ones.

    `fix` is the scrape at which the repair takes effect; None = nobody repaired anything.
    """
    person = Shedding([someone()])
    told = [before] * 20 + [p99 for p99, times in seen for _ in range(times)]
    out = [float(person.step(scrape(p99), np.array([at == fix]))[0]) for at, p99 in enumerate(told)]
    return out[20:]


def test_half_of_the_usual_load_is_let_in_two_minutes_after_a_repair_that_does_not_help() -> None:
    assert limits([(STUCK, 12)]) == [np.inf] * 8 + [50.0] * 4


@pytest.mark.parametrize("p99", [WELL, SLOW, NAN])
def test_who_is_not_stuck_is_let_in_whatever_else_is_wrong(p99: float) -> None:
    assert limits([(p99, 60)]) == [np.inf] * 60


def test_without_a_repair_nobody_sheds() -> None:
    assert limits([(STUCK, 60)], fix=None) == [np.inf] * 60


def test_a_repair_that_works_within_two_minutes_is_left_alone() -> None:
    assert limits([(STUCK, 8), (WELL, 1), (STUCK, 7)]) == [np.inf] * 16


def test_all_are_let_in_again_after_a_minute_within_the_promise() -> None:
    found = limits([(STUCK, 9), (SLOW, 2), (WELL, 3), (SLOW, 1), (WELL, 4)])
    assert found[8:] == [50.0] * 7 + [50.0] * 3 + [np.inf]


def test_who_sheds_in_vain_lets_all_in_again_after_ten_minutes_and_goes() -> None:
    found = limits([(STUCK, 200)])
    assert found.count(50.0) == 40
    assert found[48:] == [np.inf] * 152


def test_the_usual_load_is_that_of_calm_scrapes() -> None:
    person = Shedding([someone()])
    none, now = np.array([False]), np.array([True])
    for _ in range(10):
        person.step(scrape(WELL, 80.0), none)
    for _ in range(10):
        person.step(scrape(STUCK, 400.0), none)  # retries: not what is usual
    person.step(scrape(STUCK, NAN), now)
    found = [float(person.step(scrape(STUCK, 400.0), none)[0]) for _ in range(8)]
    assert found[-1] == pytest.approx(40.0)


def test_whoever_never_saw_it_well_does_not_know_what_to_let_in() -> None:
    assert limits([(STUCK, 40)], before=STUCK) == [np.inf] * 40


class Unshed(Paging):
    """The same people, who repair and leave."""

    @override
    def act(self, now_s: float, scrape: Scrape) -> Move:
        made = super().act(now_s, scrape)
        everybody = np.full(len(made.paged), np.inf, np.float32)
        asked = np.asarray(self._orders.replicas)
        return replace(made, orders=changed(made.orders, admit_rps=everybody, replicas=asked))


@pytest.mark.slow
def test_a_storm_that_sustains_itself_ends_with_people_who_stay_and_not_without() -> None:
    """The catalogue's S09: its trigger is over long before anybody comes."""
    text = (resources.files("homeostat.lab") / "catalogue" / "load.yaml").read_bytes()
    (case,) = (one for one in load(text, "load.yaml") if one.id == "S09")
    episodes = [draw(case, seed, slots=SLOTS) for seed in range(WIDTH, 2 * WIDTH)]
    world = world_of(SLOTS, WIDTH)

    def good(policy: Any) -> np.ndarray:
        """The share of good answers in the last ten minutes."""
        truth = world.play(policy, episodes).trace.truth
        good, offered = (np.asarray(x)[:, -600:].sum(axis=1) for x in (truth.good, truth.offered))
        return np.asarray(good / offered)

    scale = 0.2  # people come within minutes, so that an hour shows what they do
    without = good(Unshed("unshed", hold_s=300.0, scale=scale))
    stuck = without < 0.5
    assert stuck.any(), "no storm sustains itself: this would prove nothing"
    assert (good(threshold(scale=scale))[stuck] > 0.99).all()
