"""Reads what a Prometheus has scraped of one deployment and reports raw signals.

One query a round, which it shares with other sources where that can be (`prometheus_desk`): all
metrics that the presets name, by one selector, as the samples that were really scraped (a range
selector in an instant query), each with its own time. `query_range` would
repeat the last sample for five minutes where scrapes fail, so that a gap looked like calm. It
never judges: rates and quantiles are made in `signals`, and what is old there is old here too.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Annotated, Any, Final, Self

from pydantic import Field, field_validator, model_validator

from homeostat.adapters._guard import shared_tls
from homeostat.adapters.sources._fetch import AbsurdError
from homeostat.adapters.sources.presets_choose import AmbiguousError, choose
from homeostat.adapters.sources.presets_file import presets as known_presets
from homeostat.adapters.sources.prometheus_access import Access
from homeostat.adapters.sources.prometheus_answer import QueryError
from homeostat.adapters.sources.prometheus_desk import Asker, Desk, Wanted
from homeostat.adapters.sources.prometheus_reading import Reading, Value
from homeostat.adapters.sources.prometheus_select import matchers
from homeostat.base.errors import UnknownPartError
from homeostat.base.evidence import Kind, Observation, Quality, SourceReport
from homeostat.base.names import pool
from homeostat.base.part import Part
from homeostat.base.units import MILLISECOND, SECOND, TimeNs

_MS: Final = 1000.0
# Two clocks may differ by so much before samples are dated wrongly enough to matter: a third of the
# usual 15 s interval.
_SKEW_MAX_S: Final = 5.0
_ACCESS: Final = set(Access.model_fields)


class PrometheusSettings(Access):
    """Settings of one query to one Prometheus; hashable, so that an unchanged one can be kept."""

    name: str = Field(min_length=1, description="The source's name.")
    deployment: str = Field(min_length=1, description="The managed model's name.")
    subject: str = Field(default="", description="What it speaks for: gateway, model, pool:a.")
    replica_label: str = Field(
        default="", pattern=r"^([a-zA-Z_]\w{0,99})?$", description="Label with a replica's name."
    )
    select: tuple[tuple[str, str], ...] = Field(
        min_length=1, description="Label and value; a value that begins with ~ is a pattern."
    )
    presets: tuple[str, ...] = Field(
        default=(), description="What the series mean, best first; empty: by what is there."
    )
    pools: tuple[str, ...] = Field(default=(), description="Pools to report; empty for all.")
    window_s: Annotated[float, Field(ge=2, le=3600)] = Field(
        default=75.0, description="How far back each round looks; above four scrape intervals."
    )

    @field_validator("presets")
    @classmethod
    def _known_presets(cls, presets: tuple[str, ...]) -> tuple[str, ...]:
        known = known_presets() if presets else {}
        for name in presets:
            if name not in known:
                raise ValueError(str(UnknownPartError("preset", name, known)))
            if not known[name].rules.rules:
                raise ValueError(f"preset {name!r} is for history: the live loop reads none of it")
        return presets

    @model_validator(mode="after")
    def _selects_something(self) -> Self:
        matchers(dict(self.select))
        if not self.subject and not self.replica_label:
            raise ValueError("neither subject nor replica_label is set; say whom it speaks for")
        return self


class PrometheusSource:
    """One query of one deployment. See `homeostat.base.ports.Source`."""

    def __init__(
        self, settings: PrometheusSettings, desk: Desk | None = None, **outside: Any
    ) -> None:
        self._settings = settings
        self._where = settings.url.rstrip("/")
        self._access = Access.model_validate(settings.model_dump(include=_ACCESS))
        self._desk = Desk(**outside) if outside else desk
        self._asker: Asker | None = None
        if settings.ca_file is None:
            shared_tls()  # made once a process, and not within the first query's deadline
        self._reading = self._new_reading(settings.presets) if settings.presets else None
        self._subjects = {pool(name) for name in settings.pools}
        # Replicas are known once they were seen; until then the deployment itself is silent.
        self._subjects.add(settings.subject or "model")
        self._epoch: float | None = None

    @property
    def name(self) -> str:
        """The source's name in the configuration."""
        return self._settings.name

    async def observe(self, now: TimeNs) -> SourceReport:
        """Ask once, within the deadline; trouble is a quality, never an exception."""
        started = time.monotonic_ns()
        if self._epoch is None or self._reading is None:
            self._epoch = now / SECOND  # a new reading counts from zero
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                observations = tuple(await self._observations(now))
            quality, detail = Quality.GOOD, self._told(len(observations))
        except TimeoutError:
            observations, quality = (), Quality.UNREACHABLE
            detail = f"{self._where}: no answer within {self._settings.timeout_s:g} s"
        except QueryError as refused:
            observations, quality, detail = (), refused.quality, str(refused)
        except AbsurdError as refused:
            observations, quality = (), Quality.ABSURD
            detail = f"{self._where}: {refused}"
        self._subjects |= {seen.key.subject for seen in observations}
        if self._reading is not None:
            self._subjects -= self._reading.forgotten()
        return SourceReport(
            source=self.name,
            at=TimeNs(now + time.monotonic_ns() - started),
            observations=observations,
            subjects=tuple(sorted(self._subjects)),
            quality=quality,
            detail=detail,
        )

    async def close(self) -> None:
        """Release connections that no other source uses."""
        if self._asker is not None and self._desk is not None:
            self._asker = None
            await self._desk.leave(self._access)

    def _asked(self) -> Asker:
        if self._desk is None:
            self._desk = Desk.here()
        if self._asker is None:
            self._asker = self._desk.join(self._access)
        return self._asker

    def _new_reading(self, presets: Iterable[str]) -> Reading:
        settings = self._settings
        return Reading(
            [known_presets()[name].rules for name in presets],
            deployment=settings.deployment,
            subject=settings.subject,
            replica_label=settings.replica_label,
            pools=settings.pools,
        )

    def _told(self, count: int) -> str:
        fed = self._reading.owners() if self._reading is not None else {}
        return f"{count} values; " + ", ".join(f"{n} signals by {name}" for name, n in fed.items())

    async def _observations(self, now: TimeNs) -> Iterable[Observation]:
        reading = self._reading or await self._chosen(now)
        settings = self._settings
        wanted = Wanted(
            names=reading.names, select=settings.select, window_s=settings.window_s, at=now
        )
        answer = await self._asked().ask(wanted)
        self._check_clock(answer.skew_s)
        values = reading.take(answer.series)
        self._reading = reading
        if not values:
            if not self._settings.presets:
                self._reading = None  # what is there may have changed: look again
            raise QueryError(
                f"{self._where}: no live series of {self._presets_said()} is selected by "
                f"{{{matchers(dict(settings.select))}}}; check the labels, or name another preset",
                quality=Quality.MISSING,
            )
        return [self._seen(value, reading, now) for value in values]

    def _presets_said(self) -> str:
        return ", ".join(self._settings.presets) or "any preset"

    async def _chosen(self, now: TimeNs) -> Reading:
        """Return a reading by the presets whose metrics are there.

        Raises:
            QueryError: There is none (MISSING).
        """
        select = "{" + matchers(dict(self._settings.select)) + "}"
        since = TimeNs(now - round(self._settings.window_s * SECOND))
        there = await self._asked().api.names([select], since=since)
        try:
            found = choose(there)
        except AmbiguousError as error:
            raise QueryError(
                f"{self._where}: {select}: {error}", quality=Quality.MISSING
            ) from error
        read = [name for name in found if known_presets()[name].rules.rules]
        if not read:
            raise QueryError(
                f"{self._where}: {select} has {len(there)} metrics and none that a preset "
                "reads; see `homeostat get presets`",
                quality=Quality.MISSING,
            )
        return self._new_reading(read)

    def _check_clock(self, skew_s: float) -> None:
        if abs(skew_s) > _SKEW_MAX_S:  # false for NaN: a server that names no time
            raise QueryError(
                f"{self._where}: its clock is {skew_s:+.1f} s from ours, so nobody knows how "
                "old its samples are; run a time service on both machines",
                quality=Quality.ABSURD,
                field="date",
            )

    def _seen(self, value: Value, reading: Reading, now: TimeNs) -> Observation:
        at = round(value.at_s * _MS) * MILLISECOND
        if at > now + _SKEW_MAX_S * SECOND:
            raise QueryError(
                f"{self._where}: a sample is {(at - now) / SECOND:.1f} s from the future; run "
                "a time service on both machines",
                quality=Quality.ABSURD,
                field="data.result",
            )
        counts = value.kind is not Kind.GAUGE
        epoch = max(self._epoch or 0.0, reading.started(value.key.subject))
        return Observation(
            source=self.name,
            key=value.key,
            kind=value.kind,
            value=value.value,
            observed_at=TimeNs(min(at, now)),
            le=value.le,
            epoch=epoch if counts else None,
        )


def build(
    settings: PrometheusSettings, desk: Desk | None = None, **outside: Any
) -> PrometheusSource:
    """Return a source.

    Args:
        settings: See `PrometheusSettings`.
        desk: Whom it asks through; None for the one of the event loop that it is asked from.
        outside: `resolve`, `sleep` and `wall` of `PrometheusApi`, for tests: a desk of its own.
    """
    return PrometheusSource(settings, desk, **outside)


PART = Part(
    kind="source",
    name="prometheus",
    summary="Reads what a Prometheus, Thanos, Mimir or VictoriaMetrics has scraped.",
    config=PrometheusSettings,
    build=build,
)

__all__ = ["PART", "PrometheusSettings", "PrometheusSource", "build"]
