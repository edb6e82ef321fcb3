"""A client of the Prometheus HTTP API, as Prometheus, Thanos, Mimir and VictoriaMetrics speak it.

Bounded in everything: one deadline over all attempts, a budget of retries, caps on bytes, series
and samples. It resolves by itself, judges every address, and connects to the one it judged; it
follows nothing. Secrets come from files, read for each request so that they can be rotated, and
are in no message.
Source: https://prometheus.io/docs/prometheus/latest/querying/api/ (stable API, v1).
"""

import asyncio
import math
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx2

from homeostat.adapters import _guard
from homeostat.adapters._address import refusal
from homeostat.adapters._guard import Resolve, shared_tls
from homeostat.adapters.sources._fetch import Answer, RefusedError, fetch
from homeostat.adapters.sources.prometheus_access import PORTS, Access, authorization
from homeostat.adapters.sources.prometheus_answer import (
    Answered,
    Parted,
    QueryError,
    RefusedQueryError,
    error_words,
    read,
    read_apart,
    words,
)
from homeostat.base.evidence import Quality
from homeostat.base.units import SECOND, TimeNs

_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
# Retries over all queries: each costs one, each answer gives back a tenth (as gRPC throttles).
_BUDGET: Final = 10.0
_REFUND: Final = 0.1
_FIRST_PAUSE_S: Final = 0.2
_DIGITS_MAX: Final = 5
# A proxy that maps verbs to rights calls POST "create"; GET while an address is short enough.
_ADDRESS_MAX: Final = 2000
# Thanos and VictoriaMetrics fail whole if they are asked to; Prometheus ignores both.
_WHOLE: Final = {"partial_response": "false", "deny_partial_response": "1"}
_REFUSED_STATUS: Final = {
    401: "the server wants to know who asks; set token_file, or username and password_file",
    403: "this token or user may not query; give it read access",
    404: "there is no such API here; url must be the base, such as http://HOST:9090",
}


