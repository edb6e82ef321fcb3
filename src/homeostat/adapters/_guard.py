"""The one way out: every HTTP client of an adapter judges where it connects, at each connection.

A host is resolved here, every address of it is judged (`_address`), and one that was judged is
connected to, under the host's own name (Host and SNI). Private addresses are fine: model servers,
API servers and proxies live there. Metadata and link-local ones never are. Who is stricter
(`_signed`, `sources.prometheus_api`) judges by its own list before it asks; this comes on top.
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import httpx2
from pydantic import AfterValidator
from typing_extensions import override

from homeostat.adapters._address import refusal

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to numeric addresses, best first."""

PORTS: Final = {"http": 80, "https": 443}
_TRIED: Final = 4  # addresses of a host; whoever is at none of these is away
_LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")


class NotReachedError(httpx2.ConnectError):
    """Nothing was sent: the host has no address, or one that nothing may be sent to."""


def plain_url(url: str) -> str:
    """Return an address if it is one that can be sent to.

    Raises:
        ValueError: It is not; the message says what to write.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not an address; write https://HOST/PATH")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("take user name, password and fragment out of the address")
    if "\\" in url or not url.isprintable() or " " in url:
        raise ValueError(f"{url!r} has characters that no address has")
    _ = parts.port  # raises ValueError when it is not a number up to 65535
    return url


def base_url(url: str) -> str:
    """Return an address that paths can be put behind: behind a query they would be its value.

    Raises:
        ValueError: It is none.

    >>> base_url("https://kubernetes.default.svc")
    'https://kubernetes.default.svc'
    """
    if "?" in plain_url(url) or "#" in url:
        raise ValueError(f"{url!r}: take what follows ? or # out of the address")
    return url


BaseUrl = Annotated[str, AfterValidator(base_url)]


def kept_secret(url: str, *files: Path | str | None) -> None:
    """Refuse to say a secret where anybody on the way may hear it.

    Args:
        url: Where it is said.
        files: The files that hold one; None for no file.

    Raises:
        ValueError: There is one, and the address is neither https nor this machine.

    >>> kept_secret("http://127.0.0.1:9090", "token")
    >>> kept_secret("http://prometheus:9090", None)
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or not any(file is not None for file in files):
        return
    if not _LOOPBACK.fullmatch(parts.hostname or ""):
        raise ValueError(
            f"a token or password to {parts.hostname} needs https; anybody could read it on the way"
        )


def url_at(url: str, address: str) -> httpx2.URL:
    """Return what an address means at one numeric address of its host.

    Put together and never joined: a path that begins with two slashes names another host.

    >>> str(url_at("https://deploy.example//other.example/x?a=1", "192.0.2.1"))
    'https://192.0.2.1//other.example/x?a=1'
    """
    parts = urlsplit(url)
    return httpx2.URL(
        scheme=parts.scheme,
        host=address,
        port=parts.port or PORTS[parts.scheme],
        path=parts.path or "/",
        query=parts.query.encode() if parts.query else None,
    )


@cache
def shared_tls() -> ssl.SSLContext:
    """Return the process's one TLS context; making one costs milliseconds, clients are many."""
    return ssl.create_default_context()


async def resolved(host: str, port: int) -> list[str]:
    """Return a host's addresses.

    Raises:
        OSError: It has none.
        UnicodeError: It is no name.
    """
    try:
        return [str(ipaddress.ip_address(host))]  # without a thread, which costs more than the rest
    except ValueError:
        pass  # a name, or another spelling of a number: the resolver says which
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return _numeric(found)


def new_client(
    *,
    verify: ssl.SSLContext | None = None,
    keep_alive: bool = False,
    resolve: Resolve = resolved,
) -> httpx2.AsyncClient:
    """Return a client that judges, follows nothing, and trusts nothing from the environment.

    Its caller puts one deadline over resolving, connecting and answering.

    Args:
        verify: Whom it trusts; None for whom the system trusts.
        keep_alive: Connections are used again. Not for writes: on one that the server closed
            meanwhile, a write that was lost could not be told from one that landed.
        resolve: Host and port to numeric addresses, best first.
    """
    transport = Guarded(verify=verify or shared_tls(), keep_alive=keep_alive, resolve=resolve)
    return httpx2.AsyncClient(
        transport=transport, follow_redirects=False, trust_env=False, timeout=None
    )


