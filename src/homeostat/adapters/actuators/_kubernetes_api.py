"""Kubernetes' API server, as far as one object needs it: get, list, and a merge patch.

In which version a kind is served, the server itself is asked (discovery, `/apis/GROUP`), for a kind
that is served in another version alone would look like one that is not there.
"""

import json
import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx2

from homeostat.adapters import _guard
from homeostat.adapters.actuators._kubernetes_owner import MANAGER, Kind

_ANSWER_MAX: Final = 16 << 20
_SECRET_MAX: Final = 16 * 1024
_NOT_FOUND: Final = 404
_DONE: Final = frozenset({200, 201})
_CONTENT: Final = {"PATCH": "application/merge-patch+json", "POST": "application/json"}
# What an API server says of a group or kind that is not installed; a proxy's own page says nothing.
_NO_SUCH_PATH: Final = b"404 page not found"


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
        self._served: dict[str, str] = {}  # the path of each kind's best version, by its plural

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

    async def listed(self, kind: Kind, home: str) -> list[dict[str, Any]]:
        """Return all objects of a kind in a namespace, none where the kind is not installed.

        Args:
            kind: Which.
            home: The namespace's path.

        Raises:
            ApiError: As `items`; or it is installed in versions alone that are not known here.
        """
        known = self._served.get(kind.plural) or await self._root(kind)
        if known is None:
            return []
        try:
            return await self.items(f"{known}{home}/{kind.plural}")
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
        now = await self._root(kind)  # another version by now, or a group without this kind
        if now is None or now == known:
            return []
        return await self.items(f"{now}{home}/{kind.plural}")

    async def path(self, kind: Kind, home: str, name: str) -> str:
        """Return where an object is.

        Raises:
            ApiError: Its kind is not served in any version that is known here.
        """
        if len(kind.versions) == 1:  # then the answer to whoever asks for it says as much
            return f"/apis/{kind.group}/{kind.versions[0]}{home}/{kind.plural}/{name}"
        root = self._served.get(kind.plural) or await self._root(kind)
        if root is None:
            raise ApiError(f"no API group {kind.group} here", status=_NOT_FOUND)
        return f"{root}{home}/{kind.plural}/{name}"

    async def object(self, kind: Kind, home: str, name: str) -> dict[str, Any]:
        """Return an object of a kind.

        Raises:
            ApiError: There is none, or it may not be read.
        """
        try:
            return await self.get(await self.path(kind, home, name))
        except ApiError as error:
            if error.status == _NOT_FOUND:
                self._served.pop(kind.plural, None)  # it may be another version's by now
            raise

    async def _root(self, kind: Kind) -> str | None:
        """Ask for the best version of a kind's group that is known here; None for no such group.

        Raises:
            ApiError: Nobody said, or it is served in other versions alone: whether there are
                objects of this kind is not known then.
        """
        self._served.pop(kind.plural, None)
        try:
            said = await self.get(f"/apis/{kind.group}")
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        versions = said.get("versions")
        if not isinstance(versions, list):
            raise ApiError(f"/apis/{kind.group}: the answer names no versions")
        served = [one.get("version") if isinstance(one, dict) else None for one in versions]
        for version in kind.versions:
            if version in served:
                self._served[kind.plural] = f"/apis/{kind.group}/{version}"
                return self._served[kind.plural]
        known = ", ".join(kind.versions)
        there = ", ".join(str(one)[:40] for one in served[:8])
        raise ApiError(f"{kind.group} is served as {there}; known here are {known}")

    async def patch(self, path: str, change: dict[str, Any]) -> dict[str, Any]:
        """Merge a change into an object and return it as it stands then (RFC 7386).

        Raises:
            ApiError: It was not done, or nobody knows.
        """
        return await self._asked("PATCH", path, {"fieldManager": MANAGER}, change)

    async def create(self, path: str, obj: dict[str, Any]) -> dict[str, Any]:
        """Post an object and return what the API server says to it.

        Raises:
            ApiError: It was not done, or nobody knows.
        """
        return await self._asked("POST", path, {"fieldManager": MANAGER}, obj)

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
            headers["content-type"] = _CONTENT[method]
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
            known = status == _NOT_FOUND and text.strip() == _NO_SUCH_PATH
            said_so = _NOT_FOUND if known else 0
            raise ApiError(f"status {status}, and no JSON", status=said_so) from error
        if not isinstance(said, dict):
            raise ApiError(f"status {status}, and no object")
        if status not in _DONE:
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
