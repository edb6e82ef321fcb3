"""Messages between the controller and its twin's worker: length-prefixed bytes, never pickle.

A message is a list of parts; each part is four bytes of length, most significant first, and so many
bytes. What the parts hold is canonical JSON of `base`'s nouns, or plain JSON.
"""

import asyncio
import struct
from collections.abc import Sequence
from typing import BinaryIO, Final

LONGEST: Final = 64 << 20  # bytes of a part; a tick of a large deployment is below 1 MiB
PARTS: Final = 4  # of a question: what is asked, configuration, evidence, incident
_HEAD: Final = struct.Struct(">I")


def packed(parts: Sequence[bytes]) -> bytes:
    """Return a message as it is sent.

    Raises:
        ValueError: A part is too long.

    >>> packed([b"ab", b""]).hex()
    '00000002616200000000'
    """
    if any(len(part) > LONGEST for part in parts):
        raise ValueError(f"a part of a message has more than {LONGEST} bytes")
    return b"".join(_HEAD.pack(len(part)) + part for part in parts)


def read(stream: BinaryIO, parts: int) -> list[bytes] | None:
    """Return a message of so many parts, None where the other side has gone.

    Raises:
        ValueError: The length of a part cannot be.
    """
    found = []
    for _ in range(parts):
        head = _exactly(stream, _HEAD.size)
        body = None if head is None else _exactly(stream, _length(head))
        if body is None:
            return None
        found.append(body)
    return found


async def receive(stream: asyncio.StreamReader) -> bytes:
    """Return the next part.

    Raises:
        asyncio.IncompleteReadError: The other side has gone.
        ValueError: Its length cannot be.
    """
    return await stream.readexactly(_length(await stream.readexactly(_HEAD.size)))


def _length(head: bytes) -> int:
    length = int(_HEAD.unpack(head)[0])
    if length > LONGEST:
        raise ValueError(f"a part of {length} bytes is announced, the most is {LONGEST}")
    return length


def _exactly(stream: BinaryIO, count: int) -> bytes | None:
    body = b""
    while len(body) < count:
        more = stream.read(count - len(body))
        if not more:
            return None
        body += more
    return body
