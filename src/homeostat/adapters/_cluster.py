"""Kubernetes' API server as the controller itself uses it: its Lease, its own resources, Events.

Blocking, one request a connection, for work in threads. What actuators ask of a workload goes
through their own client (`actuators._kubernetes_api`), which adapters of another kind do not see.
"""

import json
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx2

from homeostat.adapters import _guard

MANAGER: Final = "homeostat"
TIMEOUT_S: Final = 5.0
_ANSWER_MAX: Final = 16 << 20
_SECRET_MAX: Final = 16 * 1024
_PAGE: Final = 500  # objects in one answer, as kubectl asks for them
_PAGES: Final = 10
_BUSY: Final = 429
_SERVERS_FAULT: Final = 500
_CREATED: Final = frozenset({200, 201, 202})
Object = dict[str, Any]


class ClusterError(Exception):
    """The API server said no, or nothing that can be read; the message holds no secret.

    Attributes:
        status: Its HTTP status; 0 if there is none.
    """

    def __init__(self, detail: str, *, status: int = 0) -> None:
        super().__init__(detail)
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether it may be gone by itself: nobody answered, or the server is not well."""
        return self.status in {0, _BUSY} or self.status >= _SERVERS_FAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How an API server is reached.

    Attributes:
        url: https://HOST:PORT.
        token_file: Holds a bearer token, read for each request because it is rotated.
        ca_file: PEM certificates to trust; None for the system's.
    """

    url: str
    token_file: Path | None = None
    ca_file: Path | None = None


class Cluster:
    """One API server, seen by one account.

    Raises:
        ClusterError: From every method: nothing was found, nothing may be done, or nobody knows.
    """

    def __init__(self, access: Access, *, timeout_s: float = TIMEOUT_S) -> None:
        self._access, self._timeout_s = access, timeout_s
        self._made: httpx2.Client | None = None

    def get(self, path: str) -> Object:
        """Return one object."""
        return self._asked("GET", path, {}, None)

    def listed(self, path: str) -> list[Object]:
        """Return a list's objects, all of one moment.

        Raises:
            ClusterError: It may not be read, or has more than can be kept.
        """
        found: list[Object] = []
        query = {"limit": str(_PAGE)}
        for _ in range(_PAGES):
            page = self._asked("GET", path, query, None)
            items = page.get("items")
            if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
                raise ClusterError(f"{path}: the answer is no list of objects")
            found += items
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return found
            query = {"limit": str(_PAGE), "continue": str(more)}
        raise ClusterError(f"{path}: more than {_PAGE * _PAGES} objects", status=413)

    def create(self, path: str, obj: Object) -> Object:
        """Make an object in a list; 409 where one of that name is there already."""
        return self._asked("POST", path, {"fieldManager": MANAGER}, obj)

    def replace(self, path: str, obj: Object) -> Object:
        """Put an object in place of the version that it names; 409 where there is another."""
        return self._asked("PUT", path, {"fieldManager": MANAGER}, obj)

    def merge(self, path: str, change: Object) -> Object:
        """Merge a change into an object (RFC 7386) and return it as it stands then."""
        return self._asked("PATCH", path, {"fieldManager": MANAGER}, change)

    def close(self) -> None:
        """Release connections."""
        if self._made is not None:
            self._made.close()

    def _client(self) -> httpx2.Client:
        if self._made is None:
            try:
                trusted = ssl.create_default_context(cafile=self._access.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise ClusterError(f"{self._access.ca_file}: {error}", status=400) from error
            self._made = _guard.new_blocking_client(verify=trusted, timeout_s=self._timeout_s)
        return self._made

    def _asked(self, method: str, path: str, query: dict[str, str], body: Object | None) -> Object:
        url = f"{self._access.url.rstrip('/')}{quote(path)}" + (
            f"?{urlencode(query)}" if query else ""
        )
        headers = {"accept": "application/json", "accept-encoding": "identity", **self._who()}
        sent = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            kind = "merge-patch+json" if method == "PATCH" else "json"
            headers["content-type"] = f"application/{kind}"
        client = self._client()
        try:
            status, text = self._read(
                client, client.build_request(method, url, content=sent, headers=headers)
            )
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
            raise ClusterError(f"{method} {path}: no answer ({error!r:.200})") from error
        return _object(f"{method} {path}", status, text)

    def _read(self, client: httpx2.Client, request: httpx2.Request) -> tuple[int, bytes]:
        until = time.monotonic() + self._timeout_s
        response = client.send(request, stream=True)
        body = bytearray()
        try:
            for chunk in response.iter_raw(65_536):
                body += chunk
                if len(body) > _ANSWER_MAX:
                    raise ClusterError(f"an answer of more than {_ANSWER_MAX} bytes", status=413)
                if time.monotonic() > until:
                    raise ClusterError(f"no whole answer within {self._timeout_s:g} s")
        finally:
            response.close()
        return response.status_code, bytes(body)

    def _who(self) -> dict[str, str]:
        """Return the header that says who asks.

        Raises:
            ClusterError: The file cannot be read, or holds no token.
        """
        file = self._access.token_file
        if file is None:
            return {}
        try:
            with file.open("rb") as stream:
                token = stream.read(_SECRET_MAX).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ClusterError(f"token file {file}: {error}", status=401) from error
        if not token or not token.isprintable() or " " in token:
            raise ClusterError(f"token file {file} holds no token", status=401)
        return {"authorization": f"Bearer {token}"}


def _object(what: str, status: int, text: bytes) -> Object:
    """Return the object of an answer.

    Raises:
        ClusterError: It holds none, or the server refused.
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ClusterError(f"{what}: status {status}, and no JSON", status=status) from error
    if not isinstance(said, dict):
        raise ClusterError(f"{what}: status {status}, and no object", status=status)
    if status not in _CREATED:
        raise ClusterError(f"{what}: status {status}{_reason(said)}", status=status)
    return said


def _reason(said: Object) -> str:
    """Return what an API server says of a refusal; nothing else that answers is repeated."""
    message = said.get("message")
    if said.get("kind") != "Status" or not isinstance(message, str):
        return ""
    return ": " + "".join(one if one.isprintable() else "?" for one in message[:300])
