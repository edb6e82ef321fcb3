"""What every request passes before any route sees it: host, origin, token, role, size, rate.

Deny by default: every method but GET and HEAD needs a bearer token of a role that `roles` names,
also on paths that do not exist. There are no cookies, so a browser can add no credentials by
itself; Origin and Host are checked all the same (cross-site requests, DNS rebinding).
"""

import asyncio
import hmac
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homeostat.base.types import TimeNs
from homeostat.base.units import SECOND
from homeostat.server.api import roles
from homeostat.server.api.doors import ALERTS_PATH, BySignature, ByToken
from homeostat.server.api.problems import respond
from homeostat.server.people import OWNER, Principal, digest
from homeostat.server.people_file import People

BODY_MAX: Final = 64 * 1024
LABELS_MAX: Final = 1024 * 1024
ALERTS_MAX: Final = 256 * 1024
BODY_SECONDS: Final = 10.0
"""A body that takes longer to arrive is refused (slow senders hold no memory)."""

LABELS_PATH: Final = "/v1/labels"
FREEZE_PATH: Final = "/v1/freeze"
_LIMITS: Final = {LABELS_PATH: LABELS_MAX, ALERTS_PATH: ALERTS_MAX}
_RATES: Final = {
    "": (5.0, 30.0),  # a second, at once: people and scripts of theirs
    "labels": (50.0, 200.0),  # batches from a model server
    "approve": (0.5, 10.0),  # whoever says yes faster than that has read nothing
    "slack": (0.5, 10.0),  # the same
}
WHO: Final = "principal"
"""Where a route finds who asks: `request.state.principal`; None for anonymous reading."""


