"""What `homeostat judge --prometheus URL --query NAME=SELECTOR ...` reads.

Names as in the file's columns: `canary_total` and `canary_bad` (or `canary_good`), the same of
stable; any other pair `canary_X` and `stable_X` is a histogram, its buckets told by `le`.

What was scraped is asked for (a range selector at one time), sample by sample: a range query
repeats the newest one for five minutes where a scrape failed, so that a gap would look like
counters that stood still. The price: a query is a selector, not an expression.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from homeostat.adapters.sources.prometheus_access import Access
from homeostat.adapters.sources.prometheus_answer import QueryError
from homeostat.adapters.sources.prometheus_api import PrometheusApi
from homeostat.base.errors import ConfigError
from homeostat.base.units import MILLISECOND, MINUTE, TimeNs, seconds
from homeostat.cli.detect_layout import EmptyError, InputError
from homeostat.cli.judge_read import Recorded
from homeostat.govern.canary_series import ArmSeries, Sampled, counts

_ARMS: Final = ("canary", "stable")
_TIMEOUT_S: Final = 30.0
_MOST_BYTES: Final = 64 << 20  # four hours of a thousand series at 15 s are about 30 MiB
_LONGEST_MIN: Final = 7 * 24 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Far:
    """What is to be read, and where.

    Attributes:
        access: The Prometheus.
        selectors: By name, as the module says.
        span_ns: How far back.
    """

    access: Access
    selectors: dict[str, str]
    span_ns: int


def asked(
    url: str | None, queries: Sequence[str], minutes: float, token_file: Path | None
) -> Far | None:
    """Return what options ask for; None where no Prometheus is named.

    Raises:
        ConfigError: An option that cannot be, or a query too few; names the fix.
    """
    if url is None:
        if queries:
            raise ConfigError("--query goes with --prometheus URL; name one, or use --input FILE")
        return None
    try:
        access = Access(url=url, timeout_s=_TIMEOUT_S, token_file=token_file, max_bytes=_MOST_BYTES)
    except ValidationError as error:
        raise ConfigError(f"--prometheus: {error.errors()[0]['msg']}") from None
    if not 0.0 < minutes <= _LONGEST_MIN:
        raise ConfigError(f"--minutes: must be above 0 and at most a week, got {minutes:g}")
    selectors: dict[str, str] = {}
    for query in queries:
        name, equals, selector = query.partition("=")
        if not equals or not selector.strip() or name.partition("_")[0] not in _ARMS:
            raise ConfigError(
                f"--query {query!r}: write canary_total=SELECTOR, canary_bad=..., stable_total=..."
            )
        if name in selectors:
            raise ConfigError(f"--query {name} is there twice; name each once")
        selectors[name] = selector
    _complete(selectors)
    return Far(access=access, selectors=selectors, span_ns=round(minutes * MINUTE))


def _complete(selectors: dict[str, str]) -> None:
    for arm in _ARMS:
        parts = [f"{arm}_{part}" for part in ("bad", "good") if f"{arm}_{part}" in selectors]
        if f"{arm}_total" not in selectors or len(parts) != 1:
            raise ConfigError(
                f"--query: {arm} needs {arm}_total and one of {arm}_bad and {arm}_good; got "
                f"{sorted(selectors)}"
            )
    for name in _histograms(selectors, "canary") ^ _histograms(selectors, "stable"):
        raise ConfigError(f"--query: the histogram {name} needs canary_{name} and stable_{name}")


def _histograms(selectors: dict[str, str], arm: str) -> set[str]:
    own = {name.removeprefix(f"{arm}_") for name in selectors if name.startswith(f"{arm}_")}
    return own - {"total", "bad", "good"}


def far_counters(far: Far | None, until: TimeNs | None = None) -> Recorded:
    """Return what a Prometheus holds of both arms.

    Args:
        far: What is to be read.
        until: End of the time; None = now.

    Raises:
        InputError: It cannot be reached or read; says which query.
        EmptyError: Nothing was scraped twice.
    """
    if far is None:
        raise ConfigError("no Prometheus is named; use --prometheus URL")
    now = TimeNs(time.time_ns()) if until is None else until
    found = asyncio.run(_all(far, now))
    arms = [
        ArmSeries(
            total=found[f"{arm}_total"],
            part=found.get(f"{arm}_good", found.get(f"{arm}_bad", ())),
            part_is_good=f"{arm}_good" in found,
            histograms={
                name: found[f"{arm}_{name}"] for name in sorted(_histograms(far.selectors, arm))
            },
        )
        for arm in _ARMS
    ]
    for arm, one in zip(_ARMS, arms, strict=True):
        if not any(samples for _, samples in one.total):
            raise EmptyError(
                f"{far.access.url}: {arm}_total={far.selectors[f'{arm}_total']} returned no "
                "sample; nothing is judged, and nobody is blamed"
            )
    try:
        made, bounds = counts(*arms)
    except ValueError as error:
        raise InputError(f"{far.access.url}: {error}") from None
    if not made:
        raise EmptyError(f"{far.access.url}: only one scrape; counters need at least 2 to compare")
    began = made[0].since
    return Recorded(began=made[0].at if began is None else began, counts=made, bounds=bounds)


async def _all(far: Far, now: TimeNs) -> dict[str, tuple[Sampled, ...]]:
    api = PrometheusApi(far.access)
    try:
        return {name: await _read(api, far, name, now) for name in far.selectors}
    finally:
        await api.close()


async def _read(api: PrometheusApi, far: Far, name: str, now: TimeNs) -> tuple[Sampled, ...]:
    query = f"{far.selectors[name].strip()}[{math.ceil(seconds(far.span_ns))}s]"
    try:
        answered = (await api.instant(query, at=now)).whole(api.where)
    except QueryError as error:
        raise InputError(f"{name}={query}: {error}; a query is a selector") from None
    after = now - far.span_ns  # left-open, as of Prometheus 3; before, the edge belonged to it
    return tuple(
        (
            {label: value for label, value in one.labels.items() if label != "__name__"},
            [(_ns(at), value) for at, value in one.samples if _ns(at) > after],
        )
        for one in answered.series
    )


def _ns(at_s: float) -> TimeNs:
    """Return a time as it is kept: whole milliseconds.

    >>> _ns(1_699_999_970.123)
    1699999970123000000
    """
    return TimeNs(round(at_s * 1000.0) * MILLISECOND)
