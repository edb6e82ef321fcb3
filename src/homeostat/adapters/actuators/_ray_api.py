"""Ray's dashboard, as far as Serve goes: all of its applications are read, all are written.

`GET` and `PUT /api/serve/applications/` of Ray 2.x, by `adapters._guard`: no redirects, no metadata
addresses. What Ray answers holds the environment of every application, and its complaints quote
what they complain about: no answer is ever repeated in a message.
"""

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx2

from homeostat.adapters import _guard

_PATH: Final = "/api/serve/applications/"
_ANSWER_MAX: Final = 16 << 20  # bytes: some 500 of them a replica, and health figures
_SECRET_MAX: Final = 16 * 1024
_HINTS: Final = {
    401: "it wants a token: name its file as `tokenFile`",
    403: "it does not take the token in `tokenFile`",
    404: "no Serve is known there: write the dashboard's address, of Ray 2.x with ray[serve]",
}
_LOST = (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError)


class RayError(Exception):
    """Ray said no, or nothing that can be read.

    Attributes:
        sent: The request may have reached it.
    """

    def __init__(self, detail: str, *, sent: bool = True) -> None:
        super().__init__(detail)
        self.sent = sent


class Api:
    """One dashboard, seen by one account."""

    def __init__(
        self,
        url: str,
        *,
        token_file: Path | None,
        ca_file: Path | None,
        resolve: _guard.Resolve = _guard.resolved,
    ) -> None:
        self._url, self._token_file = f"{url.rstrip('/')}{_PATH}", token_file
        trusted = None if ca_file is None else ssl.create_default_context(cafile=ca_file)
        self._client = _guard.new_client(verify=trusted, resolve=resolve)

    async def get(self) -> Mapping[str, Any]:
        """Return what runs, and what it was deployed with.

        Raises:
            RayError: It cannot be read.
        """
        status, body = await self._asked("GET", b"")
        if status != httpx2.codes.OK:
            raise RayError(said(status))
        try:
            found = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RayError(f"{len(body)} bytes that are no JSON") from error
        if not isinstance(found, dict):
            raise RayError("JSON that is no object")
        return found

    async def put(self, config: Mapping[str, Any]) -> int:
        """Replace the whole configuration and return the answer's status.

        Raises:
            RayError: Nothing was sent, or the answer was lost.
        """
        status, _ = await self._asked("PUT", json.dumps(config).encode())
        return status

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()

    async def _asked(self, method: str, body: bytes) -> tuple[int, bytes]:
        request = self._request(method, body)
        try:
            response = await self._client.send(request, stream=True)
            return response.status_code, await _body(response)
        except httpx2.ConnectError as error:
            raise RayError(f"nothing was sent: {error!s:.300}", sent=False) from error
        except _LOST as error:
            raise RayError(f"the answer was lost: {error!r:.300}") from error

    def _request(self, method: str, body: bytes) -> httpx2.Request:
        headers = {
            "user-agent": "homeostat",  # Ray refuses writes of what looks like a browser
            "accept": "application/json",
            "accept-encoding": "identity",  # what is packed may unpack to anything
            **({"content-type": "application/json"} if body else {}),
            **self._who(),
        }
        return self._client.build_request(method, self._url, content=body, headers=headers)

    def _who(self) -> dict[str, str]:
        """Return the header that says who asks; read each time, because tokens are rotated.

        Raises:
            RayError: The file cannot be read, or holds no token; nothing was sent.
        """
        if self._token_file is None:
            return {}
        where = f"token file {self._token_file}"
        try:
            with self._token_file.open("rb") as file:
                token = file.read(_SECRET_MAX + 1).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RayError(f"{where} cannot be read as one token", sent=False) from error
        if not token or len(token) > _SECRET_MAX or not token.isprintable() or " " in token:
            raise RayError(f"{where} holds no token; put one into it, nothing else", sent=False)
        return {"authorization": f"Bearer {token}"}


def said(status: int) -> str:
    """Return what an HTTP status means here, for people.

    >>> said(403)
    'status 403: it does not take the token in `tokenFile`'
    >>> said(307)
    'status 307: redirects are not followed; write the final address'
    """
    if httpx2.codes.is_redirect(status):
        return f"status {status}: redirects are not followed; write the final address"
    hint = _HINTS.get(status, "see the dashboard's log; its answers may hold secrets")
    return f"status {status}: {hint}"


async def _body(response: httpx2.Response) -> bytes:
    """Return an answer's body.

    Raises:
        RayError: It is packed, or there is more of it than anybody reads.
    """
    body = bytearray()
    try:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise RayError("a packed answer, which was not asked for")
        async for chunk in response.aiter_raw(65_536):
            body += chunk
            if len(body) > _ANSWER_MAX:
                raise RayError(f"an answer of more than {_ANSWER_MAX} bytes")
    finally:
        await response.aclose()
    return bytes(body)
