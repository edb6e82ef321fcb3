"""The whole twin in motion: attempts add up, chance stays put, holding repeats every bit."""

import numpy as np
import pytest
from fleet_by_hand import LANES, Case, Fault, Played, changed, lane, leaves, play

from homeostat.base import names
from homeostat.twin.params import Params
from homeostat.twin.shapes import Cure
from homeostat.twin.signals import GATEWAY_SIGNALS


@pytest.fixture(scope="module")
def busy(plain: Params) -> Params:
    """Users in a hurry who try again, and queues that are soon full."""
    return changed(plain, client__retries=2.0, client__timeout_s=1.0, service__concurrency=100.0)


def test_every_attempt_let_in_is_answered_or_fails(busy: Params) -> None:
    listed = [
        [],
        [Fault(name="arrival_mult", magnitude=4.0, stop_s=120.0)],
        [Fault(name="replica_hang", slots=[0])],
        [Fault(name="replica_kill", slots=[0, 1])],
        [Fault(name="replica_kill", slots=[0, 1]), Fault(name="endpoint_stale_s", magnitude=60.0)],
        [Fault(name="conn_limit", magnitude=5.0)],
        [Fault(name="variant_err_prob", magnitude=0.4)],
        [Fault(name="frontend_capacity_rps", magnitude=60.0)],
        [Fault(name="net_loss", magnitude=0.4), Fault(name="net_delay_s", magnitude=0.3)],
        [Fault(name="replica_err_prob", slots=[1]), Fault(name="replica_fail_fast_ms")],
    ]
    cases = [Case(deployment=busy, faults=each) for each in listed]
    cases.append(Case(deployment=busy, orders={3: {"admit_rps": 150.0}}))
    truth = play(cases, 12).truth
    left = truth.attempts - truth.good - truth.errors
    # Nothing waits for a dependency here, so nothing may be left; refusals were never let in.
    np.testing.assert_allclose(left, 0.0, atol=2e-6 * float(truth.attempts.max()))
    assert np.all(truth.errors[1:, 31:170].max(axis=1)[:-1] > 0.05 * truth.offered[1:-1].min())
    came = truth.offered.cumsum(axis=1)
    ended = (truth.good + truth.refused).cumsum(axis=1)
    assert np.all(ended <= came * (1.0 + 1e-5))  # nobody is answered twice


def test_attempts_are_what_is_offered_and_what_failed_before(plain: Params) -> None:
    # Everything fails at once: attempt k comes k backoffs later.
    broken = changed(plain, client__retries=2.0, client__backoff_s=3.0, demand__knots_rps=100.0)
    fault = Fault(name="variant_err_prob", magnitude=1.0, start_s=60.0)
    truth = play([Case(deployment=broken, faults=[fault])], 12).truth
    np.testing.assert_allclose(truth.attempts[0, :63], 100.0, rtol=1e-5)
    np.testing.assert_allclose(truth.attempts[0, 63:66], 200.0, rtol=1e-5)
    np.testing.assert_allclose(truth.attempts[0, 66:], 300.0, rtol=1e-5)
    assert truth.good[0, :60].min() > 99.9
    assert truth.good[0, 60:].max() == 0.0


def test_an_invalid_answer_is_as_fast_as_a_valid_one_and_worth_nothing(plain: Params) -> None:
    fault = Fault(name="nan_prob", magnitude=0.3)
    truth = play([Case(deployment=plain, faults=[fault]), Case(deployment=plain)], 6).truth
    for name in ("latency_s", "p50_s", "p95_s", "p99_s", "errors", "attempts"):
        told = getattr(truth, name)
        np.testing.assert_array_equal(told[0], told[1], err_msg=name)
    np.testing.assert_allclose(truth.good[0, 30:], 0.7 * truth.good[1, 30:], rtol=1e-5)


