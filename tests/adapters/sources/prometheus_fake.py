"""A Prometheus that is held in a test's hand: samples in, answers of its API out."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

from homeostat.adapters.sources.prometheus_source import (
    PrometheusSettings,
    PrometheusSource,
    build,
)
from homeostat.base.evidence import Kind, Quality, SourceReport
from homeostat.base.units import SECOND, TimeNs
from homeostat.testing.hostile import hostile_server, response

T0 = 1_800_000_000.0
STEP = 15.0
ENOUGH_S = 60.0

Points = Mapping[str, Sequence[tuple[float, float | str]]]
"""Series as they stand on a page, with (seconds after T0, value)."""


class Database:
    """A Prometheus that answers a window of what it holds.

    Attributes:
        held: Its series.
        at: The time of the next question, in seconds after T0.
        more: Further fields of its answers.
        date: What its clock is ahead, None to name no time.
        queries: What it was asked, oldest first.
    """

    def __init__(self, held: Points) -> None:
        self.held = dict(held)
        self.more: dict[str, Any] = {}
        self.date: float | None = None
        self.at = 0.0
        self.queries: list[bytes] = []

    def answer(self, request: bytes) -> bytes:
        self.queries.append(request.split(b" ")[1])
        series = [(labels_of(text), points) for text, points in self.held.items()]
        if b"/label/__name__/values" in request:
            data: Any = sorted({labels["__name__"] for labels, _ in series})
        else:
            data = {"resultType": "matrix", "result": list(self._result(series))}
        said = {"status": "success", "data": data} | self.more
        date = "" if self.date is None else formatdate(T0 + self.at + self.date, usegmt=True)
        return response(
            json.dumps(said).encode(),
            content_type="application/json",
            extra=f"date: {date}\r\n" if date else "",
        )

    def _result(self, series: Any) -> Any:
        for labels, points in series:
            inside = [
                [T0 + at, str(value)] for at, value in points if self.at - 75.0 < at <= self.at
            ]
            if inside:
                yield {"metric": labels, "values": inside}


def labels_of(text: str) -> dict[str, str]:
    """Return the labels of `name{a="b"}`, with a job and instance that are there anyway."""
    name, _, rest = text.partition("{")
    pairs = [pair.split("=") for pair in rest.rstrip("}").split(",") if pair]
    return {"__name__": name, "job": "llm", "instance": "one:8000"} | {
        label: value.strip('"') for label, value in pairs
    }


@asynccontextmanager
async def asked(held: Points, **settings: Any) -> AsyncIterator[tuple[Database, "Asking"]]:
    database = Database(held)

    async def respond(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(database.answer(request))

    async with hostile_server(respond) as server:
        defaults: dict[str, Any] = {
            "name": "prom",
            "deployment": "credit",
            "timeout_s": ENOUGH_S,
            "subject": "model",
            "select": (("job", "llm"),),
            "presets": ("vllm",),
        }
        source = build(
            PrometheusSettings.model_validate(defaults | {"url": server.url()} | settings),
            wall=lambda: T0 + database.at,
        )
        try:
            yield database, Asking(database, source)
        finally:
            await source.close()


class Asking:
    """Asks at given times."""

    def __init__(self, database: Database, source: PrometheusSource) -> None:
        self.database, self.source = database, source

    async def at(self, seconds: float) -> SourceReport:
        self.database.at = seconds
        return await self.source.observe(TimeNs(round((T0 + seconds) * SECOND)))

    async def values(self, seconds: float) -> dict[tuple[str, str], float]:
        """Return what is said of (subject, signal), buckets left out."""
        report = await self.at(seconds)
        assert report.quality is Quality.GOOD, report.detail
        return {
            (seen.key.subject, seen.key.signal): seen.value
            for seen in report.observations
            if seen.kind is not Kind.BUCKET
        }


def steps(values: Sequence[float | str], *, start: float = 0.0) -> list[tuple[float, float | str]]:
    return [(start + STEP * place, value) for place, value in enumerate(values)]
