"""Tells another system over HTTP: one signed CloudEvent a notice.

CloudEvents 1.0, structured JSON, type `dev.homeostat.decision.v1`. The same notice always has the
same id and `Idempotency-Key`, so that a repeated delivery is recognised; the receiver must drop
what it has seen. The signature is HMAC-SHA256 over `timestamp.body`; reject old timestamps.
Delivery is at least once while the deadline lasts; then it is an error for the caller to count.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from pydantic import BaseModel, ConfigDict, Field, field_validator

from homeostat.adapters import _signed
from homeostat.adapters._signed import NotAllowedError, NotSentError
from homeostat.adapters.notify._event import event
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.errors import NotifierError
from homeostat.base.part import Part

_ANSWER_MAX: Final = 64 * 1024
_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
# Retries over all notices: each costs one, each delivery gives back a tenth (as gRPC throttles).
_BUDGET: Final = 10.0
_REFUND: Final = 0.1
_WAIT_MAX: Final = 3600.0  # seconds a server may ask for; the deadline ends it earlier anyway
_DIGITS_MAX: Final = 10
_URGENCY: Final = (Urgency.INFO, Urgency.ASK, Urgency.PAGE)


class WebhookSettings(BaseModel):
    """Settings of one webhook."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="Where to POST, http(s)://HOST[:PORT]/PATH.")
    secret_file: Path = Field(description="File with the signing secret, at least 16 bytes.")
    allow: tuple[str, ...] = Field(
        default=(), description="HOST:PORT that may be private, without TLS or on another port."
    )
    least: Urgency = Field(default=Urgency.ASK, description="Send nothing less urgent than this.")
    timeout_s: float = Field(default=5.0, gt=0, le=60, description="Deadline of one attempt.")
    deadline_s: float = Field(default=30.0, gt=0, le=600, description="Deadline of a delivery.")
    attempts: int = Field(default=4, ge=1, le=10, description="Most attempts of a delivery.")
    backoff_s: float = Field(
        default=0.5, gt=0, le=60, description="First pause; doubles, jittered."
    )

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        return _signed.plain_url(url)


class _TryAgainError(Exception):
    """An attempt failed in a way that may pass; carries how long the server asked to wait."""

    def __init__(self, said: str, *, wait_s: float = 0.0) -> None:
        super().__init__(said)
        self.wait_s = wait_s


class Webhook:
    """See `homeostat.base.ports.Notifier`."""

    def __init__(
        self,
        settings: WebhookSettings,
        *,
        resolve: _signed.Resolve = _signed.resolved,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._resolve = resolve
        self._sleep, self._wall = sleep, wall
        self._netloc = urlsplit(settings.url).netloc
        self._budget = _BUDGET
        self._client: httpx2.AsyncClient | None = None
        _secret(settings.secret_file)  # fail when it is built, not at the first incident

    async def notify(self, notice: Notice) -> None:
        """Deliver one notice.

        Raises:
            NotifierError: It was not delivered within the attempts, the budget and the deadline.
        """
        if _URGENCY.index(notice.urgency) < _URGENCY.index(self._settings.least):
            return
        event_id, body = event(notice)
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                await self._deliver(event_id, body)
        except TimeoutError as error:
            raise NotifierError(
                f"{self._netloc} took no notice within {self._settings.deadline_s:g} s"
            ) from error
        self._budget = min(_BUDGET, self._budget + _REFUND)

    async def close(self) -> None:
        """Release connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _deliver(self, event_id: str, body: bytes) -> None:
        for attempt in range(1, self._settings.attempts + 1):
            try:
                await self._attempt(event_id, body)
            except _TryAgainError as failed:
                if attempt == self._settings.attempts:
                    raise NotifierError(f"{self._netloc}: {failed}") from failed
                if self._budget < 1.0:
                    raise NotifierError(
                        f"{self._netloc}: {failed}; no retries left for now"
                    ) from failed
                self._budget -= 1.0
                await self._sleep(self._pause(attempt, failed.wait_s))
            else:
                return

    def _pause(self, attempt: int, asked_s: float) -> float:
        """Return a pause with full jitter, no shorter than the server asked for."""
        longest = self._settings.backoff_s * 2.0 ** (attempt - 1)
        return max(asked_s, random.uniform(0.0, longest))  # noqa: S311 - spreads load, no secret

    async def _attempt(self, event_id: str, body: bytes) -> None:
        settings = self._settings
        try:
            async with asyncio.timeout(settings.timeout_s):
                status, wait_s = await self._post(event_id, body)
        except TimeoutError as error:
            raise _TryAgainError(f"no answer within {settings.timeout_s:g} s") from error
        except NotAllowedError as error:
            raise NotifierError(f"{self._netloc}: {error}") from error
        except (NotSentError, httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            raise _TryAgainError(str(error)[:200] or type(error).__name__) from error
        if status in _RETRIED:
            raise _TryAgainError(f"status {status}", wait_s=wait_s)
        if not httpx2.codes.is_success(status):
            raise NotifierError(f"{self._netloc} refused the notice with status {status}")

    async def _post(self, event_id: str, body: bytes) -> tuple[int, float]:
        """POST to the judged address; return the status and how long to wait before a retry."""
        settings = self._settings
        self._client = self._client or _signed.new_client()
        stamp = str(int(self._wall()))
        request = await _signed.request(
            self._client,
            "POST",
            settings.url,
            body=body,
            headers={
                "content-type": "application/cloudevents+json; charset=utf-8",
                "idempotency-key": event_id,
                "x-homeostat-timestamp": stamp,
                "x-homeostat-signature": _signed.sign(_secret(settings.secret_file), stamp, body),
            },
            allow=settings.allow,
            resolve=self._resolve,
        )
        response = await self._client.send(request, stream=True)
        try:
            await _drain(response)
        finally:
            await response.aclose()
        return response.status_code, _retry_after(response.headers.get("retry-after"))


def _secret(path: Path) -> bytes:
    """Return the signing secret; read each time, so that it can be rotated.

    Raises:
        NotifierError: It cannot be read, or is too short.
    """
    try:
        return _signed.secret_in(path)
    except NotSentError as error:
        raise NotifierError(str(error)) from error


async def _drain(response: httpx2.Response) -> None:
    """Read the answer, of which nothing is used, up to a limit."""
    received = 0
    async for chunk in response.aiter_raw():
        received += len(chunk)
        if received > _ANSWER_MAX:
            return


def _retry_after(header: str | None) -> float:
    """Return the seconds a server asked for, 0 if it gave none or a date."""
    if header is None or not header.isdecimal():
        return 0.0
    return min(float(header[:_DIGITS_MAX]), _WAIT_MAX)


def build(settings: WebhookSettings, **outside: Any) -> Webhook:
    """Return a webhook notifier.

    Args:
        settings: See `WebhookSettings`.
        outside: `resolve`, `sleep` and `wall` of `Webhook`, for tests.

    Raises:
        NotifierError: The secret cannot be used.
    """
    return Webhook(settings, **outside)


PART = Part(
    kind="notifier",
    name="webhook",
    summary="POSTs a signed CloudEvent a notice.",
    config=WebhookSettings,
    build=build,
)