class TokenBucket:
    """At most `burst` at once and `rate` a second."""

    __slots__ = ("_at", "_left", "burst", "rate")

    def __init__(self, *, rate: float, burst: float, now: TimeNs) -> None:
        self.rate, self.burst = rate, burst
        self._left, self._at = burst, now

    def take(self, now: TimeNs) -> bool:
        """Take one, if there is one; a clock that went back refills nothing."""
        passed = max(0, now - self._at) / SECOND
        self._left, self._at = min(self.burst, self._left + passed * self.rate), now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the gate lets through.

    Attributes:
        token_digest: SHA-256 of the shared bearer token, which is an admin's.
        people: Everybody with a token of their own.
        origins: Origins that pages may send changes from, `scheme://host[:port]`.
        hosts: Host names that requests may be for; IP addresses always may.
        read_only: Refuse every change.
        clock: The controller's clock.
        by_token: Who a token is that opens one path and nothing else, by that path.
        by_signature: Who signed a request, by path; nothing but a signature opens these.
    """

    token_digest: bytes
    people: People
    origins: frozenset[str]
    hosts: frozenset[str]
    read_only: bool
    clock: Callable[[], TimeNs]
    by_token: Mapping[str, ByToken] = field(default_factory=dict)
    by_signature: Mapping[str, BySignature] = field(default_factory=dict)


class Gate:
    """Refuses what may not reach a route."""

    def __init__(self, app: ASGIApp, *, rules: Rules) -> None:
        self._app, self._rules = app, rules
        self._buckets: dict[tuple[str, str], TokenBucket] = {}  # by token: no one uses up another's
        self._failures = TokenBucket(rate=1.0, burst=20.0, now=rules.clock())  # wrong ones, all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a problem, or pass the request on."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._host(headers)
        if refusal is None and scope["method"] in {"GET", "HEAD"}:
            refusal = self._read(scope, headers)
        elif refusal is None and scope["path"] in self._rules.by_signature:
            refusal, receive = await self._signed(scope, headers, receive)
        elif refusal is None:
            refusal = self._change(scope, headers)
            if refusal is None:
                body = await _body(receive, _LIMITS.get(scope["path"], BODY_MAX))
                refusal = body if isinstance(body, Response) else None
                receive = receive if isinstance(body, Response) else _again(body, receive)
        await (refusal or self._app)(scope, receive, send)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # there are none here
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)

    def _host(self, headers: Headers) -> Response | None:
        host = _hostname(headers.get("host", ""))
        if host in self._rules.hosts or _is_address(host):
            return None
        return respond(
            421,
            f"this server does not answer for host {host!r}",
            "open it by its address, for example through a tunnel (ssh -L)",
        )

    async def _signed(
        self, scope: Scope, headers: Headers, receive: Receive
    ) -> tuple[Response | None, Receive]:
        """Let a signed request through, with its body: the signature is over all of it."""
        refusal = self._foreign(headers)
        body = await _body(receive, BODY_MAX) if refusal is None else refusal
        if isinstance(body, Response):
            return body, receive
        who = self._rules.by_signature[scope["path"]](headers, body)
        if who is None:
            return self._unknown(), receive
        scope.setdefault("state", {})[WHO] = who
        return self._allowed(scope, who), _again(body, receive)

    def _change(self, scope: Scope, headers: Headers) -> Response | None:
        refusal = self._foreign(headers)
        if refusal is not None:
            return refusal
        machine = self._rules.by_token.get(scope["path"])
        who = None if machine is None else machine(_token(headers))
        if who is not None:  # its token opens this path alone: there is no role to ask for
            scope.setdefault("state", {})[WHO] = who
            return self._allowed(scope, who) or self._typed(scope, headers)
        who = self._whose(headers)
        if who is None:
            return self._unknown()
        return self._let(scope, who) or self._allowed(scope, who) or self._typed(scope, headers)

    def _foreign(self, headers: Headers) -> Response | None:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if (origin is not None and origin not in self._rules.origins) or site == "cross-site":
            return respond(
                403,
                f"a page of origin {origin!r} may not change anything here",
                "use the console of this server, at the address that the controller logged",
            )
        return None

    def _read(self, scope: Scope, headers: Headers) -> Response | None:
        """Let reads through: all while nobody was added, then those with a token; pages always."""
        route = roles.route_of(scope["method"], scope["path"])
        who = self._whose(headers)
        needed = roles.least(scope["method"], scope["path"]) is not roles.OPEN
        if who is None and (route in roles.ALWAYS or (needed and self._rules.people.configured)):
            return self._unknown()
        scope.setdefault("state", {})[WHO] = who
        return None if who is None else self._let(scope, who)

    def _whose(self, headers: Headers) -> Principal | None:
        token = _token(headers)
        shared = hmac.compare_digest(digest(token), self._rules.token_digest)
        if not token:
            return None
        return OWNER if shared else self._rules.people.whose(token, self._rules.clock())

    def _let(self, scope: Scope, who: Principal) -> Response | None:
        """Refuse who may not do this, and tell the route who it is."""
        scope.setdefault("state", {})[WHO] = who
        least = roles.least(scope["method"], scope["path"])
        if least is None or who.role >= least:
            return None
        return respond(
            403,
            f"{who.name} is {who.role.word}; this needs {least.word}",
            "ask somebody who may; `homeostat people list` shows who is what",
        )

    def _unknown(self) -> Response:
        if not self._failures.take(self._rules.clock()):
            return respond(429, "too many wrong tokens", "wait a second", {"retry-after": "1"})
        return respond(
            401,
            "this needs a bearer token that is good: your own (`homeostat people`), or the one in "
            "the file that the controller logged at its start",
            "send `Authorization: Bearer TOKEN`",
            {"www-authenticate": 'Bearer realm="homeostat"'},
        )

    def _allowed(self, scope: Scope, who: Principal) -> Response | None:
        if self._rules.read_only:
            return respond(403, "this server is read-only", "ask whoever started it")
        if scope["path"] == FREEZE_PATH:  # the kill switch is never throttled
            return None
        if self._bucket(scope["path"], who).take(self._rules.clock()):
            return None
        return respond(429, "too many changes at once", "wait a second", {"retry-after": "1"})

    def _bucket(self, path: str, who: Principal) -> TokenBucket:
        """Return what limits one token: as many as there are tokens, so their number is bounded."""
        kind = "labels" if path == LABELS_PATH else path.rpartition("/")[2]
        rate, burst = _RATES.get(kind, _RATES[""])
        key = (who.key, kind if kind in _RATES else "")
        if key not in self._buckets:
            self._buckets[key] = TokenBucket(rate=rate, burst=burst, now=self._rules.clock())
        return self._buckets[key]

    @staticmethod
    def _typed(scope: Scope, headers: Headers) -> Response | None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = headers.get("content-encoding", "identity").lower()
        if scope["method"] == "POST" and (kind != "application/json" or encoding != "identity"):
            return respond(
                415,
                f"the body is {kind or 'untyped'!r}, encoded as {encoding!r}",
                "send plain JSON with `Content-Type: application/json`",
            )
        return None


def _token(headers: Headers) -> str:
    """Return the bearer token, empty if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _body(receive: Receive, limit: int) -> bytes | Response:
    """Read the whole body, or say why not."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _parts(receive, limit)
    except TimeoutError:
        return respond(
            408, f"the body did not arrive within {BODY_SECONDS:g} s", "send it again, faster"
        )


async def _parts(receive: Receive, limit: int) -> bytes | Response:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return respond(400, "the request ended before its body", "send it again")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            return respond(
                413, f"the body is larger than {limit} bytes", "send it in smaller parts"
            )
    return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once, then what really comes."""
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def host_of(origin: str) -> str:
    """Return the host name of an origin.

    >>> host_of("http://localhost:7373")
    'localhost'
    """
    return (urlsplit(origin).hostname or "").lower()
