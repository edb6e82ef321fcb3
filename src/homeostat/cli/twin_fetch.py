"""`homeostat twin fetch`: a stretch of a Prometheus' past as a recording to fit a twin to.

Asks for the signals of the presets that fit what is selected, at even steps. A cell stays empty
where nothing was reported; nothing is carried over and nothing is guessed.
"""

import asyncio
import math
import string
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer
from pydantic import ValidationError

from homeostat.adapters.sources.presets_choose import AmbiguousError, choose
from homeostat.adapters.sources.presets_file import presets
from homeostat.adapters.sources.prometheus_access import Access
from homeostat.adapters.sources.prometheus_answer import QueryError
from homeostat.adapters.sources.prometheus_api import PrometheusApi
from homeostat.adapters.sources.prometheus_select import matchers
from homeostat.base.errors import ConfigError, UnknownPartError
from homeostat.base.units import SECOND, TimeNs
from homeostat.cli.exits import Exit
from homeostat.cli.output import tell
from homeostat.twin.fit_frame import COLUMNS, TIME

# What a signal of a preset is in a recording; one that is left out means something else there.
_SIGNALS: Final[Mapping[str, str]] = {
    "request_rate": "request_rate",
    "latency_p50": "latency_p50_s",
    "latency_p95": "latency_p95_s",
    "latency_p99": "latency_p99_s",
    "queue_depth": "queue",
    "batch_size": "batch_size",
    "replicas": "replicas",
    "replicas_desired": "replicas_wanted",
    "replicas_target": "replicas_wanted",
    "error_ratio": "error_ratio",  # with the rate it says what failed and what was served
}
_ERRORS: Final = "error_ratio"
# Of these alone `ongoing` is what is being served; others count what waits as well.
_RUNNING: Final = frozenset({"vllm", "sglang", "ray_vllm", "ray_serve"})
# A batch as the client sent it says nothing of how the server batches.
_CLIENT_BATCH: Final = "examples/request"
_WORDS: Final = ("sel", "app", "http", "host", "pods", "gpu", "rev", "dep", "hpa")
# Prometheus refuses more than 11,000 points a series.
_POINTS: Final = 10_000
_TIMEOUT_S: Final = 60.0

Column = Mapping[float, float]
"""Value by time in seconds; a time that is not there was not reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be fetched.

    Attributes:
        access: How the server is reached.
        select: Labels of the series, as in the configuration.
        presets: Their names; empty: by what is there.
        since_ns: How far back.
        step_s: Seconds that a row stands for.
    """

    access: Access
    select: Mapping[str, str]
    presets: tuple[str, ...]
    since_ns: int
    step_s: float


def asked(
    url: str,
    select: Sequence[str],
    preset: Sequence[str],
    *,
    since_ns: int,
    step_ns: int,
    token_file: Path | None,
    ca_file: Path | None,
) -> Asked:
    """Return what options ask for.

    Raises:
        ConfigError: An option that cannot be; names the fix.
    """
    pairs = [one.partition("=") for one in select]
    if not all(equals for _, equals, _ in pairs):
        raise ConfigError(f"--select {' '.join(select)!r}: write LABEL=VALUE, or LABEL=~PATTERN")
    labels = {label: value for label, _, value in pairs}
    for name in preset:
        if name not in presets():
            raise UnknownPartError("preset", name, presets())
    if not 0 < step_ns <= since_ns:
        raise ConfigError("--step must be above 0 and at most --since")
    try:
        matchers(labels)
        access = Access(url=url, timeout_s=_TIMEOUT_S, token_file=token_file, ca_file=ca_file)
    except ValidationError as error:
        raise ConfigError(f"--prometheus: {error.errors()[0]['msg']}") from None
    except ValueError as error:
        raise ConfigError(f"--select: {error}") from None
    return Asked(
        access=access,
        select=labels,
        presets=tuple(preset),
        since_ns=since_ns,
        step_s=step_ns / SECOND,
    )


