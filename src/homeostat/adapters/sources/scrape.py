"""The built-in scraper: reads one `/metrics` page and reports raw signals.

It speaks for one target (a replica, the gateway) and never judges: NaN, negative and falling
counters pass through; a page that is not a metrics page, or too large, is refused whole. It keeps
counters cumulative; rates and quantiles are made in `signals`.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Annotated, Final

import httpx2
from pydantic import BaseModel, ConfigDict, Field, field_validator

from homeostat.adapters.sources import _page
from homeostat.adapters.sources._fetch import AbsurdError, HttpUrl, RefusedError, fetch, new_client
from homeostat.adapters.sources._mapping import Mapper
from homeostat.adapters.sources.presets import PRESETS
from homeostat.base.errors import UnknownPartError
from homeostat.base.evidence import Kind, Observation, Quality, SeriesKey, SourceReport
from homeostat.base.names import pool
from homeostat.base.part import Part
from homeostat.base.units import SECOND, TimeNs

_HEADERS: Final = {
    "accept": "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.5",
    "accept-encoding": "gzip",
    "user-agent": "homeostat",
}
# Pages above this are read in a thread: 256 KiB cost about 4 ms, and the loop has others to serve.
_THREAD_BYTES: Final = 256 * 1024
# Whole seconds, a page up to a few seconds old and two clocks: closer starts are one start.
_SAME_START_S: Final = 5.0


class ScrapeSettings(BaseModel):
    """Settings of one scraped page; hashable, so that an unchanged source can be kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="The source's name.")
    url: HttpUrl = Field(description="The page, http(s)://HOST:PORT/metrics.")
    deployment: str = Field(min_length=1, description="The managed model's name.")
    subject: str = Field(min_length=1, description="What it speaks for: replica:a-1, gateway.")
    timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(
        description="Deadline of a round, in seconds; shorter than the scrape interval."
    )
    mapping: str = Field(description="Preset that says what the series mean.")
    pools: tuple[str, ...] = Field(default=(), description="Pools to report; empty for all.")
    max_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, description="Largest page, unpacked.")
    max_series: int = Field(default=20_000, ge=1, description="Most series on a page.")

    @field_validator("mapping")
    @classmethod
    def _known_preset(cls, mapping: str) -> str:
        if mapping not in PRESETS:
            raise ValueError(str(UnknownPartError("preset", mapping, PRESETS)))
        return mapping


