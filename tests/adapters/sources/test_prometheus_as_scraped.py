"""What is read from a Prometheus says the same as the pages that it scraped."""

import asyncio
import math

import numpy as np
import pytest
from prometheus_fake import ENOUGH_S, STEP, T0, asked

from homeostat.adapters.sources.scrape import ScrapeSettings
from homeostat.adapters.sources.scrape import build as build_scrape
from homeostat.base import names
from homeostat.base.evidence import SourceReport
from homeostat.base.units import SECOND, TimeNs
from homeostat.signals.fleet import Fleet
from homeostat.testing import build
from homeostat.testing.hostile import hostile_server, response

ROUNDS = 12
RESTART = 7  # the round before which the process starts again
BOUNDS = (0.01, 0.05, 0.1, 0.5, math.inf)


def history() -> list[dict[str, float]]:
    """Return what a server's page shows at each round: a restart in between, load that varies."""
    chance = np.random.default_rng(5)
    pages, held, began = [], dict.fromkeys(_counters(), 0.0), T0 - 100.0
    for place in range(ROUNDS):
        if place == RESTART:
            held, began = dict.fromkeys(_counters(), 0.0), T0 + STEP * place - 5.0
        took = chance.gamma(2.0, 0.03, size=chance.integers(200, 600))
        failed = float(chance.binomial(len(took), 0.05))
        held['ml_requests_total{code="200"}'] += len(took) - failed
        held['ml_requests_total{code="500"}'] += failed
        held["ml_request_seconds_sum"] += float(took.sum())
        for le in BOUNDS:
            held[_bucket(le)] += float((took <= le).sum())
        queue = {"ml_queue_length": float(chance.integers(0, 9)), "ml_inflight": 2.0}
        pages.append(held | queue | {"process_start_time_seconds": began})
    return pages


def _bucket(le: float) -> str:
    return f'ml_request_seconds_bucket{{le="{"+Inf" if math.isinf(le) else le}"}}'


def _counters() -> list[str]:
    codes = [f'ml_requests_total{{code="{code}"}}' for code in (200, 500)]
    return [*codes, "ml_request_seconds_sum", *map(_bucket, BOUNDS)]


async def scraped(pages: list[dict[str, float]]) -> list[SourceReport]:
    texts = ["".join(f"{name} {value}\n" for name, value in page.items()) for page in pages]

    async def respond(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(response(texts.pop(0).encode(), content_type="text/plain"))

    async with hostile_server(respond) as server:
        source = build_scrape(
            ScrapeSettings(
                name="page",
                url=server.url("/metrics"),
                deployment="credit",
                subject="replica:a-1",
                timeout_s=ENOUGH_S,
                mapping="homeostat_instrument",
            )
        )
        found = [await source.observe(at(place)) for place in range(ROUNDS)]
        await source.close()
    return found


async def queried(pages: list[dict[str, float]]) -> list[SourceReport]:
    held = {
        name: [(STEP * place, page[name]) for place, page in enumerate(pages)] for name in pages[0]
    }
    async with asked(held, subject="replica:a-1", presets=("homeostat_instrument",)) as (_, ask):
        return [await ask.at(STEP * place) for place in range(ROUNDS)]


def at(place: int) -> TimeNs:
    return TimeNs(round((T0 + STEP * place) * SECOND))


def derived(reports: list[SourceReport]) -> list[dict[str, float]]:
    """Return each tick's signals of the replica, those that are known."""
    fleet, managed = Fleet(), build.managed(name="credit", scrape_ns=round(STEP * SECOND))
    state, ticks = fleet.init(), []
    for tick, report in enumerate(reports):
        state, frame = fleet.step(state, [report], [], [managed], at(tick), tick)
        signals = frame.signals
        ticks.append({
            key.signal: float(value)
            for key, value in zip(signals.keys, signals.values, strict=True)
            if math.isfinite(value)
        })
    return ticks


async def test_every_signal_of_every_tick_is_the_one_of_the_scraped_page() -> None:
    pages = history()
    by_page, by_query = derived(await scraped(pages)), derived(await queried(pages))
    asked_of = {names.ARRIVAL_RATE, names.ERROR_RATIO, names.LATENCY_P50, names.LATENCY_P95}
    for tick, (page, query) in enumerate(zip(by_page, by_query, strict=True)):
        assert page == pytest.approx(query, rel=1e-12), tick
        assert tick in {0, RESTART} or asked_of <= query.keys(), tick


async def test_a_restart_costs_no_request() -> None:
    pages, reports = history(), await queried(history())
    told = {one.key.signal: one.value for one in reports[-1].observations if one.le is None}
    counted = ('ml_requests_total{code="200"}', 'ml_requests_total{code="500"}')
    true = sum(
        pages[end][name] - (pages[begin][name] if begin is not None else 0.0)
        for begin, end in ((0, RESTART - 1), (None, ROUNDS - 1))
        for name in counted
    )
    assert told["raw_requests_arrived"] == true
