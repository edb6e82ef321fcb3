"""What became of a policy's promises, in words: for scripts (JSON), and for people.

Takes plain values of the prover by their shape, so that this room needs nothing of it.
"""

from collections.abc import Sequence
from typing import Any, Protocol

_KIND = {
    "scale_down": "takes replicas away",
    "scale_up": "adds replicas",
    "drain_replica": "takes a replica out of rotation",
    "restart_replica": "restarts a replica",
    "rollback": "goes back to the older version",
    "shift_traffic": "moves traffic",
    "shed_load": "refuses requests",
}


class Step(Protocol):
    """One step of a counterexample; see `proof.replay.Seen`."""

    @property
    def drawn(self) -> Any:
        """What the solver drew."""

    @property
    def subject(self) -> str:
        """The part that the action is done to."""

    @property
    def change(self) -> Sequence[tuple[str, float | str]]:
        """Levers and what they would be set to."""

    @property
    def rotation(self) -> int:
        """Replicas in rotation before."""

    @property
    def answer(self) -> str:
        """What the real guards said."""

    @property
    def reasons(self) -> Sequence[str]:
        """Why they ask or deny."""


def plain_step(step: Step) -> dict[str, Any]:
    """Return one step of a counterexample as JSON has it."""
    drawn = step.drawn
    return {
        "at_s": drawn.at_ms / 1000,
        "action": drawn.kind,
        "subject": step.subject,
        "change": dict(step.change),
        "replicas_before": step.rotation,
        "replicas_after": rotation_after(step),
        "undo": drawn.facts["undo"] is True,
        "unusual": {name: drawn.facts[name] for name in drawn.odd},
        "guards": step.answer,
        "reasons": list(step.reasons),
    }


def rotation_after(step: Step) -> int:
    """Return the replicas in rotation after a step; none change if the guards deny it."""
    if step.answer == "deny":
        return step.rotation
    if step.drawn.kind == "drain_replica":
        return step.rotation - 1
    scaled = [value for lever, value in step.change if lever.startswith("replicas.")]
    moved = int(float(scaled[0])) - step.drawn.live // 1000 if scaled else 0
    return step.rotation + moved


def clock(seconds: float) -> str:
    """Return a time from the start as people read it.

    >>> clock(0.0), clock(600.001), clock(5400.0)
    ('0:00', '10:00', '1:30:00')
    """
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def sentence(step: Step) -> str:
    """Return one step as a line for people."""
    plain = plain_step(step)
    does = _KIND.get(plain["action"], plain["action"].replace("_", " "))
    moved = ", ".join(f"{lever} to {value}" for lever, value in plain["change"].items())
    before, after = plain["replicas_before"], plain["replicas_after"]
    counts = f"{before} replicas" if before == after else f"{before} to {after} replicas"
    odd = ", ".join(f"{name} = {_said(value)}" for name, value in plain["unusual"].items())
    said = {"allow": "the guards allow it", "ask": "the guards ask a person", "deny": "refused"}
    tail = f"; {odd}" if odd else ""
    why = f" ({'; '.join(plain['reasons'])})" if plain["reasons"] else ""
    return f"{does}: {moved or plain['subject']}; {counts}{tail}; {said[plain['guards']]}{why}"


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else str(value)


def timeline(steps: Sequence[Step]) -> list[str]:
    """Return a counterexample as lines for a terminal: when, a bar of replicas, what happens."""
    tops = [max(step.rotation, rotation_after(step)) for step in steps]
    most = max(tops, default=1) or 1
    lines = []
    for step in steps:
        filled = round(20 * rotation_after(step) / most)
        bar = "█" * filled + "░" * (20 - filled)
        lines.append(f"{clock(step.drawn.at_ms / 1000):>8} {bar} {sentence(step)}")
    return lines
