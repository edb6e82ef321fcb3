"""Replicas come and go: cold starts, restarts, drains, crash loops, quotas, spares, the bill."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fleet_by_hand import Case, Fault, Played, changed, lane, play

from homeostat.twin.params import Params
from homeostat.twin.shapes import Cure, Phase

BLOCK_S = 5  # the platform acts so often


@pytest.fixture(scope="module")
def sure(plain: Params) -> Params:
    """Machines in 40 s, models in 25 s, half speed for 30 s after; writes act after a second."""
    return changed(
        plain,
        provision__delay_s=40.0,
        provision__load_s=25.0,
        provision__sigma=0.0,
        provision__warm_s=30.0,
        provision__cold_speed=0.5,
        provision__drain_s=30.0,
        demand__knots_rps=200.0,
        service__concurrency=50.0,
    )


def orders(scrape: int, **levers: Any) -> dict[int, dict[str, Any]]:
    return {scrape: {**levers, "by_us": True}}


def phases(played: Played, slot: int) -> list[int]:
    """Return the phases that a slot went through, as seen at scrapes."""
    seen = played.state.live.slots.phase[:, slot]
    return [int(seen[0])] + [int(b) for a, b in pairwise(seen) if a != b]


def test_a_new_replica_costs_at_once_and_serves_when_machine_and_model_are_there(
    sure: Params,
) -> None:
    case = Case(deployment=sure, orders=orders(2, replicas=[3.0, 1.0, 0.0]))
    played = lane(play([case], 10), 0)
    truth = played.truth
    asked = int(np.flatnonzero(truth.held[:, 0] > 2.5)[0])
    ready = int(np.flatnonzero(truth.ready[:, 0] > 2.5)[0])
    assert 30 < asked <= 30 + 1 + BLOCK_S
    assert ready - asked == 40 + 25
    assert phases(played, 3) == [Phase.EMPTY, Phase.PENDING, Phase.LOADING, Phase.READY]
    np.testing.assert_allclose(truth.usd_per_hour[:asked], 6.0)
    np.testing.assert_allclose(truth.usd_per_hour[asked:], 8.0)
    assert played.state.live.usd[-1] == pytest.approx(truth.usd_per_hour.sum() / 3600, rel=1e-5)
    # Cold for half a minute: half of one replica's capacity at most, then all of it.
    before, cold, warm = (truth.capacity[at] for at in (asked, ready + 10, ready + 35))
    one = before / 3
    assert 0.0 < cold - before < 0.5 * one
    assert warm - before == pytest.approx(one, rel=1e-4)


def test_a_spare_serves_at_once_and_the_next_one_when_it_is_whole(sure: Params) -> None:
    small = changed(sure, provision__spares=1.0, replicas=np.array([1.0, 0.0, 0.0]))
    soon = orders(2, replicas=[2.0, 0.0, 0.0]) | orders(4, replicas=[3.0, 0.0, 0.0])
    late = orders(2, replicas=[2.0, 0.0, 0.0]) | orders(9, replicas=[3.0, 0.0, 0.0])
    played = play([Case(deployment=small, orders=each) for each in (soon, late)], 14)
    ready = played.truth.ready[:, :, 0]
    np.testing.assert_array_equal(ready[:, :31], 1.0)
    np.testing.assert_array_equal(ready[:, 40:60], 2.0)
    # Thirty seconds on, half of the next one is there: this replica starts from nothing.
    np.testing.assert_array_equal(ready[0, 70:125], 2.0)
    np.testing.assert_array_equal(ready[0, 135:], 3.0)
    # After as long as a machine and a model take, it is whole.
    np.testing.assert_array_equal(ready[1, 145:], 3.0)


def test_a_restart_loses_what_is_inside_and_a_drain_nothing(sure: Params) -> None:
    load = changed(sure, demand__knots_rps=180.0)
    one, other = np.array([True, False, False, False]), np.zeros(4, bool)
    cases = [
        Case(deployment=load, orders=orders(2, restart=one)),
        Case(deployment=load, orders=orders(2, replicas=[1.0, 1.0, 0.0])),
        Case(deployment=load, orders=orders(2, drain=one) | {5: {"drain": other}}),
    ]
    played = play(cases, 12)
    truth, slots = played.truth, played.state.live.slots
    inside = slots.jobs[0, 1, 0]
    assert truth.undrained[0].sum() == pytest.approx(inside, rel=0.01)
    assert truth.errors[0].sum() == pytest.approx(inside, rel=0.01)
    # The same process is back after its model is loaded; its machine is not given up.
    back = np.flatnonzero(truth.ready[0, 40:, 0] > 1.5)[0] + 40
    assert abs(back - 31 - 25) <= BLOCK_S
    np.testing.assert_array_equal(truth.held[0, :, 0], 2.0)
    for case in (1, 2):
        assert truth.undrained[case].max() == 0.0
    assert int(slots.phase[1, -1].tolist().count(Phase.EMPTY)) == 2
    assert truth.held[1, -1, 0] == 1.0
    # Out of rotation it gets nothing and stays; back in it serves at once.
    assert slots.share[2, 4, 0] == 0.0
    assert slots.phase[2, 4, 0] == Phase.DRAINING
    assert slots.jobs[2, 4, 0] < 0.01
    assert slots.phase[2, 6, 0] == Phase.READY
    assert slots.share[2, 6, 0] == pytest.approx(0.5)
    assert not truth.destroyed.any()


def test_ending_the_last_replica_or_the_last_of_the_fallback_is_told(sure: Params) -> None:
    everything = np.ones(4, bool)
    cases = [
        Case(deployment=sure, orders=orders(2, restart=everything)),
        Case(deployment=sure, orders=orders(2, replicas=[2.0, 0.0, 0.0])),
        Case(deployment=sure, orders=orders(2, replicas=[1.0, 1.0, 0.0])),
        Case(deployment=sure, faults=[Fault(name="replica_kill")]),
    ]
    truth = play(cases, 6).truth
    assert truth.destroyed.sum(axis=1).tolist() == [1, 1, 0, 0]
    assert truth.acted.sum(axis=1).tolist() == [1, 1, 1, 0]
    # With nobody there everything fails; what is left still serves some.
    assert truth.good[0, 37:55].max() == 0.0
    np.testing.assert_allclose(truth.errors[0, 37:55], 200.0, rtol=1e-5)
    assert truth.good[2, 60:].min() == pytest.approx(200.0, rel=0.05)


def test_a_process_that_leaks_is_killed_again_and_again_with_longer_waits(sure: Params) -> None:
    tight = changed(sure, memory__limit_gib=5.0, memory__per_job_gib=0.0, provision__load_s=5.0)
    # 100 requests/s of 1 MB each fill the gigabyte that is free in ten seconds.
    leak = [Fault(name="mem_leak_per_req_kb", magnitude=1024.0, slots=[0], start_s=15.0)]
    played = lane(play([Case(deployment=tight, faults=leak)], 24), 0)
    slots = played.state.live.slots
    assert slots.starts[-1, 0] >= 5
    assert slots.crashes[-1, 0] >= 4.0
    assert slots.starts[-1, 1] == 1
    ready = played.truth.ready[:, 0] > 1.5
    falls = np.flatnonzero(ready[:-1] & ~ready[1:])
    rises = np.flatnonzero(~ready[:-1] & ready[1:])
    away = rises[: len(falls)] - falls[: len(rises)]
    assert len(away) >= 3
    assert np.all(np.diff(away) >= 0)
    assert away[-1] > 2 * away[0]
    assert played.truth.undrained.max() == 0.0  # nobody ended it on purpose


def test_a_load_that_misses_its_deadline_begins_anew_for_ever(sure: Params) -> None:
    slow = [Fault(name="load_time_s", magnitude=100.0, start_s=0.0)]
    late = [*slow, Fault(name="probe_deadline_s", magnitude=30.0, start_s=0.0)]
    up = orders(1, restart=np.array([True, False, False, False]))
    cases = [Case(deployment=sure, faults=each, orders=up) for each in (slow, late)]
    played = play(cases, 14)
    assert played.truth.ready[0, -1, 0] == 2.0
    assert played.truth.ready[1, 30:, 0].max() == 1.0
    assert played.state.live.slots.starts[:, -1, 0].tolist()[0] == 2
    assert played.state.live.slots.starts[:, -1, 0].tolist()[1] >= 6


def test_quotas_and_missing_machines_keep_replicas_away_but_not_the_running_ones(
    sure: Params,
) -> None:
    more = orders(3, replicas=[3.0, 1.0, 0.0])
    outage = Fault(name="spot_unavailable_s", magnitude=90.0)
    cases = [
        Case(deployment=changed(sure, provision__cap=3.0), orders=more),
        Case(deployment=sure, faults=[Fault(name="cap_replicas", magnitude=3.0)], orders=more),
        Case(deployment=sure, faults=[outage], orders=more),
        Case(deployment=sure, orders=more),
    ]  # fmt: skip
    truth = play(cases, 16).truth
    assert truth.held[:2, :, :].sum(axis=-1).max() == 3.0
    assert truth.ready[:, :46, 0].min() == 2.0
    up = [int(np.flatnonzero(truth.ready[case, :, 0] > 2.5)[0]) for case in (2, 3)]
    # The fault began at 30 s and lasts for 90 s; the machine's 40 s begin after it.
    assert abs(up[0] - (120 + 40 + 25)) <= BLOCK_S
    assert abs(up[1] - (46 + 40 + 25)) <= BLOCK_S


def test_a_process_given_up_under_a_used_up_quota_does_not_come_back(sure: Params) -> None:
    quota = [Fault(name="cap_replicas", magnitude=3.0, stop_s=150.0)]
    first = np.array([True, False, False, False])
    case = Case(deployment=sure, faults=quota, orders=orders(3, restart=first))
    ready = play([case], 16).truth.ready[0, :, 0]
    assert ready[52:150].max() == 1.0
    assert ready[-1] == 2.0


def test_hung_processes_hold_their_users_until_they_are_restarted(sure: Params) -> None:
    hang = [Fault(name="replica_hang", slots=[0], cure=Cure.RESTART)]
    again = orders(6, restart=np.array([True, False, False, False]))
    played = lane(play([Case(deployment=sure, faults=hang, orders=again)], 12), 0)
    truth = played.truth
    # Half of the users are sent there. It takes in what fits, and then turns them away.
    np.testing.assert_allclose(truth.errors[40:90], 100.0, rtol=1e-3)
    np.testing.assert_allclose(truth.good[40:90], 100.0, rtol=1e-3)
    assert played.scrape.phase[4, 0] == Phase.READY  # probes pass
    assert played.state.live.slots.phase[4, 0] == Phase.HUNG
    np.testing.assert_allclose(truth.good[125:], 200.0, rtol=1e-3)
    assert not truth.faulty[125:].any()


def test_a_hung_process_out_of_rotation_gets_nobody(sure: Params) -> None:
    first = np.array([True, False, False, False])
    hang = [Fault(name="replica_hang", slots=[0])]
    played = lane(play([Case(deployment=sure, faults=hang, orders=orders(5, drain=first))], 9), 0)
    np.testing.assert_allclose(played.truth.errors[40:75], 100.0, rtol=1e-3)
    np.testing.assert_allclose(played.truth.errors[85:], 0.0, atol=0.5)
    assert played.state.live.slots.share[-1, 0] == 0.0
    assert played.scrape.phase[-1, 0] == Phase.DRAINING


def test_a_machine_that_is_gone_gets_its_share_until_the_balancer_knows(sure: Params) -> None:
    listed = [Fault(name="endpoint_stale_s", magnitude=20.0), Fault(name="replica_kill", slots=[0])]
    truth = lane(play([Case(deployment=sure, faults=listed)], 6), 0).truth
    # 20 seconds of half the users, and in the first block those who were inside.
    np.testing.assert_allclose(truth.errors[35:50], 100.0, rtol=1e-3)
    assert np.all((truth.errors[30:35] > 100.0) & (truth.errors[30:35] < 110.0))
    np.testing.assert_allclose(truth.errors[50:], 0.0, atol=1e-3)
    assert truth.ready[-1, 0] == 1.0


def test_a_rollback_runs_the_previous_version_after_loading_it_beside_the_running_one(
    sure: Params,
) -> None:
    bad = [Fault(name="variant_err_prob", magnitude=0.5, variants=[0], cure=Cure.ROLLBACK)]
    back = orders(4, rollback=np.array([True, False, False]))
    played = lane(play([Case(deployment=sure, faults=bad, orders=back)], 10), 0)
    truth = played.truth
    np.testing.assert_allclose(truth.errors[35:80], 100.0, rtol=1e-3)
    np.testing.assert_allclose(truth.errors[95:], 0.0, atol=1e-3)
    assert truth.ready[:, 0].min() == 2.0
    assert played.scrape.version[2, 0] == 1.0
    assert played.scrape.version[-1, 0] == 0.0
