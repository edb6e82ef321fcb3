"""One bounded GET or POST: everything an outside server sends has a limit.

Plain HTTP client work for sources: a deadline over the whole exchange (a slow trickle ends too),
caps on sent and on DECOMPRESSED bytes (so that a compression bomb is cut, not unpacked), no
redirects, no proxies from the environment, and only the encodings that can be cut.
"""

import asyncio
import zlib
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import httpx2
from pydantic import AfterValidator

from homeostat.adapters import _guard
from homeostat.base.evidence import Quality

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS  # window bits: recognise either header by itself


def _http_url(url: str) -> str:
    """Return the address if it is a plain http(s) one.

    Raises:
        ValueError: It is not, or it carries a user name.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url!r} is not an address; write http://HOST:PORT/PATH or https://...")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{parts.hostname!r}: take the user name and password out of the address")
    _ = parts.port  # raises ValueError when it is not a number up to 65535
    return url


HttpUrl = Annotated[str, AfterValidator(_http_url)]


class RefusedError(Exception):
    """An answer that may not be used; carries the quality to report.

    Attributes:
        quality: UNREACHABLE, ABSURD or MISSING.
    """

    def __init__(self, quality: Quality, detail: str) -> None:
        super().__init__(detail)
        self.quality = quality


class AbsurdError(RefusedError):
    """An answer that came, and cannot be believed."""

    def __init__(self, detail: str) -> None:
        super().__init__(Quality.ABSURD, detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer within all limits.

    Attributes:
        status: HTTP status code.
        content_type: Lower case, without parameters; empty if there was none.
        body: Decompressed.
        date: The server's own time as it wrote it; empty if it did not.
        retry_after: How long it asks to be left alone, as it wrote it; empty if it did not.
    """

    status: int
    content_type: str
    body: bytes
    date: str = ""
    retry_after: str = ""


def new_client(*, keep_alive: bool) -> httpx2.AsyncClient:
    """Return a client that follows nothing; `fetch` puts one deadline over the whole exchange."""
    return _guard.new_client(keep_alive=keep_alive)


async def fetch(
    client: httpx2.AsyncClient,
    request: httpx2.Request,
    *,
    timeout_s: float,
    max_bytes: int,
) -> Answer:
    """Send one request and read its answer within all limits.

    Args:
        client: From `new_client`.
        request: Built by that client.
        timeout_s: Deadline of the whole exchange, in seconds.
        max_bytes: Largest answer, compressed and decompressed.

    Raises:
        RefusedError: No answer in time (UNREACHABLE), or more of it than allowed (ABSURD).
    """
    try:
        async with asyncio.timeout(timeout_s):
            response = await client.send(request, stream=True)
            try:
                body = await _read(response, max_bytes)
            finally:
                await response.aclose()
    except TimeoutError as error:
        raise RefusedError(Quality.UNREACHABLE, f"no answer within {timeout_s:g} s") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise RefusedError(Quality.UNREACHABLE, f"no answer: {reason[:200]}") from error
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Answer(
        status=response.status_code,
        content_type=media,
        body=body,
        date=response.headers.get("date", ""),
        retry_after=response.headers.get("retry-after", ""),
    )


async def _read(response: httpx2.Response, max_bytes: int) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip", "deflate"}:
        raise AbsurdError(f"content encoding {encoding[:40]!r} was not asked for")
    unpack = None if encoding in {"identity", ""} else zlib.decompressobj(_GZIP_OR_ZLIB)
    body = bytearray()
    received = 0
    async for chunk in response.aiter_raw():
        received += len(chunk)
        room = max_bytes + 1 - len(body)
        try:
            body += chunk if unpack is None else unpack.decompress(chunk, room)
        except zlib.error as error:
            raise AbsurdError(f"broken {encoding} body: {error}") from error
        if received > max_bytes or len(body) > max_bytes:
            raise AbsurdError(f"more than {max_bytes} bytes; refused whole")
    if unpack is not None and not unpack.eof:
        raise AbsurdError(f"{encoding} body ends early")
    if unpack is not None and unpack.unused_data:
        raise AbsurdError(f"{encoding} body has a tail")
    return bytes(body)
