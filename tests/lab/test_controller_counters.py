"""From rates back to counters: what repeats itself, what stands still, and what has no page."""

from typing import Any

import numpy as np
import pytest

from homeostat.base import names
from homeostat.lab import controller_counters as counters
from homeostat.lab.controller_counters import BOUNDS, COLUMN, Requests, slot_rates
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S, VARIANTS, Phase
from homeostat.twin.signals import (
    GATEWAY_SIGNALS,
    SLOT_SIGNALS,
    TOKEN_SIGNALS,
    VARIANT_SIGNALS,
)

S = {name: place for place, name in enumerate(SLOT_SIGNALS)}
T = {name: place for place, name in enumerate(TOKEN_SIGNALS)}
SEQUENCES = ("preempted", "prompts", "generated")
V = {name: place for place, name in enumerate(VARIANT_SIGNALS)}
BOUNDS_MS = 1000.0 * BOUNDS[None]


def counted(rates: list[float], p95_ms: list[float], errors: float = 0.0) -> np.ndarray:
    """Return the arrivals that each scrape adds to a gateway's counter."""
    told = Requests.empty((1,))
    totals = [0.0]
    for number, (rate, p95) in enumerate(zip(rates, p95_ms, strict=True), 1):
        told.count(
            np.full((1, 3), number * float(SCRAPE_S)),
            np.array([rate]),
            np.array([errors]),
            np.array([0.0]),
            np.array([[0.5 * p95, p95, 1.3 * p95]]),
            BOUNDS_MS,
        )
        totals.append(float(told.total[0, 0]))
    return np.diff(totals)


def test_a_count_that_repeats_itself_by_chance_still_counts() -> None:
    added = counted([7.0, 7.2, 7.2, 7.4], [150.0, 151.0, 152.0, 153.0])
    assert added == pytest.approx(np.array([7.0, 7.2, 7.2, 7.4]) * SCRAPE_S)


def test_a_page_that_repeats_itself_stands_still_at_once_and_until_it_moves() -> None:
    added = counted([7.0, 7.2, 7.2, 7.2, 7.3], [150.0, 151.0, 151.0, 151.0, 152.0])
    assert added == pytest.approx(np.array([7.0, 7.2, 0.0, 0.0, 7.3]) * SCRAPE_S)


def test_arrivals_alone_are_frozen_when_they_repeat_twice_in_a_row() -> None:
    added = counted([7.2] * 5, [150.0, 151.0, 152.0, 153.0, 154.0])
    assert added == pytest.approx(np.array([7.2, 7.2, 0.0, 0.0, 0.0]) * SCRAPE_S)


def test_a_deployment_without_a_request_is_not_frozen() -> None:
    told = Requests.empty((1,))
    for number in range(1, 6):
        sampled, none = np.full((1, 3), number * 15.0), np.array([0.0])
        told.count(sampled, none, none, none, np.full((1, 3), np.nan), BOUNDS_MS)
        assert not told.stands.any()


def slots(**said: float) -> np.ndarray:
    """Return one slot's signals, like those of a server at work."""
    usual = {
        names.MEMORY_SHARE: 0.4, names.CPU_SHARE: 0.3, names.DEVICE_TIME: 40.0,
        names.BATCH_SIZE: 2.0, names.BATCH_FULL_SHARE: 0.1, names.QUEUE_LENGTH: 3.0,
        names.ERROR_RATIO: 0.0, names.PROBE_INFERENCE: 1.0,
    }  # fmt: skip
    out = np.full((1, 1, len(S)), np.nan)
    for name, value in (usual | said).items():
        out[0, 0, S[name]] = value
    return out


def rates(slot: np.ndarray, tokens: tuple[float, ...] = (np.nan,) * len(T)) -> dict[str, float]:
    variant = np.zeros((1, VARIANTS, len(V)))
    variant[..., V[names.ARRIVAL_RATE]] = 10.0
    phase, place = np.array([[Phase.READY]]), np.array([[0]])
    found = slot_rates(slot, variant, phase, place, np.array([[tokens]]))[0, 0]
    return {name: float(found[at]) for name, at in COLUMN.items()}


def test_a_server_at_work_counts_its_batches_and_what_they_held() -> None:
    found = rates(slots())
    assert found["batches"] == pytest.approx(5.0)
    assert found["batched"] == found["arrived"] == pytest.approx(10.0)
    assert found["device_s"] == pytest.approx(0.2)
    assert found["full"] == pytest.approx(0.5)


