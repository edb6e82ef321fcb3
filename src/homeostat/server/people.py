"""Who may talk to the controller, as what, and until when: names, roles, hashed tokens.

Pure: values in, values out; `people_file` keeps them. A token is `hs_KEY_SECRET`: KEY names the
record, SECRET is 256 random bits. Only SHA-256 of the whole token is kept. A slow hash is there to
make guessing of passwords dear; nobody guesses 256 bits, and a slow one would make each request so.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from homeostat.base.errors import ConfigError
from homeostat.base.units import HOUR, TimeNs

DAY_NS: Final = 24 * HOUR
EXPIRES_NS: Final = 90 * DAY_NS
"""How long a token is good for when nothing else is said."""
LONGEST_NS: Final = 400 * DAY_NS
"""No token is for ever: a year, and a month to remember it."""
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
SHARED: Final = "owner"
"""Nobody may be called this: it is how the record names the shared token of the token file."""
_TOKEN: Final = re.compile(r"hs_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_NOBODY: Final = bytes(32)


class Role(IntEnum):
    """What somebody may do; each may do what those before it may."""

    VIEWER = 1  # look
    OPERATOR = 2  # stop and take back: freeze, undo, less autonomy, hand everything back
    APPROVER = 3  # answer questions, give more autonomy within the policy
    ADMIN = 4  # everything

    @property
    def word(self) -> str:
        """Return the role as people write it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whoever a request is from.

    Attributes:
        name: Their name; `owner` for the shared token.
        role: What they may do.
        named: False for the shared token: who holds it is only what they say.
        key: The token's, empty for the shared one.
    """

    name: str
    role: Role
    named: bool
    key: str = ""


OWNER: Final = Principal(name=SHARED, role=Role.ADMIN, named=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One token of one person; the token itself is kept nowhere.

    Attributes:
        name: Whose it is.
        role: What it lets them do.
        key: The part of the token that is no secret.
        digest: SHA-256 of the token, hex.
        created_at: When it was made.
        created_by: Who made it: an account of the machine.
        expires_at: From then on it opens nothing.
        revoked_at: When it was taken back, None if it was not.
    """

    name: str
    role: Role
    key: str
    digest: str
    created_at: TimeNs
    created_by: str
    expires_at: TimeNs
    revoked_at: TimeNs | None = None

    def is_good(self, now: TimeNs) -> bool:
        """Return whether it opens anything at this time."""
        return now < self.expires_at and (self.revoked_at is None or now < self.revoked_at)


Roster = tuple[Credential, ...]


def digest(token: str) -> bytes:
    """Return SHA-256 of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def find(roster: Iterable[Credential], token: str, now: TimeNs) -> Principal | None:
    """Return whose token this is, None if nobody's or if it is no longer good.

    The record is found by the part that is no secret; the rest is compared in constant time, and
    is compared with something also where there is no such record.
    """
    match = _TOKEN.fullmatch(token)
    key = match.group(1) if match else ""
    found = next((one for one in roster if one.key == key), None)
    wanted = bytes.fromhex(found.digest) if found is not None else _NOBODY
    if not hmac.compare_digest(digest(token), wanted) or found is None or not found.is_good(now):
        return None
    return Principal(name=found.name, role=found.role, named=True, key=found.key)


def named(roster: Iterable[Credential], name: str, now: TimeNs) -> Principal | None:
    """Return somebody by name, for ways in that know who it is by themselves.

    None if nobody of that name has a token that is good: who was taken out is out everywhere.
    """
    good = [one for one in roster if one.name == name and one.is_good(now)]
    if not good:
        return None
    least = min(good, key=lambda one: one.role)
    return Principal(name=name, role=least.role, named=True, key=least.key)


def add(
    roster: Roster, *, name: str, role: Role, now: TimeNs, lasts_ns: int, by: str
) -> tuple[Roster, str]:
    """Return the roster with one more person, and their token: it is shown once.

    Raises:
        ConfigError: The name cannot be used or is taken, or the token would last too long.
    """
    if NAME.fullmatch(name) is None or name == SHARED:
        raise ConfigError(
            f"{name!r} is no name for a person here; use lower-case letters, digits and . _ @ + -, "
            f"at most 64, and not {SHARED!r}"
        )
    if any(one.is_good(now) for one in roster if one.name == name):
        raise ConfigError(f"{name} has a token already; `rotate` it, or `revoke` it first")
    return _issue(roster, name, role, now, lasts_ns, by)


def rotate(
    roster: Roster, *, name: str, now: TimeNs, lasts_ns: int, grace_ns: int, by: str
) -> tuple[Roster, str]:
    """Return the roster with a fresh token for one person; the old one ends after a grace.

    Raises:
        ConfigError: Nobody of that name has a token that is good, or a time is too long.
    """
    good = [one for one in roster if one.name == name and one.is_good(now)]
    if not good:
        raise ConfigError(f"{name!r} has no token that is good; known: {_names(roster)}; `add` one")
    ends = TimeNs(now + grace_ns)
    old = tuple(
        replace(one, expires_at=min(one.expires_at, ends)) if one in good else one for one in roster
    )
    return _issue(old, name, good[-1].role, now, lasts_ns, by)


def revoke(roster: Roster, *, name: str, now: TimeNs) -> Roster:
    """Return the roster with every token of one person taken back.

    Raises:
        ConfigError: There is nobody of that name.
    """
    if all(one.name != name for one in roster):
        raise ConfigError(f"there is nobody called {name!r}; known: {_names(roster)}")
    return tuple(
        replace(one, revoked_at=now) if one.name == name and one.revoked_at is None else one
        for one in roster
    )


def role_of(word: str) -> Role:
    """Return the role that a word names.

    Raises:
        ConfigError: There is no such role.
    """
    for role in Role:
        if role.word == word:
            return role
    raise ConfigError(
        f"there is no role {word!r}; write one of {', '.join(role.word for role in Role)}"
    )


def _issue(
    roster: Roster, name: str, role: Role, now: TimeNs, lasts_ns: int, by: str
) -> tuple[Roster, str]:
    if not 0 < lasts_ns <= LONGEST_NS:
        raise ConfigError(
            f"a token may last {LONGEST_NS // DAY_NS} days at most, not {lasts_ns / DAY_NS:g}"
        )
    key = secrets.token_hex(6)
    token = f"hs_{key}_{secrets.token_urlsafe(32)}"
    made = Credential(
        name=name,
        role=role,
        key=key,
        digest=digest(token).hex(),
        created_at=now,
        created_by=by,
        expires_at=TimeNs(now + lasts_ns),
    )
    return (*roster, made), token


def _names(roster: Roster) -> str:
    return ", ".join(sorted({one.name for one in roster})) or "nobody yet"
