"""The ceiling of an autoscaler, where its owner lets it be raised for a floor that is above it.

It is no lever: it follows the floor, in the same write, up to what the configuration allows, and
comes back with it. What it was is written down on the autoscaler, `WAS RAISED`; it counts while the
ceiling still is what it was raised to, for any other is somebody's who set it since.
"""

from dataclasses import dataclass
from typing import Any, Final

from homeostat.adapters.actuators import _kubernetes_owner as owner

WAS: Final = "homeostat.dev/ceiling-was"
# The field beside each floor, and what holds where it is not written; an HPA must write it.
_FIELDS: Final = {"minReplicas": ("maxReplicas", None), "minReplicaCount": ("maxReplicaCount", 100)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """A scaler's ceiling, and how far it may be raised.

    Attributes:
        field: The ceiling's field under `spec`; empty where there is none.
        now: What it is, None for none.
        was: What it was before it was raised here; the same as `now` if it was not.
        most: The highest that may be written, None for no raising at all.
    """

    field: str
    now: int | None
    was: int | None
    most: int | None

    def above(self, floor: int) -> int | None:
        """Return the ceiling that a floor needs: as it was, or the floor itself above that."""
        return None if self.was is None else max(self.was, floor)

    def problem(self, kind: str, floor: int) -> str:
        """Return why a floor cannot be had, empty if it can."""
        wanted = self.above(floor)
        if wanted is None or wanted == self.was:
            return ""
        if self.most is None:
            return f"{kind} has a ceiling of {self.was}; raise it there first"
        if wanted > self.most:
            return f"{kind} has a ceiling of {self.was}, which may be raised to {self.most}"
        return ""

    def moves(self, floor: int) -> bool:
        """Return whether a floor changes the ceiling."""
        return self.most is not None and self.above(floor) != self.now

    def change(self, floor: int) -> dict[str, Any]:
        """Return the patch of the ceiling and its note, empty where it stays."""
        wanted = self.above(floor)
        if not self.moves(floor) or wanted is None:
            return {}
        note = None if wanted == self.was else f"{self.was} {wanted}"
        return {"metadata": {"annotations": {WAS: note}}, "spec": {self.field: wanted}}


def of(obj: owner.Object, floor_field: str, most: int | None) -> Ceiling:
    """Return a scaler's ceiling.

    Args:
        obj: The scaler.
        floor_field: The field of its floor; one without a ceiling beside it has none.
        most: The highest that may be written, None for no raising.

    Raises:
        ValueError: It is no number.
    """
    field, default = _FIELDS.get(floor_field, ("", None))
    now = obj["spec"].get(field, default) if field else None
    if now is not None and (not isinstance(now, int) or isinstance(now, bool)):
        raise ValueError(f"spec.{field} is {now!r}")
    note = str((obj["metadata"].get("annotations") or {}).get(WAS) or "")
    was, _, raised = note.partition(" ")
    ours = most is not None and was.isascii() and was.isdecimal() and raised == str(now)
    return Ceiling(field=field, now=now, was=int(was) if ours else now, most=most)
