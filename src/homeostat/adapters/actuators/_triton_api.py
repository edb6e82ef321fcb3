"""Triton's HTTP API, as far as one model of one server goes: its state, its configuration, a load.

The model repository and model configuration extensions of the inference protocol (Triton's
docs/protocol/extension_model_repository.md and extension_model_configuration.md). Addresses are
judged after resolving and redirects are not followed (`adapters._signed`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from homeostat.adapters import _signed
from homeostat.adapters._signed import NotSentError

READY: Final = "READY"
_MOVING: Final = frozenset({"LOADING", "UNLOADING"})
_KEY_MAX: Final = 4096
# Words of a Triton that was not started with --model-control-mode=explicit; it says them with 503.
_NO_CONTROL: Final = "explicit model load / unload is not allowed"
# Understood, and not done: "the already loaded model will be unchanged and will remain loaded"
# (docs/user_guide/model_management.md). Anything else may come from what is in between.
_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 413})
_UNKNOWN_MODEL: Final = frozenset({400, 404})


class _Row(BaseModel):
    """One version in the repository's index; it says no version of what was never loaded."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""


_INDEX: Final = TypeAdapter(Annotated[list[_Row], Field(max_length=100_000)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one server says of the model.

    Attributes:
        config: Its configuration in force, None while nothing of it is loaded.
        ready: Some version can be asked.
        moving: It is being loaded or unloaded.
    """

    config: Mapping[str, Any] | None
    ready: bool
    moving: bool


@dataclass(frozen=True, slots=True)
class Access:
    """How a server is reached.

    Attributes:
        url: Its address; what stands there is meant, so it may be private and without TLS.
        model: The model's name.
        header: The header that it wants for its model repository, empty for none.
        key_file: What the header holds, read for each request; None for none.
    """

    url: str
    model: str
    header: str = ""
    key_file: Path | None = None


class Server:
    """One Triton server."""

    def __init__(
        self, access: Access, client: httpx2.AsyncClient, resolve: _signed.Resolve
    ) -> None:
        self._access, self._client, self._resolve = access, client, resolve
        parts = urlsplit(access.url)
        self._listed = f"{parts.hostname}:{parts.port or _signed.PORTS[parts.scheme]}".lower()

    async def sight(self) -> Sight:
        """Return what it says of the model: the index first, which knows what is not loaded.

        Raises:
            NotSentError: Nothing was sent.
            httpx2.HTTPError: The answer was lost.
            ValueError: The answer makes no sense, or the model is not in its repository.
        """
        status, body = await self._asked("POST", "repository/index", {})
        if status != httpx2.codes.OK:
            raise ValueError(f"the index is answered with {status}: {body[:200]!r}")
        model = self._access.model
        rows = [row for row in _INDEX.validate_json(body) if row.name == model]
        if not rows:
            raise ValueError(f"its repository has no model {model!r}")
        ready = any(row.state == READY for row in rows)
        moving = any(row.state in _MOVING for row in rows)
        return Sight(config=await self._config(), ready=ready, moving=moving)

    async def load(self, config: Mapping[str, Any]) -> tuple[bool | None, str]:
        """Load the model anew with a configuration, whole.

        Returns:
            True for a yes, False for an understood no, None for what says neither; and the words.

        Raises:
            NotSentError: Nothing was sent.
            httpx2.ConnectError: Nothing was sent.
            httpx2.HTTPError: The answer was lost.
            ValueError: It is longer than anybody reads.
        """
        said = {"parameters": {"config": json.dumps(config)}}
        where = f"repository/models/{quote(self._access.model, safe='')}/load"
        status, body = await self._asked("POST", where, said)
        words = f"Triton answered {status} {body[:200].decode(errors='replace')!r}"
        if status == httpx2.codes.OK:
            return True, words
        refused = status in _REFUSALS or _NO_CONTROL.encode() in body
        return (False if refused else None), words

    async def _config(self) -> Mapping[str, Any] | None:
        where = f"models/{quote(self._access.model, safe='')}/config"
        status, body = await self._asked("GET", where, None)
        if status in _UNKNOWN_MODEL:
            return None
        if status != httpx2.codes.OK:
            raise ValueError(f"the configuration is answered with {status}: {body[:200]!r}")
        try:
            found = json.loads(body)
        except RecursionError as error:
            raise ValueError("the configuration is nested too deeply") from error
        if not isinstance(found, dict) or found.get("name") != self._access.model:
            raise ValueError(f"the configuration is of no model {self._access.model!r}")
        return found

    async def _asked(self, method: str, path: str, said: object) -> tuple[int, bytes]:
        request = await _signed.request(
            self._client,
            method,
            f"{self._access.url.rstrip('/')}/v2/{path}",
            body=b"" if said is None else json.dumps(said).encode(),
            headers={"content-type": "application/json", **self._key()},
            allow=(self._listed,),
            resolve=self._resolve,
        )
        return await _signed.answered(self._client, request)

    def _key(self) -> dict[str, str]:
        """Return the header that opens a restricted API.

        Raises:
            NotSentError: Its file cannot be read, or holds none.
        """
        file = self._access.key_file
        if file is None or not self._access.header:
            return {}
        try:
            with file.open("rb") as opened:
                key = opened.read(_KEY_MAX + 1).strip()
        except OSError as error:
            raise NotSentError(f"the key {file} cannot be read: {error.strerror}") from error
        text = key.decode("ascii", errors="replace")
        if not 0 < len(key) <= _KEY_MAX or not text.isprintable() or not text.isascii():
            raise NotSentError(f"the key in {file} is no line of plain letters; put one there")
        return {self._access.header: text}
