"""The twin's half: what is made of its time line, and of a platform that released at the onset."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import jax
import numpy as np
import pytest

from homeostat.base import names
from homeostat.demo import live_predict, live_settings
from homeostat.demo.live_plan import scenarios
from homeostat.lab import live_play
from homeostat.lab.controller_names import time_ns
from homeostat.lab.controller_platform import Platform
from homeostat.lab.stretch import stretched
from homeostat.lab.types import Episode
from homeostat.lab.world import Played
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import Phase
from homeostat.twin.signals import SLOT_SIGNALS

SHIPPED = live_settings.__file__.rpartition("/")[0] + "/scenarios"
FACTOR = 15


def episodes(fault: str, seeds: range = range(2)) -> list[Episode]:
    with open(f"{SHIPPED}/{fault}.yaml", "rb") as file:  # noqa: PTH123 - a file of the package
        (scenario,) = scenarios(file.read(), fault)
    return live_play.drawn(scenario, seeds, live_predict.described())


def played(episode: Episode, faulty: np.ndarray, queue: np.ndarray) -> Played:
    """Return a run of one draw with a time line of its own, and nothing else of interest."""
    steady = np.full((1, len(queue)), 100.0 / FACTOR)
    truth = dict.fromkeys(("offered", "good"), steady)
    truth |= dict.fromkeys(("refused",), 0.0 * steady)
    truth |= dict.fromkeys(("p50_s", "p95_s", "p99_s"), steady)
    trace = SimpleNamespace(
        truth=SimpleNamespace(**truth, faulty=faulty[None], queue=queue[None]),
        episodes=(stretched(episode, FACTOR),),
    )
    return cast("Played", SimpleNamespace(trace=trace))


def test_the_twin_is_given_the_demos_own_deployment_and_draws_the_same_one_every_time() -> None:
    first, second = episodes("slow_replica")
    for one, other in zip(
        jax.tree.leaves(first.params.service), jax.tree.leaves(second.params.service), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    service, params = first.params.service, first.params
    assert float(service.tau0_s[0]) == pytest.approx(0.030)
    assert float(service.alpha_s[0]) == pytest.approx(0.0035)
    assert float(service.concurrency) == 72  # what waits and what runs
    assert np.asarray(params.demand.knots_rps) == pytest.approx(100.0)
    assert params.replicas.tolist() == [3, 1, 0]
    assert np.asarray(params.weights).tolist() == pytest.approx([0.9, 0.1, 0.0])
    assert float(params.money.hard_cap) == 7  # six of pool a and the fallback's one
    assert float(params.memory.limit_gib) == pytest.approx(420 / 1024)


def test_plans_and_episodes_are_the_same_draws() -> None:
    made = episodes("slow_replica", range(6))
    with open(f"{SHIPPED}/slow_replica.yaml", "rb") as file:  # noqa: PTH123 - as above
        (scenario,) = scenarios(file.read(), "slow_replica")
    plans = live_predict.plans(scenario, range(6), live_predict.described())
    for plan, episode in zip(plans, made, strict=True):
        assert plan.magnitude == float(episode.faults.magnitude[0])
        assert plan.onset_s == pytest.approx(episode.onset_s)
        slot = int(plan.victim.removeprefix("a-")) - 1
        assert np.flatnonzero(episode.faults.slots[0]).tolist() == [slot]
    assert len({plan.victim for plan in plans}) > 1


def test_a_slow_process_that_was_replaced_is_gone_when_it_has_finished_what_it_held() -> None:
    (episode,) = episodes("slow_replica", range(1))
    slower = float(episode.faults.magnitude[0])
    faulty = np.zeros(FACTOR * 60, bool)
    faulty[FACTOR * 40 : FACTOR * 46] = True
    queue = np.full(FACTOR * 60, 5.0)
    queue[FACTOR * 40 : FACTOR * 46] = np.linspace(5.0, 29.0, FACTOR * 6)
    done = played(episode, faulty, queue)
    run = live_play._seconds(done, np.array([40.0]), FACTOR, [[]])
    takes_s = 24.0 / 8.0 * 0.058 * slower  # three full batches
    assert run.faulty[0].sum() == 6 + round(takes_s)
    full = replace_queue(done, 200.0)
    longest = live_play._seconds(full, np.array([40.0]), FACTOR, [[]])
    assert longest.faulty[0].sum() == 6 + 5  # the drain's own deadline


def replace_queue(done: Played, most: float) -> Played:
    truth: Any = done.trace.truth
    truth.queue = np.where(truth.faulty, most, 5.0)
    return done


def test_a_fault_that_stays_has_no_end_to_put_off() -> None:
    (episode,) = episodes("slow_replica", range(1))
    faulty = np.arange(FACTOR * 60) >= FACTOR * 40
    done = played(episode, faulty, np.full(FACTOR * 60, 5.0))
    assert live_play._seconds(done, np.array([40.0]), FACTOR, [[]]).faulty[0].sum() == 20


def test_seconds_are_the_deployments_own_and_rates_are_per_second_of_them() -> None:
    (episode,) = episodes("killed_replica", range(1))
    quiet = np.zeros(FACTOR * 60, bool)
    done = played(episode, quiet, np.full(FACTOR * 60, 5.0))
    writes = [(FACTOR * 39.0, "too early"), (FACTOR * 46.0, "incarnation.a-1=2")]
    run = live_play._seconds(done, np.array([40.5]), FACTOR, [writes])
    assert run.offered.shape == (1, 60)
    assert run.offered[0] == pytest.approx(100.0)
    assert run.p95_ms[0] == pytest.approx(100.0 / FACTOR * 1000.0 / FACTOR)
    assert run.acted_s.tolist() == [5.5]
    assert run.actions == (("incarnation.a-1=2",),)


def scrape(phases: list[int]) -> Scrape:
    slot = np.ones((1, len(phases), len(SLOT_SIGNALS)), np.float32)
    return cast("Scrape", Bare(phase=np.array([phases]), slot=slot))


class Bare(SimpleNamespace):
    """Stands for a scrape where only two of its fields matter."""


def test_a_stopped_process_shows_nothing_and_answers_no_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_play, "replace", lambda one, **more: Bare(**{**vars(one), **more}))
    said = scrape([Phase.READY] * 3)  # no platform knows that a process hangs
    inference = SLOT_SIGNALS.index(names.PROBE_INFERENCE)
    cast("Any", said).slot[0, 1:, inference] = 0.0
    told = np.asarray(live_play.shown(said, np.array([[True, True, False]])).slot)[0]
    assert (told[0] == 1.0).all()  # not stopped yet
    kept = {name: told[1, at] for at, name in enumerate(SLOT_SIGNALS) if np.isfinite(told[1, at])}
    assert kept == {
        names.PROBE_HEALTH: 0.0, names.PROBE_INFERENCE: 0.0, names.PROBE_LATENCY: 1.0,
    }  # fmt: skip
    assert np.isfinite(told[2]).all()  # fails its probes, and nobody stopped it


def test_only_the_slots_that_a_fault_stops_can_be_stopped() -> None:
    hung, slow = episodes("hung_replica", range(1))[0], episodes("slow_replica", range(1))[0]
    stopped = live_play._hangs(hung)
    assert stopped.tolist() == np.asarray(hung.faults.slots[0]).tolist()
    assert 0 < stopped.sum() < len(stopped)
    assert not live_play._hangs(slow).any()


def test_a_release_shows_from_the_onset_on_and_not_before() -> None:
    (episode,) = episodes("bad_release_errors", range(1))
    platform = live_play.Released("ep", replace(episode, onset_s=600.0))
    seen: list[int] = []

    def ages(now_s: float) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Platform, "read", lambda *_: seen.append(1))
            platform.read(now_s, cast("Scrape", None), 0)
        (newest,) = [
            one.since for one in platform.snapshot(time_ns(now_s)).releases if one.version == "v2"
            and one.pool == "a"
        ]  # fmt: skip
        return (time_ns(now_s) - newest) // 10**9

    assert ages(599.0) > 80_000
    assert ages(600.0) == 0
    assert ages(615.0) == 15
    assert len(seen) == 3