def fetch(wanted: Asked, out: Path) -> None:
    """Write the recording; ends with the code for missing data if there is none.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        columns, said = asyncio.run(columns_of(wanted, time.time()))
    except (QueryError, AmbiguousError) as error:
        tell(f"homeostat: {error}")
        raise typer.Exit(Exit.NO_DATA) from None
    lines = list(_lines(columns))
    if len(lines) < 3:  # noqa: PLR2004 - a header and two rows, the fewest that anything is fitted to
        labels = matchers(wanted.select)
        tell(f"homeostat: {wanted.access.url}: {{{labels}}} shows too little ({said})")
        raise typer.Exit(Exit.NO_DATA)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}; choose another place") from error
    tell(f"wrote {out}: {len(lines) - 1} rows of {', '.join(columns)} ({said})")


async def columns_of(wanted: Asked, now_s: float) -> tuple[dict[str, Column], str]:
    """Return the columns that are there, and which presets they are from."""
    api = PrometheusApi(wanted.access)
    try:
        names = wanted.presets or choose(await _names(api, wanted, now_s))
        found: dict[str, Column] = {}
        for column, query in (pair for name in names for pair in _queries(name, wanted)):
            if column not in found and (values := await values_of(api, query, wanted, now_s)):
                found[column] = values
    finally:
        await api.close()
    rate, ratio = found.get("request_rate", {}), found.get(_ERRORS, {})
    if both := rate.keys() & ratio.keys():
        found["error_rate"] = {at: rate[at] * ratio[at] for at in both}
        found["throughput"] = {at: rate[at] * (1.0 - ratio[at]) for at in both}
    ordered = {column: found[column] for column in COLUMNS if column in found}
    return ordered, ", ".join(names) or "no preset fits"


async def _names(api: PrometheusApi, wanted: Asked, now_s: float) -> Sequence[str]:
    since = TimeNs(round(now_s * SECOND) - wanted.since_ns)
    return await api.names(["{" + matchers(wanted.select) + "}"], since=since)


def _queries(name: str, wanted: Asked) -> Iterator[tuple[str, str]]:
    for signal, one in presets()[name].entry.signals.items():
        column = "running" if signal == "ongoing" and name in _RUNNING else _SIGNALS.get(signal)
        if column is not None and one.u != _CLIENT_BATCH:
            said = dict.fromkeys(_WORDS, matchers(wanted.select))
            said["w"] = f"{math.ceil(wanted.step_s)}s"
            yield column, string.Template(one.q).substitute(said)


async def values_of(api: PrometheusApi, query: str, wanted: Asked, now_s: float) -> Column:
    """Return what a query says at each step, by the server's time.

    Args:
        api: The server.
        query: PromQL of one series.
        wanted: How far back, and in which steps.
        now_s: The last step is at or before it. Seconds since 1970.

    Raises:
        QueryError: An answer that is partial, or of several series.
    """
    step = wanted.step_s
    last = math.floor(now_s / step)
    first = last - math.floor(wanted.since_ns / SECOND / step)
    values: dict[float, float] = {}
    for begin in range(first, last + 1, _POINTS):
        end = min(begin + _POINTS - 1, last)
        answer = await api.over(query, start=_at(begin, step), end=_at(end, step), step_s=step)
        for series in answer.whole(api.where).series:
            values |= {at: value for at, value in series.samples if math.isfinite(value)}
    return values


def _at(place: int, step_s: float) -> TimeNs:
    return TimeNs(round(place * step_s * SECOND))


def _lines(columns: Mapping[str, Column]) -> Iterator[str]:
    yield ",".join([TIME, *columns])
    for at in sorted({at for values in columns.values() for at in values}):
        cells = (f"{values[at]:.7g}" if at in values else "" for values in columns.values())
        yield ",".join([f"{at:.3f}", *cells])
