"""`POST /v1/alerts`: Alertmanager's webhook, payload version 4; `GET /v1/alerts`: what was heard.

Strict in what is used and blind to what is not: a newer Alertmanager sends keys that are new, and
an alert must not be lost for one. Nothing heard here reaches the loop; see `server.heard`.
Source: prometheus.io/docs/alerting/latest/configuration (webhook_config).
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from homeostat.base.units import SECOND, TimeNs
from homeostat.server.api.caller import caller
from homeostat.server.api.deps import Deps
from homeostat.server.api.problems import ProblemError
from homeostat.server.api.reads import NameQuery
from homeostat.server.api.schemas import Body
from homeostat.server.heard import Alert, Heard, plain

ALERTS_MAX: Final = 500
_NEVER_YEAR: Final = 1  # Go's zero time: an alert that has not ended

LabelName = Annotated[str, Field(min_length=1, max_length=200)]
LabelValue = Annotated[str, Field(max_length=1024)]
Labels = Annotated[dict[LabelName, LabelValue], Field(max_length=64)]
Notes = Annotated[dict[LabelName, Annotated[str, Field(max_length=8192)]], Field(max_length=64)]


class _Told(BaseModel):
    """What others send: keys that nobody here uses are not looked at."""

    model_config = ConfigDict(extra="ignore")


class AlertBody(_Told):
    """One alert."""

    status: Literal["firing", "resolved"]
    labels: Labels
    annotations: Notes = Field(default_factory=dict)
    startsAt: AwareDatetime  # noqa: N815 - Alertmanager's name
    endsAt: AwareDatetime | None = None  # noqa: N815 - Alertmanager's name
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]


class AlertsBody(_Told):
    """One message of an Alertmanager."""

    version: Literal["4"]
    status: Literal["firing", "resolved"]
    alerts: Annotated[list[AlertBody], Field(max_length=ALERTS_MAX)]
    truncatedAlerts: Annotated[int, Field(ge=0, le=10**9)] = 0  # noqa: N815 - Alertmanager's name


class HeardOut(Body):
    """What became of the alerts of one message."""

    new: int
    changed: int
    repeated: int
    own: int = Field(description="They were ours and came back; not shown.")
    unplaced: int = Field(description="Of all that are shown, those about no deployment of ours.")
    off_record: int = Field(description="Shown, and not in the journal: too many of late.")
    truncated: int = Field(description="What Alertmanager itself left out.")


class AlertOut(Body):
    """One alert as it was told last."""

    fingerprint: str
    name: str
    deployment: str | None = Field(description="Null for none that is managed here.")
    state: Literal["firing", "resolved", "unknown"] = Field(
        description="Unknown: it fired, and has not been heard of for twelve hours."
    )
    starts_at: float | None
    ends_at: float | None
    heard_at: float | None
    severity: str
    summary: str
    labels: dict[str, str]
    by: str


class AlertsOut(Body):
    """Alerts, the one heard of last first."""

    alerts: list[AlertOut]


def router(deps: Deps, heard: Heard) -> APIRouter:
    """Return the routes of alerts.

    Args:
        deps: What every route may use.
        heard: What was heard.
    """
    routes = APIRouter()

    @routes.get("/v1/alerts", response_model=AlertsOut)
    async def alerts(name: NameQuery = None) -> dict[str, Any]:
        """What others' alerts say, newest first; nothing is done for them or because of them."""
        now = deps.clock()
        return {"alerts": [plain(one, now) for one in heard.newest(name)]}

    @routes.post("/v1/alerts", response_model=HeardOut)
    async def told(body: AlertsBody, request: Request) -> dict[str, int]:
        """Take alerts of an Alertmanager; they are shown, and are no reason to act."""
        _leads(deps)
        now, by = deps.clock(), caller(request, None).by
        known = {one.name for one in deps.view.deployments()}
        found = [_alert(one, heard.label, known, by, now) for one in body.alerts]
        return {**heard.take(found, now), "truncated": body.truncatedAlerts}

    return routes


def _leads(deps: Deps) -> None:
    """Go on if this controller leads.

    Raises:
        ProblemError: 503, it does not; Alertmanager sends again what was answered so.
    """
    if deps.standby():
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "this controller is a standby, and keeps no record",
            "send it to the one that leads; Alertmanager tries again by itself",
        )


def _alert(one: AlertBody, label: str, known: set[str], by: str, now: TimeNs) -> Alert:
    labels = {_clean(name): _clean(value) for name, value in one.labels.items()}
    about = labels.get(label, "")
    ended = one.endsAt if one.status == "resolved" else None
    said = one.annotations.get("summary") or one.annotations.get("description") or ""
    return Alert(
        fingerprint=one.fingerprint,
        name=labels.get("alertname", "")[:200],
        deployment=about if about in known else "",
        fires=one.status == "firing",
        starts_at=_ns(one.startsAt),
        ends_at=None if ended is None or ended.year == _NEVER_YEAR else _ns(ended),
        severity=labels.get("severity", "")[:50],
        summary=_clean(said)[:500],
        labels=tuple(sorted(labels.items())),
        by=by,
        heard_at=now,
    )


def _ns(at: datetime) -> TimeNs:
    return TimeNs(round(at.timestamp() * 1e6) * (SECOND // 1_000_000))


def _clean(text: str) -> str:
    """Return text in which nothing turns a line around, moves a cursor or begins a new line."""
    return "".join(one if one.isprintable() else "?" for one in text)
