"""Signed requests to somebody else's server: where they may go, and how both sides know them.

The signature is HMAC-SHA256 over `timestamp.body`, for a GET over `timestamp.path`. An address is
judged after resolving (`_address`), and the judged one is connected to; nothing is followed. Plain
http goes only to hosts that the operator listed: what such an answer says, anybody on the way may
have said.
"""

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2

from homeostat.adapters import _guard
from homeostat.adapters._address import refusal
from homeostat.adapters._guard import PORTS, Resolve, plain_url

__all__ = [
    "PORTS",
    "SECRET_MIN",
    "NotAllowedError",
    "NotSentError",
    "Resolve",
    "answered",
    "new_client",
    "path_of",
    "plain_url",
    "request",
    "resolved",
    "secret_in",
    "sign",
]

SECRET_MIN: Final = 16  # bytes; 128 bits of secret
_SECRET_MAX: Final = 16 * 1024
_ANSWER_MAX: Final = 1 << 20


class NotSentError(Exception):
    """Nothing was sent: the address, the secret or the connection is not to be had."""


class NotAllowedError(NotSentError):
    """Nothing was sent, and nothing may be until somebody changes the configuration."""


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the signature header: `v1=` and the HMAC-SHA256 of `timestamp.body`, hex.

    >>> sign(b"k" * 16, "1", b"{}")[:11]
    'v1=f1769982'
    """
    digest = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


def secret_in(path: Path) -> bytes:
    """Return a signing secret; read each time, so that it can be rotated.

    Raises:
        NotSentError: It cannot be read, or is too short.
    """
    try:
        with path.open("rb") as file:
            secret = file.read(_SECRET_MAX + 1).strip()
    except OSError as error:
        raise NotSentError(f"the secret {path} cannot be read: {error.strerror}") from error
    if not SECRET_MIN <= len(secret) <= _SECRET_MAX:
        raise NotSentError(
            f"the secret in {path} has {len(secret)} bytes; put at least {SECRET_MIN} random ones"
        )
    return secret


def new_client() -> httpx2.AsyncClient:
    """Return a client that follows nothing and keeps no connection: a kept one skips the check."""
    return _guard.new_client()


async def request(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    allow: tuple[str, ...],
    resolve: Resolve,
) -> httpx2.Request:
    """Return a request to the checked address.

    Raises:
        NotAllowedError: It is one that nothing may be sent to.
        NotSentError: It has no address.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    port = parts.port or PORTS[parts.scheme]
    address = await _checked(parts.scheme, host, port, allow, resolve)
    return client.build_request(
        method,
        _guard.url_at(url, address),
        content=body,
        headers={
            "host": parts.netloc,
            "user-agent": "homeostat",
            "accept-encoding": "identity",  # what is packed may unpack to anything
            **headers,
        },
        extensions={"sni_hostname": host},
    )


def path_of(url: str) -> str:
    """Return what of an address is said to the server.

    >>> path_of("https://deploy.example/state?of=chat")
    '/state?of=chat'
    """
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


async def answered(client: httpx2.AsyncClient, sent: httpx2.Request) -> tuple[int, bytes]:
    """Send a request; return the status and the body.

    Raises:
        httpx2.ConnectError: Nothing was sent.
        httpx2.HTTPError: The answer was lost.
        ValueError: There is more of it than anybody reads.
    """
    response = await client.send(sent, stream=True)
    body = bytearray()
    try:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise ValueError("a packed answer, which was not asked for")
        async for chunk in response.aiter_raw(65_536):
            body += chunk
            if len(body) > _ANSWER_MAX:
                raise ValueError(f"an answer of more than {_ANSWER_MAX} bytes")
    finally:
        await response.aclose()
    return response.status_code, bytes(body)


async def resolved(host: str, port: int) -> list[str]:
    """Return a host's addresses.

    Raises:
        NotSentError: It has none.
    """
    try:
        return await _guard.resolved(host, port)
    except (OSError, UnicodeError) as error:
        raise NotSentError(f"{host} does not resolve: {error}") from error


async def _checked(
    scheme: str, host: str, port: int, allow: tuple[str, ...], resolve: Resolve
) -> str:
    listed = f"{host}:{port}" in allow
    remedy = f"put {host}:{port} into `allow` if it is meant"
    if scheme != "https" and not listed:
        raise NotAllowedError(f"{scheme}://{host} is not encrypted; write https, or {remedy}")
    if port != PORTS[scheme] and not listed:
        raise NotAllowedError(f"port {port} is not allowed; {remedy}")
    addresses = await resolve(host, port)
    if not addresses:
        raise NotSentError(f"{host} has no address")
    for address in addresses:
        if why := refusal(address, allowed=listed):
            raise NotAllowedError(
                f"{host} is refused: {why}; {remedy} (metadata addresses are never allowed)"
            )
    return addresses[0]
