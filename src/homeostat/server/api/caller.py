"""Who asks for a change, in the record's words: a name, and where it came from."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi import Request

from homeostat.server.api.problems import ProblemError
from homeostat.server.api.reads import asking
from homeostat.server.people import Principal, Role

UNSAID: Final = "operator"
"""What the holder of the shared token is called who does not say."""
_PROGRAM: Final = re.compile(r"[^\w ./()+-]", re.ASCII)
_PROGRAM_MAX: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever asks.

    Attributes:
        principal: Whose token it is.
        by: The name for the record.
        origin: Address and program that it came from.
    """

    principal: Principal
    by: str
    origin: str


def caller(request: Request, said: str | None) -> Caller:
    """Return who asks.

    Args:
        request: It passed the gate.
        said: The name in the body, None if it has none.

    Raises:
        ProblemError: 403, the body names somebody else than the token does.
    """
    who = asking(request)
    if who.named and said not in {None, who.name}:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            f"the body says by {said!r}, but the token is {who.name}'s",
            "leave `by` out: a token of one's own says who it is",
        )
    by = who.name if who.named else said or UNSAID
    host = request.client.host if request.client is not None else "unknown address"
    program = _PROGRAM.sub("?", request.headers.get("user-agent", ""))[:_PROGRAM_MAX]
    return Caller(principal=who, by=by, origin=f"{host} {program}".strip())


def may(who: Caller, least: Role, what: str) -> None:
    """Go on if this role may.

    Raises:
        ProblemError: 403, it may not.
    """
    if who.principal.role < least:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            f"{who.by} is {who.principal.role.word}; {what} needs {least.word}",
            f"ask somebody who is {least.word} or more",
        )