def new_blocking_client(*, verify: ssl.SSLContext, timeout_s: float) -> httpx2.Client:
    """Return the same for threads, without connections that are used again.

    Args:
        verify: Whom it trusts.
        timeout_s: Longest wait for each step of a request. Seconds.
    """
    return httpx2.Client(
        transport=GuardedBlocking(verify=verify),
        follow_redirects=False,
        trust_env=False,
        timeout=timeout_s,
    )


class Guarded(httpx2.AsyncBaseTransport):
    """Connects to judged addresses alone; see the module."""

    def __init__(
        self, *, verify: ssl.SSLContext, keep_alive: bool, resolve: Resolve = resolved
    ) -> None:
        self._verify, self._keep_alive, self._resolve = verify, keep_alive, resolve
        self._inner: dict[str, httpx2.AsyncHTTPTransport] = {}

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to an address of its host that may be connected to.

        Raises:
            NotReachedError: There is none; nothing was sent.
        """
        host, port = _named(request.url)
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise NotReachedError(f"{host} does not resolve: {error}") from error
        *others, last = _judged(host, found)
        inner = self._pool(request)
        for address in others:
            try:
                return await inner.handle_async_request(_sent_to(request, host, address))
            except httpx2.ConnectError:
                continue  # nothing was sent; the host has another address
        return await inner.handle_async_request(_sent_to(request, host, last))

    @override
    async def aclose(self) -> None:
        """Release connections."""
        for inner in self._inner.values():
            await inner.aclose()

    def _pool(self, request: httpx2.Request) -> httpx2.AsyncHTTPTransport:
        """Return the connections that may be used: of those that are kept, one TLS name's alone.

        They are known by address, and two hosts at one address show a certificate each.
        """
        kept = self._keep_alive and request.url.scheme == "https"
        key = str(request.extensions.get("sni_hostname", request.url.host)) if kept else ""
        if key not in self._inner:
            self._inner[key] = httpx2.AsyncHTTPTransport(
                verify=self._verify, trust_env=False, limits=_limits(keep_alive=self._keep_alive)
            )
        return self._inner[key]


class GuardedBlocking(httpx2.BaseTransport):
    """The same for threads."""

    def __init__(self, *, verify: ssl.SSLContext) -> None:
        limits = _limits(keep_alive=False)
        self._inner = httpx2.HTTPTransport(verify=verify, trust_env=False, limits=limits)

    @override
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to an address of its host that may be connected to.

        Raises:
            NotReachedError: There is none; nothing was sent.
        """
        host, port = _named(request.url)
        try:
            found = _numeric(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            raise NotReachedError(f"{host} does not resolve: {error}") from error
        *others, last = _judged(host, found)
        for address in others:
            try:
                return self._inner.handle_request(_sent_to(request, host, address))
            except httpx2.ConnectError:
                continue  # nothing was sent; the host has another address
        return self._inner.handle_request(_sent_to(request, host, last))

    @override
    def close(self) -> None:
        """Release connections."""
        self._inner.close()


def _limits(*, keep_alive: bool) -> httpx2.Limits:
    return httpx2.Limits(max_keepalive_connections=None if keep_alive else 0)


def _named(url: httpx2.URL) -> tuple[str, int]:
    host = url.raw_host.decode("ascii").strip("[]").rstrip(".").lower()
    if url.scheme not in PORTS or not host:
        raise NotReachedError(f"{str(url)[:200]!r} is not an address; write https://HOST/PATH")
    return host, url.port or PORTS[url.scheme]


def _judged(host: str, addresses: Sequence[str]) -> Sequence[str]:
    """Return the addresses to try.

    Raises:
        NotReachedError: There is none, or one of all of them may not be connected to.
    """
    for address in addresses:
        if why := refusal(address, allowed=True):
            raise NotReachedError(f"{host} is refused: {why}")
    if not addresses:
        raise NotReachedError(f"{host} has no address")
    return addresses[:_TRIED]


def _sent_to(request: httpx2.Request, host: str, address: str) -> httpx2.Request:
    # Whoever judged before has put the address into the URL, and the name beside it.
    name = request.extensions.get("sni_hostname", host)
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": name},
    )


def _numeric(found: Sequence[tuple[object, ...]]) -> list[str]:
    """Return the addresses of a resolver's answer, each once.

    >>> _numeric([(2, 1, 6, "", ("192.0.2.1", 80)), (2, 1, 6, "", ("192.0.2.1", 80))])
    ['192.0.2.1']
    """
    places = [one[-1] for one in found]
    return list(dict.fromkeys(str(place[0]) for place in places if isinstance(place, tuple)))
