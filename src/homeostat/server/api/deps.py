"""What the API is given: the view, the way in for changes, the kill switch, the clock."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from homeostat.base.events import Event
from homeostat.base.state import LoopState
from homeostat.base.types import KillLevel, TimeNs
from homeostat.server.auditing import Audit
from homeostat.server.people_file import People
from homeostat.server.telemetry.own import Own
from homeostat.server.view import View

Submit = Callable[[Event], Awaitable[str | None]]
"""Hands one event to the loop; None means accepted, a string is why it was refused."""

Labels = Callable[[list[dict[str, Any]]], dict[str, int]]
"""Joins late labels to predictions; returns how many were joined, repeated, unknown and so on."""


States = Callable[[str], LoopState | None]
"""What the loop knows of a deployment now, None where it has none of that name."""


class KillControl(Protocol):
    """The kill switch."""

    def level(self) -> KillLevel:
        """Return the level in force; unreadable counts as NO_NEW."""
        ...

    def throw(self, level: KillLevel, by: str) -> None:
        """Set the level, durably.

        Raises:
            HomeostatError: It could not be stored.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """Everything that a route may use.

    Attributes:
        view: The read model.
        submit: See `Submit`.
        kill: The kill switch.
        labels: See `Labels`; None when no model is instrumented for labels.
        clock: The controller's clock.
        read_only: True when nothing may be changed through this server.
        people: Everybody with a token of their own.
        states: See `States`.
        autonomy: How every kind of action stands on every deployment.
        audit: The record; None where there is no journal.
        proofs: How the proof of a deployment's policy stands; None where nobody proves.
        standby: True while another controller leads: then nothing of ours goes on record.
        own: How the controller itself is doing, for `/metrics`.
    """

    view: View
    submit: Submit
    kill: KillControl
    labels: Labels | None
    clock: Callable[[], TimeNs]
    read_only: bool
    people: People
    states: States
    autonomy: Callable[[], list[dict[str, Any]]]
    audit: Audit | None
    proofs: Callable[[str], dict[str, Any] | None]
    standby: Callable[[], bool] = lambda: False
    own: Own
