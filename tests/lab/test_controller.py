"""The real controller in the lab: what it sees, what it does, and what becomes of its writes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from controller_made import Made, episode, group, play

from homeostat.base.actions import ActionKind
from homeostat.base.evidence import Evidence, Family
from homeostat.base.intent import ActionState
from homeostat.base.units import SECOND
from homeostat.detect.drifting import Drifting
from homeostat.detect.forecast_fleet import Foresight
from homeostat.detect.slo_evidence import Promises
from homeostat.lab.controller import Controller
from homeostat.lab.controller_names import OWNERSHIP, family_index, time_ns
from homeostat.lab.controller_parts import guard_policy, loop_parts, sense_parts
from homeostat.lab.types import FAMILIES, Move
from homeostat.server import wiring
from homeostat.twin.params import Provision

WARM = 20  # scrapes; a baseline is ready after 8 and a version is trusted after 8 more


def started(**changes: Any) -> Controller:
    controller = Controller()
    controller.start([episode(**changes)])
    return controller


def warm(made: Made) -> tuple[Controller, list[Move]]:
    controller = started()
    return controller, play(controller, made, WARM)


def kinds(controller: Controller) -> list[ActionKind]:
    return [action.kind for action in controller.minds[0].state.past]


def test_the_lab_runs_the_stages_that_the_server_runs() -> None:
    ours, theirs = sense_parts(), wiring.sense_parts()
    decides, shipped = loop_parts(), wiring.loop_parts()
    assert decides.seat is not None
    assert shipped.seat is not None
    assert decides.seat.trained is not None
    assert shipped.seat.trained is not None
    assert decides.seat.trained.find("0" * 64) is None  # trained policies are files: the server's
    trained = replace(decides.seat.trained, find=shipped.seat.trained.find)
    assert decides.leave is None  # its shifts go by before and after alone (decision 41)
    ours_too = replace(decides, leave=shipped.leave, seat=replace(decides.seat, trained=trained))
    assert ours_too == shipped
    for name in ("judge", "forecasts", "utilisation", "slo_met", "diagnose", "health"):
        assert getattr(ours, name) is getattr(theirs, name)
    assert type(ours.ahead) is type(theirs.ahead) is Foresight
    assert type(ours.promises) is type(theirs.promises) is Promises
    assert isinstance(ours.drift, Drifting)
    assert isinstance(theirs.drift, Drifting)
    assert ours.drift.config == theirs.drift.config
    for name in ("signals", "shift"):
        assert getattr(ours, name).config == getattr(theirs, name).config
        assert type(getattr(ours, name)) is type(getattr(theirs, name))
    detectors = [parts.panel._detectors for parts in (ours, theirs)]  # type: ignore[attr-defined]
    assert detectors[0].keys() == detectors[1].keys()
    assert all(a.config == detectors[1][name].config for name, a in detectors[0].items())


@pytest.mark.parametrize(
    ("delay_s", "load_s", "sigma", "deadline_s"),
    [(0.0, 5.0, 0.0, 60), (100.0, 20.0, 0.0, 120), (120.0, 50.0, 0.42, 452)],
)
def test_replicas_may_take_as_long_as_they_nearly_always_do(
    delay_s: float, load_s: float, sigma: float, deadline_s: int
) -> None:
    made = episode()
    provision = group(
        Provision,
        delay_s=np.float32(delay_s),
        load_s=np.float32(load_s),
        sigma=np.float32(sigma),
    )
    slow = replace(made, params=replace(made.params, provision=provision))
    assert guard_policy(slow).readiness_deadline_ns == deadline_s * SECOND


def test_a_healthy_deployment_has_no_incident_and_is_left_alone() -> None:
    controller, moves = warm(Made())
    state = controller.minds[0].state
    assert state.evidence is not None
    assert state.evidence.ready
    assert state.evidence.slo_met is True
    assert state.incidents == 0
    assert {("a", "v2"), ("b", "v1")} <= set(state.verified)
    assert not any(m.intervened[0] or m.paged[0] or m.alarm[0] for m in moves)


def test_histograms_are_tested_in_the_lab_and_nothing_follows_from_it() -> None:
    def told(*, health: bool) -> Evidence:
        controller = Controller(health=health)
        controller.start([episode()])
        play(controller, Made(), 2 * WARM)
        evidence = controller.minds[0].state.evidence
        assert evidence is not None
        return evidence

    with_tests, without = told(health=True), told(health=False)
    found = {(one.subject, one.kind): one for one in with_tests.drifts}
    assert found["pool:a", "prediction"].moved is False
    assert found["model", "feature"].moved is False
    assert without.drifts == ()
    assert replace(with_tests, drifts=(), health=None) == without


def test_what_the_controller_reads_is_what_the_scrape_said() -> None:
    controller, _ = warm(Made(rate=300.0, p95_ms=200.0, errors=0.002))
    evidence = controller.minds[0].state.evidence
    assert evidence is not None
    found = {(r.subject, r.signal): r.value for r in evidence.readings}
    assert found["gateway", "arrival_rate"] == pytest.approx(300.0, rel=0.08)
    assert found["gateway", "error_ratio"] == pytest.approx(0.002, rel=0.05)
    assert found["gateway", "latency_p95_ms"] == pytest.approx(200.0, rel=0.1)
    assert found["pool:b", "arrival_rate"] == pytest.approx(30.0, rel=0.08)
    assert found["replica:a-1", "device_time_ms"] == pytest.approx(45.0, rel=0.08)
    assert found["replica:a-1", "batch_size"] == pytest.approx(3.0, rel=0.08)
    assert found["replica:a-1", "memory_share"] == pytest.approx(0.4, rel=0.02)
    assert found["model", "accuracy"] == pytest.approx(0.9, rel=0.02)


def test_a_dead_replica_is_restarted_and_nothing_else_is() -> None:
    made = Made()
    controller, moves = warm(made)
    made.dead = {2}
    moves = play(controller, made, 12, moves[-1].orders)
    first = next(m for m in moves if m.intervened[0])
    assert np.flatnonzero(first.orders.restart[0]).tolist() == [2]
    assert first.orders.by_us[0]
    assert first.destructive[0]
    assert first.family[0] == family_index(Family.REPLICA) == FAMILIES.index("infrastructure")
    assert kinds(controller) == [ActionKind.RESTART_REPLICA]
    assert sum(bool(m.orders.restart[0].any()) for m in moves) == 1  # an impulse, given once
    replica = next(
        r for r in controller.minds[0].platform.snapshot(time_ns(0.0)).replicas if r.name == "a-3"
    )
    assert replica.incarnation == 2


@pytest.mark.slow
def test_a_hung_replica_is_found_by_its_probes() -> None:
    made = Made()
    controller, moves = warm(made)
    made.hung = {1}
    moves = play(controller, made, 16, moves[-1].orders)
    restarted = [np.flatnonzero(m.orders.restart[0]).tolist() for m in moves if m.intervened[0]]
    assert restarted[0] == [1]


@pytest.mark.slow
def test_silence_changes_nothing_and_is_told_as_what_it_is() -> None:
    made = Made()
    controller, moves = warm(made)
    made.silent = frozenset({"gateway", "variant", "slot"})
    moves = play(controller, made, 60, moves[-1].orders)
    state = controller.minds[0].state
    assert not any(m.intervened[0] for m in moves)
    assert state.evidence is not None
    assert state.evidence.slo_met is None
    assert any(m.paged[0] for m in moves)
    assert moves[-1].family[0] == FAMILIES.index("observability")


@pytest.mark.slow
def test_a_frozen_page_is_not_taken_for_calm() -> None:
    made = Made()
    controller, moves = warm(made)
    held = made.scrape(moves[-1].orders)
    for _ in range(12):
        controller.act(made.now_s, replace(made.scrape(), gateway=held.gateway))
    evidence = controller.minds[0].state.evidence
    assert evidence is not None
    reading = next(
        r for r in evidence.readings if (r.subject, r.signal) == ("gateway", "error_ratio")
    )
    assert reading.value is None


def test_a_page_that_is_silent_for_as_long_as_it_may_be_old_is_not_believed_any_more() -> None:
    made = Made()
    controller, moves = warm(made)
    patience = int(controller.minds[0].state.managed.guard.fresh_scrapes)
    made.silent = frozenset({"slot"})
    seen = []
    for _ in range(patience):
        moves = play(controller, made, 1, moves[-1].orders)
        evidence = controller.minds[0].state.evidence
        assert evidence is not None
        (busy,) = (
            r for r in evidence.readings if (r.subject, r.signal) == ("replica:a-1", "cpu_share")
        )
        seen.append(busy.value is not None)
    # Reading takes time: what was read so many scrapes ago is older than that.
    assert seen == [True] * (patience - 1) + [False]


def test_samples_keep_the_time_they_were_taken_at() -> None:
    made = Made()
    controller, moves = warm(made)
    made.age_s = 90.0
    play(controller, made, 2, moves[-1].orders)
    evidence = controller.minds[0].state.evidence
    assert evidence is not None
    readings = {r.signal: r for r in evidence.readings if r.subject == "gateway"}
    # Nothing newer than the last sample before the delay has come: it grows old, unbelieved.
    assert readings["arrival_rate"].age_ns >= 30e9
    assert readings["arrival_rate"].value is None or readings["arrival_rate"].age_ns <= 30e9


def test_a_lever_that_somebody_else_moves_is_a_foreign_write() -> None:
    made = Made()
    controller, moves = warm(made)
    platform = controller.minds[0].platform
    before = platform.snapshot(time_ns(0.0)).stamp("platform")
    made.foreign = {"replicas.a": 6.0}
    play(controller, made, 1, moves[-1].orders)
    after = platform.snapshot(time_ns(0.0)).stamp("platform")
    assert platform.foreign == ("replicas.a",)
    assert platform.levers["replicas.a"] == 6
    assert before is not None
    assert after is not None
    assert after.intent is None
    assert after.token != before.token


def test_a_foreign_write_on_our_lever_ends_our_action_and_is_told() -> None:
    made = Made()
    controller, moves = warm(made)
    made.rate, made.p95_ms = 500.0, 900.0  # an overload: one more replica
    moves = play(controller, made, 10, moves[-1].orders)
    assert kinds(controller)[:1] == [ActionKind.SCALE_UP]
    made.foreign = {"replicas.a": 3.0}
    moves = play(controller, made, 3, moves[-1].orders)
    assert controller.minds[0].state.finished[-1].state is ActionState.FOREIGN
    assert any(m.family[0] == OWNERSHIP for m in moves)


def test_a_lost_write_is_read_back_and_written_again() -> None:
    made = Made()
    controller, moves = warm(made)
    made.hung, made.loses = {2}, True
    while controller.minds[0].state.record is None:
        moves += play(controller, made, 1, moves[-1].orders)
    moves += play(controller, made, 1, moves[-1].orders)
    record = controller.minds[0].state.record
    assert record is not None
    assert record.attempt == 1  # the first was lost, its fate was read back, and it was sent anew
    assert record.reason == "the write was lost"
    assert controller.minds[0].platform.levers["incarnation.a-3"] == 1
    made.loses = False
    play(controller, made, 2, moves[-1].orders)
    assert controller.minds[0].platform.levers["incarnation.a-3"] == 2
    assert 2 not in made.hung


def test_a_lost_lever_is_ordered_as_it_is_before_it_is_ordered_again() -> None:
    made = Made()
    controller, moves = warm(made)
    made.rate, made.p95_ms, made.loses = 500.0, 900.0, True
    moves = play(controller, made, 12, moves[-1].orders)
    ordered = [float(m.orders.replicas[0, 0]) for m in moves]
    first = ordered.index(6.0)
    # The twin takes only a change of an order for a write.
    assert ordered[first : first + 4] == [6.0, 5.0, 6.0, 5.0]


def test_the_same_scrapes_give_the_same_orders() -> None:
    def orders() -> list[bytes]:
        made = Made(seed=3)
        controller, moves = warm(made)
        made.dead = {0}
        moves += play(controller, made, 20, moves[-1].orders)
        return [np.asarray(v).tobytes() for m in moves for v in vars(m.orders).values()]

    assert orders() == orders()


def test_an_episode_decides_alike_alone_and_beside_others() -> None:
    alone, made = started(), Made(seed=1)
    beside = Controller()
    beside.start([episode(1), episode(0)])
    other = Made(seed=2)
    for at in range(36):
        if at == WARM:
            made.dead, other.hung = {3}, {0}
        one, two = made.scrape(), other.scrape()
        both: Any = type(one)(**{  # type: ignore[arg-type]  # arrays are arrays
            name: np.concatenate([getattr(two, name), value])
            for name, value in vars(one).items()
            if value is not None  # what no server of these shows
        })
        first, second = alone.act(made.now_s, one), beside.act(made.now_s, both)
        for name, value in vars(first.orders).items():
            assert np.array_equal(value[0], getattr(second.orders, name)[1], equal_nan=True), name
    assert kinds(alone) == [action.kind for action in beside.minds[1].state.past] != []
