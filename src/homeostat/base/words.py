"""What a person says of what a deployment does; what people say of incidents is in `events`."""

from dataclasses import dataclass

from homeostat.base.units import TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledNormal:
    """A person says that what is off in an open incident is the new normal; see `loop.normal`.

    Attributes:
        at: When it was said.
        by: Who; `principal` and `origin` as in `events.Approval`.
        incident_id: The incident.
        why: The reason, for the record.
        deployment: As in `events.Approval`.
    """

    at: TimeNs
    by: str
    incident_id: str
    why: str = ""
    deployment: str = ""
    principal: str = ""
    origin: str = ""
