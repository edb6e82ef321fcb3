"""Raw samples from a Prometheus: what was really scraped, and when.

A range vector in an instant query (`NAME{...}[600s]` at a time) returns samples as they were
scraped. `query_range` would repeat the newest one for five minutes where a scrape failed, so that
a gap would look like counters that stood still; here a gap stays a gap. The price: a query is a
selector, not an expression.
Source: Prometheus documentation, "HTTP API", instant queries, and "Querying basics", staleness.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from homeostat.adapters.sources._fetch import Answer, HttpUrl, RefusedError, fetch, new_client
from homeostat.base.evidence import Quality
from homeostat.base.units import MILLISECOND, TimeNs, seconds

__all__ = ["HttpUrl", "RefusedError", "Series", "raw"]

# Four hours of a thousand series at 15 s are about 30 MiB of JSON.
MOST_BYTES: Final = 64 << 20
_SAID_MOST: Final = 300
_OK: Final = 200
_MS: Final = 1000.0  # Prometheus keeps milliseconds and writes seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One counter of one target.

    Attributes:
        labels: Without the metric's name.
        samples: (time, value) as scraped, oldest first.
    """

    labels: Mapping[str, str]
    samples: tuple[tuple[TimeNs, float], ...]


async def raw(
    url: str, selector: str, *, until: TimeNs, span_ns: int, timeout_s: float, token: str = ""
) -> tuple[Series, ...]:
    """Return what a selector names over some time, sample by sample.

    Args:
        url: The server, http(s)://HOST:PORT with its path prefix if it has one.
        selector: `http_requests_total{pool="c"}`.
        until: End of the time.
        span_ns: Its length.
        timeout_s: Deadline of the whole exchange, in seconds.
        token: Bearer token; empty for none.

    Raises:
        RefusedError: No answer, or one that cannot be used; says why.
    """
    query = f"{selector.strip()}[{math.ceil(seconds(span_ns))}s]"
    headers = {"accept": "application/json", "accept-encoding": "gzip"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    async with new_client(keep_alive=False) as client:
        try:
            # In the body: a selector may be longer than an address may be.
            request = client.build_request(
                "POST",
                f"{url.rstrip('/')}/api/v1/query",
                data={"query": query, "time": f"{seconds(until):.3f}"},
                headers=headers,
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise RefusedError(Quality.UNREACHABLE, f"no address: {error}") from error
        answer = await fetch(client, request, timeout_s=timeout_s, max_bytes=MOST_BYTES)
    return tuple(_series(_result(answer, query), until - span_ns))


def _result(answer: Answer, query: str) -> list[Any]:
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise RefusedError(
            Quality.ABSURD,
            f"HTTP {answer.status} and no JSON; is this the address of a Prometheus?",
        )
    if answer.status != _OK or said.get("status") != "success":
        why = str(said.get("error", "no reason given"))[:_SAID_MOST]
        raise RefusedError(
            Quality.ABSURD, f"HTTP {answer.status}: {why} (asked {query}; a query is a selector)"
        )
    data = said.get("data")
    if not isinstance(data, dict) or data.get("resultType") != "matrix":
        raise RefusedError(Quality.ABSURD, f"{query} is no range of samples")
    found = data.get("result")
    if not isinstance(found, list):
        raise RefusedError(Quality.ABSURD, f"{query}: no list of series")
    return found


def _series(found: list[Any], after: int) -> Iterator[Series]:
    try:
        for one in found:
            labels = {str(key): str(value) for key, value in one["metric"].items()}
            labels.pop("__name__", None)
            samples = [
                (TimeNs(round(float(at) * _MS) * MILLISECOND), float(value))
                for at, value in one.get("values", [])
            ]
            # Left-open, as of Prometheus 3; the boundary belonged to the range before.
            kept = tuple(sample for sample in sorted(samples) if sample[0] > after)
            yield Series(labels=labels, samples=kept)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedError(Quality.ABSURD, f"a series cannot be read: {error!r}") from error