class PrometheusApi:
    """One server that is queried. Connects on first use; safe for several queries at once."""

    def __init__(
        self,
        access: Access,
        *,
        resolve: Resolve = _guard.resolved,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._resolve = resolve
        self._sleep, self._wall = sleep, wall
        self._where = access.url.rstrip("/")
        self._budget = _BUDGET
        self._client: httpx2.AsyncClient | None = None
        self._trusted: object = None
        if access.ca_file is None:
            shared_tls()  # made once a process, and not within the first query's deadline

    @property
    def where(self) -> str:
        """The server's address, which holds no secret."""
        return self._where

    async def instant(self, query: str, *, at: TimeNs | None = None) -> Answered:
        """Return what a query says at one time.

        Args:
            query: PromQL. A range selector (`up[60s]`) returns samples as they were scraped.
            at: The time; None for the server's own now.

        Raises:
            QueryError: No answer in time, or none that can be believed; names the field.
        """
        params = {"query": query} | ({} if at is None else {"time": _seconds(at)})
        return await self._numbers("/api/v1/query", params | _WHOLE)

    async def apart(self, query: str, *, label: str, at: TimeNs) -> Parted:
        """Return what a query says of several, told apart by one label; see `read_apart`.

        Raises:
            QueryError: See `instant`; or the answer is partial.
        """
        params = {"query": query, "time": _seconds(at)} | _WHOLE
        answer = await self._ask("/api/v1/query", list(params.items()))
        reader = partial(read_apart, label=label)
        found = await _read_aside(reader, self._where, answer.body, self._access)
        return replace(found, skew_s=_skew(answer.date, self._wall()))

    async def over(self, query: str, *, start: TimeNs, end: TimeNs, step_s: float) -> Answered:
        """Return what a query says at each step of a stretch of time, both ends included.

        Args:
            query: PromQL.
            start: The first step.
            end: The last step is at or before it.
            step_s: Seconds between two steps, above 0.

        Raises:
            QueryError: No answer in time, or none that can be believed; names the field.
            ValueError: The step or the stretch is not above 0.
        """
        if not 0.0 < step_s < math.inf or end < start:
            raise ValueError(f"need start <= end and a step above 0, got {start}..{end} {step_s}")
        params = {"query": query, "start": _seconds(start), "end": _seconds(end)}
        params |= {"step": f"{step_s:.3f}"}
        return await self._numbers("/api/v1/query_range", params | _WHOLE)

    async def names(
        self, selectors: Sequence[str] = (), *, since: TimeNs | None = None
    ) -> tuple[str, ...]:
        """Return the metric names that there are.

        Args:
            selectors: Only names of series that one of these selects; all if none.
            since: Only what was there since; None for the server's own choice.

        Raises:
            QueryError: No answer in time, or none that can be believed.
        """
        return await self.label_values("__name__", selectors, since=since)

    async def label_values(
        self, label: str, selectors: Sequence[str] = (), *, since: TimeNs | None = None
    ) -> tuple[str, ...]:
        """Return the values that a label has; see `names`.

        Args:
            label: The label's name.
            selectors: Only of series that one of these selects; all if none.
            since: Only of what was there since; None for the server's own choice.

        Raises:
            QueryError: No answer in time, or none that can be believed.
        """
        pairs = [("match[]", selector) for selector in selectors]
        pairs += [("start", _seconds(since))] if since is not None else []
        answer = await self._ask(f"/api/v1/label/{label}/values", pairs, always_get=True)
        return words(self._where, answer.body)

    async def close(self) -> None:
        """Release connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _numbers(self, path: str, params: Mapping[str, str]) -> Answered:
        answer = await self._ask(path, list(params.items()))
        found = await _read_aside(read, self._where, answer.body, self._access)
        return replace(found, skew_s=_skew(answer.date, self._wall()))

    async def _ask(
        self, path: str, params: list[tuple[str, str]], *, always_get: bool = False
    ) -> Answer:
        """Return an answer with status 200, after as many attempts as are allowed.

        Raises:
            QueryError: There is none.
        """
        deadline = self._access.timeout_s
        try:
            async with asyncio.timeout(deadline):
                answer = await self._attempts(path, params, always_get=always_get)
        except TimeoutError as error:
            raise self._unreachable(f"no answer within {deadline:g} s") from error
        self._budget = min(_BUDGET, self._budget + _REFUND)
        return answer

    async def _attempts(
        self, path: str, params: list[tuple[str, str]], *, always_get: bool
    ) -> Answer:
        attempt = 1
        while True:
            try:
                return await self._attempt(path, params, always_get=always_get)
            except _TryAgainError as failed:
                await self._wait(attempt, failed)
            attempt += 1

    async def _wait(self, attempt: int, failed: "_TryAgainError") -> None:
        """Wait before the next attempt, with full jitter and no shorter than the server asked.

        Raises:
            QueryError: There is none.
        """
        if attempt == self._access.attempts:
            raise self._unreachable(str(failed)) from failed
        if self._budget < 1.0:
            raise self._unreachable(f"{failed}; no retries left for now") from failed
        self._budget -= 1.0
        longest = _FIRST_PAUSE_S * 2.0 ** (attempt - 1)
        pause = random.uniform(0.0, longest)  # noqa: S311 - spreads load, no secret
        await self._sleep(max(failed.wait_s, pause))

    async def _attempt(
        self, path: str, params: list[tuple[str, str]], *, always_get: bool
    ) -> Answer:
        request = await self._request(path, params, always_get=always_get)
        client = await self._connected()
        try:
            answer = await fetch(
                client,
                request,
                timeout_s=self._access.timeout_s,
                max_bytes=self._access.max_bytes,
            )
        except RefusedError as refused:
            if refused.quality is Quality.UNREACHABLE:
                raise _TryAgainError(str(refused)) from refused
            raise QueryError(f"{self._where}: {refused}", quality=refused.quality) from refused
        return self._checked(answer)

    def _checked(self, answer: Answer) -> Answer:
        """Return an answer that is worth reading.

        Raises:
            QueryError: It is none.
            RefusedQueryError: The server will not answer it.
            _TryAgainError: It may be one a little later.
        """
        status, told = answer.status, error_words(answer.body)
        said = f"status {status}" + (f" ({told})" if told else "")
        if status in _RETRIED:
            raise _TryAgainError(said, wait_s=_retry_after(answer.retry_after))
        if httpx2.codes.is_redirect(status):
            raise self._unreachable(f"{said}: redirects are not followed; write the final address")
        if status != httpx2.codes.OK:
            why = _REFUSED_STATUS.get(status, "see its log")
            raise RefusedQueryError(f"{self._where}: {said}; {why}", quality=Quality.UNREACHABLE)
        if answer.content_type not in {"application/json", ""}:
            raise QueryError(
                f"{self._where}: the answer is {answer.content_type[:60]!r}, not JSON; url must be "
                "the base of a Prometheus API, such as http://HOST:9090",
                quality=Quality.ABSURD,
                field="content-type",
            )
        return answer

    async def _request(
        self, path: str, params: list[tuple[str, str]], *, always_get: bool
    ) -> httpx2.Request:
        parts = urlsplit(self._where)
        port = parts.port or PORTS[parts.scheme]
        host = (parts.hostname or "").rstrip(".").lower()
        address = await self._address(host, port)
        form = urlencode(params)
        short = always_get or len(form) <= _ADDRESS_MAX
        headers = {
            "host": parts.netloc,
            "accept": "application/json",
            "accept-encoding": "gzip",
            "user-agent": "homeostat",
            **authorization(self._access),
        }
        if not short:
            headers["content-type"] = "application/x-www-form-urlencoded"
        # Put together and never joined: a path that begins with two slashes names another host.
        target = httpx2.URL(
            scheme=parts.scheme,
            host=address,
            port=port,
            path=parts.path.rstrip("/") + path,
            query=form.encode() if short else None,
        )
        return httpx2.Request(
            "GET" if short else "POST",
            target,
            headers=headers,
            content=None if short else form.encode(),
            extensions={"sni_hostname": host},
        )

    async def _address(self, host: str, port: int) -> str:
        """Resolve, judge every answer, and return the one to connect to.

        Raises:
            QueryError: One of them may not be connected to.
            _TryAgainError: There is no address at the moment.
        """
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise _TryAgainError(f"{host} does not resolve: {error}") from error
        if not addresses:
            raise _TryAgainError(f"{host} has no address")
        reach = self._access.reach
        for address in addresses:
            why = refusal(address, allowed=reach != "public")
            if not why and reach == "private" and not refusal(address, allowed=False):
                why = f"{address} is a public address"
            if why:
                raise self._unreachable(
                    f"{host} is refused: {why}, and reach is {reach!r}; change reach if it is "
                    "meant (metadata addresses are never allowed)"
                )
        return addresses[0]

    async def _connected(self) -> httpx2.AsyncClient:
        """Return the client; a new one when the file of trusted certificates changed.

        Raises:
            QueryError: The file cannot be used.
        """
        trusted = self._trusted_now()
        if self._client is None or trusted != self._trusted:
            await self.close()
            self._client = _guard.new_client(verify=self._tls(), keep_alive=True)
            self._trusted = trusted
        return self._client

    def _trusted_now(self) -> object:
        if self._access.ca_file is None:
            return None
        try:
            found = self._access.ca_file.stat()
        except OSError as error:
            raise self._bad_ca(error.strerror or "cannot be read") from error
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _tls(self) -> ssl.SSLContext:
        if self._access.ca_file is None:
            return shared_tls()
        try:
            return ssl.create_default_context(cafile=self._access.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise self._bad_ca(str(error)[:100]) from error

    def _bad_ca(self, problem: str) -> QueryError:
        return self._unreachable(
            f"ca_file {self._access.ca_file}: {problem}; name a file of PEM certificates"
        )

    def _unreachable(self, said: str) -> QueryError:
        return QueryError(f"{self._where}: {said}", quality=Quality.UNREACHABLE)


class _TryAgainError(Exception):
    """An attempt failed in a way that may pass; carries how long the server asked to wait."""

    def __init__(self, said: str, *, wait_s: float = 0.0) -> None:
        super().__init__(said)
        self.wait_s = wait_s


# Bodies above this are read in a thread: the loop has others to serve.
_THREAD_BYTES: Final = 256 * 1024
_Found = TypeVar("_Found", Answered, Parted)


async def _read_aside(
    reader: Callable[..., _Found], where: str, body: bytes, access: Access
) -> _Found:
    most = {"most_series": access.max_series, "most_samples": access.max_samples}
    if len(body) > _THREAD_BYTES:
        return await asyncio.to_thread(reader, where, body, **most)
    return reader(where, body, **most)


def _seconds(at: TimeNs) -> str:
    return f"{at / SECOND:.3f}"  # what Prometheus keeps: milliseconds


def _skew(date: str, wall_s: float) -> float:
    """Return the server's clock minus ours in seconds, NaN where it did not say."""
    try:
        said = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return math.nan
    return said + 0.5 - wall_s  # whole seconds, cut off: half a second is the middle


def _retry_after(said: str) -> float:
    """Return the seconds a server asked for, 0 if it gave none or a date."""
    return float(said[:_DIGITS_MAX]) if said.isascii() and said.isdecimal() else 0.0
