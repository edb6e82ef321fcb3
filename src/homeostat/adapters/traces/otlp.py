"""Sends spans to an OpenTelemetry collector: OTLP, protobuf over HTTP.

OpenTelemetry's own values and encoder make the message; it travels as everything of ours does: to
the address that was judged, nothing followed, no proxies or secrets from the environment, answers
bounded. Needs the extra `otel`; nobody imports this module who does not send spans.
Source: opentelemetry.io/docs/specs/otlp, "OTLP/HTTP" (statuses that may be tried again).
"""

import asyncio
import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import httpx2
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from homeostat.adapters._guard import kept_secret, new_client
from homeostat.adapters._signed import (
    PORTS,
    NotSentError,
    Resolve,
    answered,
    plain_url,
    request,
    resolved,
)
from homeostat.base.errors import TracesError
from homeostat.base.spans import Span

_TRIED_AGAIN: Final = frozenset({429, 502, 503, 504})
_OK: Final = 200
_TOKEN_MAX: Final = 16 * 1024
_PRINTABLE: Final = re.compile(rb"[\x21-\x7e]+")
_PROTOBUF: Final = "application/x-protobuf"


class OtlpSettings(BaseModel):
    """Where spans go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="The whole address, http(s)://HOST:PORT/v1/traces.")
    token_file: Path | None = Field(default=None, description="Holds a bearer token.")
    ca_file: Path | None = Field(default=None, description="Certificates to trust.")
    timeout_s: float = Field(default=5.0, gt=0, le=60, description="Deadline of one batch.")

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        return plain_url(url)

    @model_validator(mode="after")
    def _keeps_the_token(self) -> Self:
        kept_secret(self.url, self.token_file)
        return self


class Otlp:
    """One collector.

    Args:
        settings: Where it is.
        version: Ours.
        instance: Which controller sends, unique to its process.
        resolve: Host and port to numeric addresses.

    Raises:
        OSError: The file of certificates cannot be read, or holds none.
        NotSentError: The file of the token cannot be read, or holds none.
    """

    def __init__(
        self, settings: OtlpSettings, *, version: str, instance: str, resolve: Resolve = resolved
    ) -> None:
        self._settings, self._resolve = settings, resolve
        parts = urlsplit(settings.url)
        # Whoever wrote the address means that host, private and unencrypted as it may be.
        self._allow = (f"{(parts.hostname or '').lower()}:{parts.port or PORTS[parts.scheme]}",)
        self._resource = Resource({
            "service.name": "homeostat",
            "service.version": version,
            "service.instance.id": instance,
        })
        self._scope = InstrumentationScope("homeostat", version)
        self._tls = ssl.create_default_context(cafile=settings.ca_file)
        self._client: httpx2.AsyncClient | None = None
        if settings.token_file is not None:
            _token(settings.token_file)  # fail when it is built, not at the first decision

    async def send(self, spans: Sequence[Span]) -> int:
        """Deliver a batch; return how many of it were taken.

        Raises:
            TracesError: None of it was, as far as anybody knows.
        """
        url = self._settings.url
        body = await asyncio.to_thread(self.encoded, spans)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                status, answer = await self._post(body)
        except TimeoutError as error:
            said = f"{url}: no answer within {self._settings.timeout_s:g} s"
            raise TracesError(said, wait_s=0.0) from error
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            said = f"{url}: {str(error)[:200] or type(error).__name__}"
            raise TracesError(said, wait_s=0.0) from error
        except (NotSentError, ValueError) as error:
            raise TracesError(f"{url}: {error}") from error
        if status != _OK:
            wait_s = 0.0 if status in _TRIED_AGAIN else None
            raise TracesError(f"{url}: status {status}", wait_s=wait_s)
        return max(0, len(spans) - _rejected(answer))

    def encoded(self, spans: Sequence[Span]) -> bytes:
        """Return a batch as an `ExportTraceServiceRequest`."""
        found: bytes = encode_spans([self._readable(span) for span in spans]).SerializeToString()
        return found

    async def close(self) -> None:
        """Release connections; may be called again."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        self._client = self._client or new_client(verify=self._tls)
        headers = {"content-type": _PROTOBUF}
        if self._settings.token_file is not None:
            headers["authorization"] = f"Bearer {_token(self._settings.token_file)}"
        asked = await request(
            self._client,
            "POST",
            self._settings.url,
            body=body,
            headers=headers,
            allow=self._allow,
            resolve=self._resolve,
        )
        return await answered(self._client, asked)

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            span.name,
            context=_context(span.trace, span.id),
            parent=None if span.parent is None else _context(span.trace, span.parent),
            resource=self._resource,
            attributes=dict(span.attributes),
            kind=SpanKind.CLIENT if span.outward else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self._scope,
        )


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _rejected(answer: bytes) -> int:
    """Return how many spans a collector says it did not take; an answer that says nothing: none."""
    try:
        found = ExportTraceServiceResponse.FromString(answer)
    except DecodeError:
        return 0
    return max(0, int(found.partial_success.rejected_spans))


def _token(file: Path) -> str:
    """Return a token; read each time, so that it can be rotated.

    Raises:
        NotSentError: It cannot be read, or could not be sent in a header.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(_TOKEN_MAX + 1).strip()
    except OSError as error:
        raise NotSentError(f"the token {file} cannot be read: {error.strerror}") from error
    if not 0 < len(raw) <= _TOKEN_MAX or not _PRINTABLE.fullmatch(raw):
        raise NotSentError(f"{file} holds no token; write the token, and nothing else, into it")
    return raw.decode("ascii")