def test_refusals_by_full_replicas_show_in_what_users_wait_and_come_quickly(plain: Params) -> None:
    crowd = [Fault(name="arrival_mult", magnitude=4.0)]
    small = changed(plain, service__concurrency=20.0)
    played = play([Case(deployment=small, faults=crowd), Case(deployment=small)], 12)
    truth = played.truth
    assert truth.errors[0, -1] > 0.3 * truth.attempts[0, -1]
    # Users: most got nothing. At the gateway most answers are quick errors.
    assert truth.p50_s[0, -1] == pytest.approx(5.0)
    p50_ms = played.scrape.gateway[0, -1, GATEWAY_SIGNALS.index(names.LATENCY_P50)]
    # What is taken in waits for 20 others: 90 ms at 222 requests/s, less than three batches.
    assert p50_ms < 0.5 * 90.0
    assert truth.variant_p99_s[0, -1, 0] < 0.3


def test_holding_again_gives_the_same_bits_in_every_lane(deployment: Params) -> None:
    noisy = changed(deployment, demand__ou_sd=0.3)
    broken = [Fault(name="replica_hang", slots=[0]), Fault(name="metric_drop", magnitude=0.3)]
    cases = [
        Case(deployment=noisy, key=3, faults=broken),
        *[Case(deployment=noisy, key=other) for other in range(20, 20 + LANES - 2)],
        Case(deployment=noisy, key=3, faults=broken),
    ]
    first, second = play(cases, 8), play(cases, 8)
    _same_bits(first, second)
    _same_bits(lane(first, 0), lane(first, LANES - 1))


def test_actions_change_nothing_that_chance_decides(deployment: Params) -> None:
    noisy = changed(deployment, demand__ou_sd=0.3)
    scale = {"replicas": [3.0, 1.0, 0.0], "by_us": True}
    cases = [
        Case(deployment=noisy, key=5),
        Case(deployment=noisy, key=5, orders={1: {"batch_max": [4.0, 4.0, 4.0]}, 2: scale}),
        Case(deployment=noisy, key=5, orders={9: scale}),
        Case(deployment=noisy, key=6),
    ]
    truth = play(cases, 24).truth
    np.testing.assert_array_equal(truth.offered[0], truth.offered[1])
    assert np.abs(truth.offered[0] - truth.offered[3]).max() > 1.0
    # The fourth slot takes as long whenever it is asked for.
    asked = [np.flatnonzero(truth.held[case, :, 0] > 2.5)[0] for case in (1, 2)]
    ready = [np.flatnonzero(truth.ready[case, :, 0] > 2.5)[0] for case in (1, 2)]
    assert asked[0] < asked[1]
    assert ready[0] - asked[0] == ready[1] - asked[1]


def test_a_person_ends_what_has_begun_and_is_ours_and_what_it_set(plain: Params) -> None:
    listed = [
        Fault(name="replica_kill", slots=[0]),
        Fault(name="bmax_override", magnitude=1.0, cure=Cure.OVERWRITE),
        Fault(name="variant_err_prob", magnitude=0.3, start_s=300.0),
    ]
    small = changed(plain, service__concurrency=100.0)
    case = Case(deployment=small, faults=listed, orders={8: {"person_fixes": True}})
    played = lane(play([case], 24), 0)
    truth, seen = played.truth, played.scrape
    assert truth.faulty[30:120].all()
    assert not truth.faulty[120:300].any()
    assert truth.faulty[300:].all()  # what begins later is not fixed beforehand
    assert seen.batch_max[6, 0] == 1.0
    assert seen.batch_max[9, 0] == 8.0
    assert truth.ready[115, 0] == 1.0
    assert truth.ready[280, 0] == 2.0
    np.testing.assert_allclose(truth.good[280:299], truth.offered[0], rtol=1e-3)
    np.testing.assert_allclose(truth.errors[320:], 0.3 * truth.attempts[320:], rtol=1e-3)


def _same_bits(one: Played, other: Played) -> None:
    found, again = leaves(one), leaves(other)
    assert found.keys() == again.keys()
    for name, values in found.items():
        assert values.tobytes() == again[name].tobytes(), name
