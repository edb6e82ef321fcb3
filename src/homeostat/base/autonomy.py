"""What people and evidence let a class of actions do unasked: facts for the journal."""

from dataclasses import dataclass

from homeostat.base.actions import ActionKind
from homeostat.base.units import TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A named person let a kind of action run unasked on one deployment, or took that back.

    Attributes:
        at: When.
        deployment: Where.
        kind: What.
        given: True for given, False for taken back.
        by: Who.
        why: The reason they gave.
        origin: Where it came from: an address and a program.
    """

    at: TimeNs
    deployment: str
    kind: ActionKind
    given: bool
    by: str
    why: str = ""
    origin: str = ""
