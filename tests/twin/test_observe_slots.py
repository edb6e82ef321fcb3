"""What the page of a server says of itself: its own errors, its batches, and how long they took."""

from typing import Any, Final

import numpy as np
import pytest
from fleet_by_hand import Case, Fault, Played, changed, play

from homeostat.base import names
from homeostat.twin.params import Params
from homeostat.twin.shapes import SCRAPE_S
from homeostat.twin.signals import GATEWAY_SIGNALS, LATENCY_P99, SLOT_SIGNALS

TAU0_S: Final = 0.02
ALPHA_S: Final = 0.002
BATCH: Final = 8
SCRAPES: Final = 20
ONSET_S: Final = 95.0  # in the middle of a scrape
CALM, CROWD, HUNG, SMALL, TURN, FAILING = range(6)


@pytest.fixture(scope="module")
def plays(plain: Params) -> Played:
    """Return the same deployment calm, overrun, with a hung process, and otherwise changed."""
    crowd = Fault(name="arrival_mult", magnitude=4.0, start_s=ONSET_S)
    one: dict[str, Any] = {
        "service__batch_max": 1.0,
        "demand__knots_rps": 0.9 * 2 / (TAU0_S + ALPHA_S),
    }
    bounded = changed(plain, **one, service__concurrency=6.0)
    return play(
        [
            Case(deployment=plain),
            Case(deployment=plain, faults=[crowd]),
            Case(
                deployment=plain, faults=[Fault(name="replica_hang", start_s=ONSET_S, slots=(0,))]
            ),
            Case(deployment=bounded, faults=[crowd]),
            Case(deployment=changed(plain, **one, client__in_turn=1.0)),
            Case(
                deployment=plain,
                faults=[Fault(name="replica_err_prob", magnitude=0.3, slots=(0,))],
            ),
            Case(deployment=changed(plain, **one)),
        ],
        SCRAPES,
    )


def told(plays: Played, case: int, name: str, slot: int = 0) -> np.ndarray:
    return np.asarray(plays.scrape.slot, np.float64)[case, :, slot, SLOT_SIGNALS.index(name)]


def gateway(plays: Played, case: int, name: str) -> np.ndarray:
    return np.asarray(plays.scrape.gateway, np.float64)[case, :, GATEWAY_SIGNALS.index(name)]


@pytest.mark.slow
def test_requests_that_users_gave_up_are_no_errors_of_the_server_that_answers_late(
    plays: Played,
) -> None:
    assert gateway(plays, CROWD, names.ERROR_RATIO)[-5:].min() > 0.2
    for slot in range(2):
        assert told(plays, CROWD, names.ERROR_RATIO, slot).tolist() == [0.0] * SCRAPES


@pytest.mark.slow
def test_what_a_replica_fails_by_itself_is_its_own_error(plays: Played) -> None:
    sick, well = (told(plays, FAILING, names.ERROR_RATIO, slot)[-10:] for slot in (0, 1))
    assert sick.mean() == pytest.approx(0.3, abs=0.03)
    assert well.max() == 0.0


@pytest.mark.slow
def test_device_times_are_of_the_very_batches_whose_size_is_shown(plays: Played) -> None:
    for case in (CALM, CROWD):
        size, took_ms = (told(plays, case, n) for n in (names.BATCH_SIZE, names.DEVICE_TIME))
        assert took_ms == pytest.approx(1000.0 * (TAU0_S + ALPHA_S * size), rel=2e-3)
    assert np.ptp(told(plays, CALM, names.BATCH_SIZE)) > 0.02


@pytest.mark.slow
def test_batches_of_an_overrun_server_are_full_and_no_more(plays: Played) -> None:
    size = told(plays, CROWD, names.BATCH_SIZE)[-5:]
    assert size == pytest.approx(np.full(5, float(BATCH)), rel=1e-3)


@pytest.mark.slow
def test_a_process_that_hangs_shows_the_batches_it_ran_and_then_none(plays: Played) -> None:
    first = int(ONSET_S // SCRAPE_S)  # the scrape in whose middle it hung
    took_ms, size = (told(plays, HUNG, n) for n in (names.DEVICE_TIME, names.BATCH_SIZE))
    usual = np.median(told(plays, CALM, names.DEVICE_TIME))
    assert took_ms[first] == pytest.approx(usual, rel=0.1)  # not less for having stood still
    assert np.isnan(took_ms[first + 1 :]).all()
    assert np.isnan(size[first + 1 :]).all()
    assert np.isnan(told(plays, HUNG, names.ERROR_RATIO)[first + 1 :]).all()  # answers none


@pytest.mark.slow
def test_nobody_waits_longer_in_a_bounded_queue_than_it_takes_to_serve_it(plays: Played) -> None:
    longest_ms = 1000.0 * 6 * (TAU0_S + ALPHA_S)  # six held, one a batch
    p99 = gateway(plays, SMALL, LATENCY_P99)[-5:]
    truth = np.asarray(plays.truth.p99_s)[SMALL]
    assert np.median(p99) <= 1.1 * longest_ms
    assert truth.shape[0] == SCRAPES * SCRAPE_S
    assert np.median(p99) > 0.5 * longest_ms  # it is full


@pytest.mark.slow
def test_replicas_that_are_dealt_to_in_turn_have_the_shorter_queues(plays: Played) -> None:
    queue = np.asarray(plays.truth.queue)[:, -120:].mean(axis=1)
    assert queue[TURN] < 0.75 * queue[-1]
    assert queue[TURN] > 0.3 * queue[-1]