class Scrape:
    """One scraped page. See `homeostat.base.ports.Source`."""

    def __init__(
        self, settings: ScrapeSettings, *, client: httpx2.AsyncClient | None = None
    ) -> None:
        self._settings = settings
        self._preset = PRESETS[settings.mapping]
        self._client = client or new_client(keep_alive=True)
        self._owns_client = client is None
        mapper = Mapper(
            preset=self._preset,
            deployment=settings.deployment,
            subject=settings.subject,
            pools=settings.pools,
        )
        self._reader = _page.PageReader(mapper, max_series=settings.max_series)
        self._subjects = {settings.subject, *(pool(name) for name in settings.pools)}
        self._epoch: float | None = None
        self._started: float | None = None
        self._uptime = -math.inf

    @property
    def name(self) -> str:
        """The source's name in the configuration."""
        return self._settings.name

    async def observe(self, now: TimeNs) -> SourceReport:
        """Read the page once, within the deadline; trouble is a quality, never an exception."""
        started = time.monotonic_ns()
        try:
            observations = await self._observations(now)
            quality, detail = Quality.GOOD, f"{len(observations)} values"
        except RefusedError as refused:
            observations, quality, detail = (), refused.quality, str(refused)
        self._subjects |= {seen.key.subject for seen in observations}
        return SourceReport(
            source=self.name,
            at=TimeNs(now + time.monotonic_ns() - started),
            observations=observations,
            subjects=tuple(sorted(self._subjects)),
            quality=quality,
            detail=detail,
        )

    async def close(self) -> None:
        """Release connections, unless they are shared."""
        if self._owns_client:
            await self._client.aclose()

    async def _observations(self, now: TimeNs) -> tuple[Observation, ...]:
        settings = self._settings
        answer = await fetch(
            self._client,
            self._client.build_request("GET", settings.url, headers=_HEADERS),
            timeout_s=settings.timeout_s,
            max_bytes=settings.max_bytes,
        )
        if answer.status != httpx2.codes.OK:
            raise RefusedError(Quality.UNREACHABLE, f"status {answer.status}")
        read = self._reader.read
        if len(answer.body) > _THREAD_BYTES:
            readings = await asyncio.to_thread(read, answer.content_type, answer.body)
        else:
            readings = read(answer.content_type, answer.body)
        if not any(reading[0].targets for reading in readings):
            raise RefusedError(
                Quality.MISSING, f"no series of preset {settings.mapping!r} is on the page"
            )
        return self._gathered(readings, now)

    def _gathered(self, readings: Sequence[_page.Reading], now: TimeNs) -> tuple[Observation, ...]:
        self._track_epoch(readings, now)
        sums: dict[tuple[SeriesKey, float | None], tuple[Kind, float, int]] = {}
        for meaning, value, at_s in readings:
            at = _observed_at(at_s, now)
            for target in meaning.targets:
                slot = (target.key, target.le)
                before = sums.get(slot)
                if before is not None and target.kind is Kind.GAUGE:
                    raise AbsurdError(f"two series of {meaning.sample} for {target.key.subject}")
                added = value * target.scale + (0.0 if before is None else before[1])
                sums[slot] = (target.kind, added, at if before is None else min(at, before[2]))
        for meaning, _, at_s in readings:
            for key in meaning.zeros:
                sums.setdefault((key, None), (Kind.COUNTER, 0.0, _observed_at(at_s, now)))
        return tuple(
            Observation(
                source=self.name,
                key=key,
                kind=kind,
                value=value,
                observed_at=TimeNs(at),
                le=le,
                epoch=self._epoch,
            )
            for (key, le), (kind, value, at) in sums.items()
        )

    def _track_epoch(self, readings: Sequence[_page.Reading], now: TimeNs) -> None:
        """Keep the start time of the counting process.

        A start time of zero, or none, is no start time: it explains no counter that went back.
        Uptimes are whole seconds and drift against our clock: only a fall of the uptime is news.
        """
        preset = self._preset
        if preset.started_sample:
            started = _gauge(readings, preset.started_sample)
            self._epoch = started if started is not None and started > 0 else None
        elif preset.uptime_sample:
            uptime = _gauge(readings, preset.uptime_sample)
            self._epoch = None if uptime is None or uptime <= 0 else self._start(uptime, now)

    def _start(self, uptime: float, now: TimeNs) -> float:
        start = float(now // SECOND) - uptime
        fell, self._uptime = uptime < self._uptime, uptime
        if self._started is None or (fell and abs(start - self._started) > _SAME_START_S):
            self._started = start
        return self._started


def _gauge(readings: Sequence[_page.Reading], sample: str) -> float | None:
    value = next((value for meaning, value, _ in readings if meaning.sample == sample), None)
    return value if value is not None and math.isfinite(value) else None


def _observed_at(at_s: float | None, now: TimeNs) -> int:
    """Return when the world had the value: the line's own time, but never after now.

    Raises:
        AbsurdError: The line's time is no time.
    """
    if at_s is None:
        return now
    if not math.isfinite(at_s) or at_s < 0:
        raise AbsurdError(f"a line's time is {at_s}")
    return min(now, round(at_s * SECOND))


def build(settings: ScrapeSettings, *, client: httpx2.AsyncClient | None = None) -> Scrape:
    """Return a scraper; a shared `client` stays the caller's to close."""
    return Scrape(settings, client=client)


PART = Part(
    kind="source",
    name="scrape",
    summary="Reads a Prometheus or OpenMetrics page of one target.",
    config=ScrapeSettings,
    build=build,
)

__all__ = ["PART", "Scrape", "ScrapeSettings", "build"]
