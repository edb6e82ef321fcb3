"""Alerts for an Alertmanager, so that what people already route, silence and group is used.

API v2, `POST /api/v2/alerts`. Alertmanager knows an alert by its labels, so those of an incident
never change: up to three alerts an incident, one for each thing that people may want to hear of.
Each carries an end of its own, four times as far away as it is sent again (as Prometheus does it):
where this controller falls silent, its alerts end, and its dead-man rule has to speak.
Source: github.com/prometheus/alertmanager, api/v2/openapi.yaml; prometheus/rules/manager.go.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from homeostat.adapters._signed import Resolve, plain_url, resolved
from homeostat.adapters.notify._alert_labels import LABEL, OWN_LABELS, SOURCE
from homeostat.adapters.notify._calls import OK, Calls, basic, lines, plain, secret_text
from homeostat.base.bulletin import Bulletin, alone
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.errors import NotifierError
from homeostat.base.part import Part
from homeostat.base.units import SECOND, TimeNs

PATH: Final = "/api/v2/alerts"
_ENDS: Final = 4  # times `again_s`: three lost sendings end no alert
_SAID_S: Final = 3600.0  # how long a word that nobody takes back stays an alert
_TITLE, _WORDS, _VALUE = 300, 2000, 200  # characters
_LEVELS: Final = {
    Urgency.INFO: ("HomeostatIncident", "info"),
    Urgency.ASK: ("HomeostatAsks", "warning"),
    Urgency.PAGE: ("HomeostatNeedsAPerson", "critical"),
}
_ORDER: Final = tuple(_LEVELS)
_SENT_MAX: Final = 4096


class AlertmanagerSettings(BaseModel):
    """Settings of one Alertmanager."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="Where it is, http(s)://HOST[:PORT][/PREFIX].")
    allow: tuple[str, ...] = Field(
        default=(), description="HOST:PORT that may be private, without TLS or on another port."
    )
    token_file: Path | None = Field(default=None, description="Holds a bearer token.")
    user: str | None = Field(default=None, description="For basic authentication.")
    password_file: Path | None = Field(default=None, description="Holds its password.")
    labels: dict[str, str] = Field(default_factory=dict, description="More labels, for routing.")
    console: str = Field(default="", description="The console's address, for links.")
    least: Urgency = Field(default=Urgency.ASK, description="Send nothing less urgent than this.")
    again_s: float = Field(default=60.0, ge=1, le=3600, description="What is open is sent again.")
    timeout_s: float = Field(default=5.0, gt=0, le=60, description="Deadline of one sending.")

    @field_validator("url", "console")
    @classmethod
    def _an_address(cls, url: str) -> str:
        return plain_url(url).rstrip("/") if url else url

    @field_validator("labels")
    @classmethod
    def _names(cls, labels: dict[str, str]) -> dict[str, str]:
        for name, value in labels.items():
            if (
                re.fullmatch(LABEL, name) is None
                or name in OWN_LABELS
                or not 0 < len(value) <= _VALUE
            ):
                raise ValueError(
                    f"label {name!r}: write a name of letters, digits and _ that is none of "
                    f"{', '.join(sorted(OWN_LABELS))}, and a value of 1 to {_VALUE} characters"
                )
        return labels

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file belong together; write both or neither")
        if self.user is not None and self.token_file is not None:
            raise ValueError("says both a token and a password; keep one")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class _Alert:
    """One alert: whose it is, since when, and whether it fires."""

    level: Urgency
    since: TimeNs
    fires: bool