def test_a_server_that_ran_no_batch_shows_counters_that_stand_still() -> None:
    gone = dict.fromkeys((names.BATCH_SIZE, names.BATCH_FULL_SHARE, names.DEVICE_TIME), np.nan)
    found = rates(slots(**gone))
    for name in ("batches", "batched", "full", "device_s"):
        assert found[name] == 0.0, name
    assert found["arrived"] == pytest.approx(10.0)


def test_a_server_of_tokens_counts_them_with_the_requests_it_answers_well() -> None:
    found = rates(slots(**{names.ERROR_RATIO: 0.2}), (0.7, 0.25, 1000.0, 100.0))
    assert [found[name] for name in SEQUENCES] == pytest.approx([2.0, 8000.0, 800.0])
    idle = {names.BATCH_SIZE: np.nan, names.BATCH_FULL_SHARE: np.nan, names.DEVICE_TIME: np.nan}
    still = rates(slots(**idle), (0.0, np.nan, np.nan, np.nan))
    assert [still[name] for name in SEQUENCES] == [0.0, 0.0, 0.0]


def test_a_server_that_serves_no_tokens_counts_none_and_what_was_lost_is_unknown() -> None:
    idle = {names.BATCH_SIZE: np.nan, names.BATCH_FULL_SHARE: np.nan, names.DEVICE_TIME: np.nan}
    for slot, tokens in ((slots(), None), (slots(**idle), None), (slots(), (0.7, *[np.nan] * 3))):
        found = rates(slot) if tokens is None else rates(slot, tokens)
        assert np.isnan([found[name] for name in SEQUENCES]).all()


def test_batch_sizes_that_were_lost_on_the_way_are_unknown_and_not_nothing() -> None:
    lost = {names.BATCH_SIZE: np.nan, names.BATCH_FULL_SHARE: np.nan, names.QUEUE_LENGTH: np.nan}
    found = rates(slots(**lost))
    assert np.isnan([found[name] for name in ("batches", "batched", "full", "device_s")]).all()
    assert found["cpu_s"] == pytest.approx(0.3)


def test_a_slot_that_shows_nothing_of_its_own_has_no_page() -> None:
    nothing = np.full((1, 1, len(S)), np.nan)
    assert np.isnan(list(rates(nothing).values())).all()


def test_what_batches_held_moves_with_them_when_only_arrivals_are_frozen() -> None:
    steps = _server([7.2] * 5, sizes=[1.2, 1.3, 1.4, 1.5, 1.6])
    batches, held = steps[:, COLUMN["batches"]], steps[:, COLUMN["batched"]]
    assert (batches > 0.0).all()
    assert held / batches == pytest.approx([1.2, 1.3, 1.4, 1.5, 1.6])


def test_batches_of_one_are_counted_when_the_same_number_arrives_again() -> None:
    steps = _server([7.0, 7.2, 7.2], sizes=[1.0, 1.0, 1.0])
    assert steps[:, COLUMN["batched"]] == pytest.approx(np.array([7.0, 7.2, 7.2]) * SCRAPE_S)


def _server(arrivals: list[float], sizes: list[float]) -> np.ndarray:
    """Return what each scrape adds to one server's counters [scrape, column]."""
    told = counters.Counters(np.array([0.25]), 1)
    before, found = told.slots.copy(), []
    for number, (rate, size) in enumerate(zip(arrivals, sizes, strict=True), 1):
        variant = np.full((1, VARIANTS, len(V)), np.nan)
        variant[..., V[names.ARRIVAL_RATE]] = rate
        variant[..., V[names.ERROR_RATIO]] = 0.0
        for at, name in enumerate((names.LATENCY_P50, names.LATENCY_P95), 1):
            variant[..., V[name]] = 100.0 * at + number
        fields: dict[str, Any] = dict.fromkeys(Scrape.__dataclass_fields__, np.zeros((1, 1)))
        fields |= {
            "gateway": np.full((1, len(GATEWAY_SIGNALS)), np.nan),
            "variant": variant,
            "slot": slots(**{names.BATCH_SIZE: size}),
            "age_s": np.zeros((1, len(GATEWAY_SIGNALS))),
            "phase": np.array([[Phase.READY]]),
            "slot_variant": np.array([[0]]),
            "tokens": None,
        }
        told.take(number * float(SCRAPE_S), Scrape(**fields))
        found.append((told.slots - before)[0, 0])
        before = told.slots.copy()
    return np.array(found)
