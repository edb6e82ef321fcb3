"""One JSON call to somebody else's server, for notifiers: checked address, bounded, not repeated.

Who is shown something is shown it again when it changes or when it is due, so a call that failed
is not repeated here; the caller does, with what is true by then.
"""

import asyncio
import base64
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx2

from homeostat.adapters._signed import NotSentError, Resolve, new_client, request
from homeostat.base.errors import NotifierError

_SECRET_MAX: Final = 8192
_LINE: Final = re.compile(rb"[!-~]+")  # what a header may carry
_ANSWER_MAX: Final = 64 * 1024
_WAIT_MAX: Final = 3600.0
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
OK: Final = 200


class BusyError(NotifierError):
    """The other side asks to be left alone for a while.

    Attributes:
        wait_s: For how long, seconds.
    """

    def __init__(self, said: str, wait_s: float) -> None:
        super().__init__(said)
        self.wait_s = wait_s


class Calls:
    """Calls to one server.

    Args:
        allow: HOST:PORT that may be private, without TLS or on another port.
        timeout_s: Deadline of one call, looking the address up included. Seconds.
        resolve: Host and port to numeric addresses.
    """

    def __init__(self, *, allow: tuple[str, ...], timeout_s: float, resolve: Resolve) -> None:
        self._allow, self._timeout_s, self._resolve = allow, timeout_s, resolve
        self._client: httpx2.AsyncClient | None = None

    async def post(self, url: str, body: Any, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """POST JSON and return the status and the body of the answer.

        Raises:
            BusyError: It asks to be left alone.
            NotifierError: There was no answer; nobody knows whether it arrived.
        """
        self._client = self._client or new_client()
        said = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        try:
            async with asyncio.timeout(self._timeout_s):
                asked = await request(
                    self._client,
                    "POST",
                    url,
                    body=said,
                    headers={"content-type": "application/json; charset=utf-8", **headers},
                    allow=self._allow,
                    resolve=self._resolve,
                )
                status, wait_s, answer = await _answer(self._client, asked)
        except TimeoutError as error:
            raise NotifierError(f"{url}: no answer within {self._timeout_s:g} s") from error
        except NotSentError as error:
            raise NotifierError(f"{url}: {error}") from error
        except (httpx2.HTTPError, httpx2.StreamError, OSError, ValueError) as error:
            raise NotifierError(f"{url}: {str(error)[:200] or type(error).__name__}") from error
        if status in _BUSY:
            raise BusyError(f"{url}: status {status}", wait_s)
        return status, answer

    async def close(self) -> None:
        """Release connections; may be called again."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


async def _answer(client: httpx2.AsyncClient, asked: httpx2.Request) -> tuple[int, float, bytes]:
    """Send a request; return the status, how long to wait, and the body as far as anybody reads."""
    response = await client.send(asked, stream=True)
    body = bytearray()
    try:
        async for chunk in response.aiter_raw(65_536):
            body += chunk
            if len(body) > _ANSWER_MAX:
                break
    finally:
        await response.aclose()
    after = response.headers.get("retry-after", "")
    wait_s = min(float(after), _WAIT_MAX) if re.fullmatch(r"[0-9]{1,6}", after) else 0.0
    return response.status_code, wait_s, bytes(body)


def secret_text(path: Path) -> str:
    """Return a token or password; read each time, so that it can be rotated.

    Raises:
        NotifierError: It cannot be read, or could not be sent in a header.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_SECRET_MAX + 1).strip()
    except OSError as error:
        raise NotifierError(f"the secret {path} cannot be read: {error.strerror}") from error
    if not 0 < len(raw) <= _SECRET_MAX or not _LINE.fullmatch(raw):
        raise NotifierError(
            f"the secret in {path} is not one line of printable characters; write the token, "
            "and nothing else, into it"
        )
    return raw.decode("ascii")


def basic(user: str, password: str) -> str:
    """Return the value of an `Authorization` header.

    >>> basic("ada", "pw")
    'Basic YWRhOnB3'
    """
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def plain(text: str, most: int) -> str:
    """Return text from outside as one line, with nothing that moves a cursor or turns it around.

    >>> plain("a" + chr(27) + "[2J" + chr(0x202E) + "b", 80)
    'a?[2J?b'
    """
    return _cut("".join(one if one.isprintable() else "?" for one in text), most)


def lines(texts: Iterable[str], most: int) -> str:
    """Return texts from outside, each as one line: none of them can pretend to be two.

    >>> lines(["a", "b" + chr(10) + "c"], 80).split(chr(10))
    ['a', 'b?c']
    """
    return _cut("\n".join(plain(text, most) for text in texts), most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "\u2026"