class Alertmanager:
    """See `homeostat.base.ports.Notifier` and `homeostat.base.bulletin.Showing`."""

    def __init__(
        self,
        settings: AlertmanagerSettings,
        *,
        resolve: Resolve = resolved,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._wall = settings, wall
        self._calls = Calls(allow=settings.allow, timeout_s=settings.timeout_s, resolve=resolve)
        self._firing: dict[tuple[str, str, Urgency], TimeNs] = {}
        self._headers()  # fail when it is built, not at the first incident

    @property
    def again_s(self) -> float:
        """How often what is open is sent again, seconds."""
        return self._settings.again_s

    async def notify(self, notice: Notice) -> None:
        """Send one notice as an alert that ends by itself.

        Raises:
            NotifierError: It may not have arrived.
        """
        await self.show(alone(notice))

    async def show(self, bulletin: Bulletin) -> None:
        """Send what fires of one matter, and the end of what no longer does.

        Raises:
            NotifierError: It may not have arrived.
        """
        wanted = [one for one in self._alerts(bulletin) if self._counts(one.level)]
        if not wanted:
            return
        body = [self._plain(bulletin, one) for one in wanted]
        status, answer = await self._calls.post(
            f"{self._settings.url}{PATH}", body, self._headers()
        )
        if status != OK:
            said = plain(answer.decode("utf-8", "replace"), 200)
            raise NotifierError(f"{self._settings.url} refused alerts with status {status}: {said}")
        for one in wanted:
            self._note((bulletin.deployment, bulletin.key, one.level), one)

    async def close(self) -> None:
        """Release connections; alerts that are open end by themselves."""
        await self._calls.close()

    def _counts(self, level: Urgency) -> bool:
        return _ORDER.index(level) >= _ORDER.index(self._settings.least)

    def _note(self, key: tuple[str, str, Urgency], one: _Alert) -> None:
        self._firing.pop(key, None)
        if one.fires:
            self._firing[key] = one.since
            if len(self._firing) > _SENT_MAX:
                del self._firing[next(iter(self._firing))]

    def _alerts(self, bulletin: Bulletin) -> list[_Alert]:
        """Return what fires now, and what fired before or may have and does not any more."""
        asked = bulletin.question
        if not bulletin.lasting and asked is None:
            fires = bulletin.over_at is None
            return [_Alert(level=bulletin.urgency, since=bulletin.since, fires=fires)]
        since: dict[Urgency, TimeNs] = {}
        if bulletin.lasting:
            since[Urgency.INFO] = bulletin.since
        if asked is not None:
            since[Urgency.ASK] = asked.asked_at
        if bulletin.paged_at is not None:
            since[Urgency.PAGE] = bulletin.paged_at
        found = []
        for level in _ORDER:
            before = self._firing.get((bulletin.deployment, bulletin.key, level))
            if level in since:
                found.append(_Alert(level=level, since=since[level], fires=bulletin.is_open))
            elif before is not None:
                found.append(_Alert(level=level, since=before, fires=False))
        return found

    def _plain(self, bulletin: Bulletin, one: _Alert) -> dict[str, Any]:
        name, severity = _LEVELS[one.level]
        now = self._wall()
        began = min(one.since / SECOND, now)
        ends = now
        if one.fires and bulletin.is_open:
            ends = now + _ENDS * self._settings.again_s
        elif one.fires:
            ends = max(now, began + _SAID_S)
        words = [*bulletin.because, *(line for _, line in bulletin.story)]
        plain_alert: dict[str, Any] = {
            "labels": {
                **self._settings.labels,
                "alertname": name,
                "severity": severity,
                "source": SOURCE,
                "deployment": plain(bulletin.deployment, _VALUE),
                "incident": plain(bulletin.key, _VALUE),
            },
            "annotations": {
                "summary": plain(bulletin.title, _TITLE),
                "description": lines(words, _WORDS),
            },
            "startsAt": _rfc3339(began),
            "endsAt": _rfc3339(ends),
        }
        if self._settings.console:
            plain_alert["generatorURL"] = f"{self._settings.console}/d/{bulletin.deployment}"
        return plain_alert

    def _headers(self) -> dict[str, str]:
        """Return the headers that let us in; files are read each time.

        Raises:
            NotifierError: A secret cannot be read.
        """
        said = self._settings
        if said.token_file is not None:
            return {"authorization": f"Bearer {secret_text(said.token_file)}"}
        if said.user is not None and said.password_file is not None:
            return {"authorization": basic(said.user, secret_text(said.password_file))}
        return {}


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def build(settings: AlertmanagerSettings, **outside: Any) -> Alertmanager:
    """Return a notifier that keeps alerts in an Alertmanager.

    Args:
        settings: See `AlertmanagerSettings`.
        outside: `resolve` and `wall` of `Alertmanager`, for tests.

    Raises:
        NotifierError: A secret cannot be used.
    """
    return Alertmanager(settings, **outside)


PART = Part(
    kind="notifier",
    name="alertmanager",
    summary="Keeps alerts in an Alertmanager (API v2), one set of labels an incident.",
    config=AlertmanagerSettings,
    build=build,
)
