"""Kubernetes' API server, as far as one Deployment needs it: get, list, and a merge patch."""

import json
import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx2

from homeostat.adapters import _guard
from homeostat.adapters.actuators._kubernetes_owner import MANAGER

_ANSWER_MAX: Final = 16 << 20
_SECRET_MAX: Final = 16 * 1024
_NOT_FOUND: Final = 404


class ApiError(Exception):
    """The API server said no, or nothing that can be read.

    Attributes:
        status: Its HTTP status; 0 if there is none.
        sent: The request may have reached it.
    """

    def __init__(self, detail: str, *, status: int = 0, sent: bool = True) -> None:
        super().__init__(detail)
        self.status, self.sent = status, sent


class Api:
    """One API server, seen by one account."""

    def __init__(self, url: str, *, token_file: Path | None, ca_file: Path | None) -> None:
        self._url, self._token_file = url.rstrip("/"), token_file
        trusted = None if ca_file is None else ssl.create_default_context(cafile=ca_file)
        self._client = _guard.new_client(verify=trusted)

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """Return an object.

        Raises:
            ApiError: There is none, or it may not be read.
        """
        return await self._asked("GET", path, query, None)

    async def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Return all of a list's objects.

        Raises:
            ApiError: It may not be read, is no list of objects, or goes on: what is not seen may
                be what matters, and nobody here asks for a list in parts.
        """
        page = await self.get(path, **query)
        found, meta = page.get("items"), page.get("metadata")
        whole = isinstance(found, list) and all(_is_object(one) for one in found)
        if not whole:
            raise ApiError(f"{path}: the answer is no list of objects")
        if isinstance(meta, dict) and meta.get("continue"):
            raise ApiError(f"{path}: the list goes on, which was not asked for")
        return list(found or [])

    async def listed(self, path: str) -> list[dict[str, Any]]:
        """Return all of a list's objects, none where the server does not know the kind.

        Raises:
            ApiError: As `items`.
        """
        try:
            return await self.items(path)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return []
            raise

    async def patch(self, path: str, change: dict[str, Any]) -> dict[str, Any]:
        """Merge a change into an object and return it as it stands then (RFC 7386).

        Raises:
            ApiError: It was not done, or nobody knows.
        """
        return await self._asked("PATCH", path, {"fieldManager": MANAGER}, change)

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()

    async def _asked(
        self, method: str, path: str, query: dict[str, str], change: dict[str, Any] | None
    ) -> dict[str, Any]:
        url = f"{self._url}{quote(path)}" + (f"?{urlencode(query)}" if query else "")
        headers = {"accept": "application/json", "accept-encoding": "identity", **self._who()}
        body = b""
        if change is not None:
            headers["content-type"] = "application/merge-patch+json"
            body = json.dumps(change).encode()
        request = self._client.build_request(method, url, content=body, headers=headers)
        try:
            status, text = await self._read(request)
        except httpx2.ConnectError as error:
            raise ApiError(f"nothing was sent: {error!r}", sent=False) from error
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            raise ApiError(f"the answer was lost: {error!r}") from error
        try:
            said = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ApiError(f"status {status}, and no JSON") from error
        if not isinstance(said, dict):
            raise ApiError(f"status {status}, and no object")
        if status != httpx2.codes.OK:
            raise ApiError(f"status {status}{_reason(said)}", status=status)
        return said

    async def _read(self, request: httpx2.Request) -> tuple[int, bytes]:
        response = await self._client.send(request, stream=True)
        body = bytearray()
        try:
            async for chunk in response.aiter_raw(65_536):
                body += chunk
                if len(body) > _ANSWER_MAX:
                    raise ApiError(f"an answer of more than {_ANSWER_MAX} bytes")
        finally:
            await response.aclose()
        return response.status_code, bytes(body)

    def _who(self) -> dict[str, str]:
        """Return the header that says who asks; read each time, because tokens are rotated.

        Raises:
            ApiError: The file cannot be read, or holds no token; nothing was sent.
        """
        if self._token_file is None:
            return {}
        try:
            with self._token_file.open("rb") as file:
                token = file.read(_SECRET_MAX).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ApiError(f"token file {self._token_file}: {error}", sent=False) from error
        if not token or not token.isprintable() or " " in token:
            raise ApiError(f"token file {self._token_file} holds no token", sent=False)
        return {"authorization": f"Bearer {token}"}


def _is_object(one: Any) -> bool:
    """Return whether it is an object that has a name."""
    meta = one.get("metadata") if isinstance(one, dict) else None
    return isinstance(meta, dict) and isinstance(meta.get("name"), str)


def _reason(said: dict[str, Any]) -> str:
    """Return what an API server says of a refusal; nothing else that answers is repeated."""
    message = said.get("message")
    if said.get("kind") != "Status" or not isinstance(message, str):
        return ""
    return ": " + "".join(one if one.isprintable() else "?" for one in message[:300])
