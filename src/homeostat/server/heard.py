"""Alerts of other people's rules, as an Alertmanager tells them: shown, and nothing else.

What is heard here reaches people and the record. It is no part of the loop's state: no detector,
no guard and no learner sees it, so it can neither begin an action nor permit one (decision 21).
Bounded memory of one thread. Silence proves nothing: an alert that is not heard of any more is
unknown after a while, and is over only when somebody said so.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from homeostat.adapters.notify._alert_labels import SOURCE
from homeostat.base.errors import HomeostatError, OutOfStepError, StoreError
from homeostat.base.ports import Journal
from homeostat.base.units import HOUR, TimeNs
from homeostat.server.view_plain import when

log = structlog.get_logger()

KEPT: Final = 500
"""Alerts kept; beyond that the one heard of longest ago makes room, resolved ones first."""
QUIET_NS: Final = 12 * HOUR
"""How long an alert is believed without being heard of: three times Alertmanager's own
`repeat_interval` of four hours."""
NOTES: Final = 60
"""So many alerts an hour go on record; the rest are shown and counted."""
NOTED: Final = b'{"alert.heard"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert as it was told last.

    Attributes:
        fingerprint: Alertmanager's; with `starts_at` it names one firing.
        name: Its `alertname`, empty if it has none.
        deployment: Which of ours it is about; empty for none that we manage.
        fires: False once somebody said that it is resolved.
        starts_at: When it began, by whoever told it.
        ends_at: When it ended, None while it fires.
        severity: Its `severity`, empty if it has none.
        summary: Its annotation `summary` or `description`, empty if it has neither.
        labels: All of its labels.
        by: Who told it.
        heard_at: When it was heard of last, by our time.
    """

    fingerprint: str
    name: str
    deployment: str
    fires: bool
    starts_at: TimeNs
    ends_at: TimeNs | None
    severity: str
    summary: str
    labels: tuple[tuple[str, str], ...]
    by: str
    heard_at: TimeNs

    def state(self, now: TimeNs) -> str:
        """Return `firing`, `resolved` or `unknown`."""
        if not self.fires:
            return "resolved"
        return "firing" if now - self.heard_at <= QUIET_NS else "unknown"

    @property
    def words(self) -> str:
        """Return it as one line for people."""
        kind = f" ({self.severity})" if self.severity else ""
        said = f": {self.summary}" if self.summary else ""
        return f"alert {self.name or self.fingerprint}{kind} {self._verb}{said}"

    @property
    def _verb(self) -> str:
        return "fires" if self.fires else "is resolved"


class Heard:
    """What was heard.

    Args:
        label: The label that names a deployment of ours.
        on_news: Told of each alert that is new or changed: (alert).
        note: Puts one on record; None where there is no journal.
    """

    def __init__(
        self,
        label: str = "deployment",
        *,
        on_news: Callable[[Alert], None] = lambda _: None,
        note: Callable[[Alert], None] | None = None,
    ) -> None:
        self.label = label
        self._on_news, self._note = on_news, note
        self._alerts: OrderedDict[tuple[str, int], Alert] = OrderedDict()
        self._noted: list[TimeNs] = []

    def newest(self, deployment: str | None = None) -> list[Alert]:
        """Return the alerts, the one heard of last first; of one deployment if one is named."""
        found = reversed(self._alerts.values())
        return [one for one in found if deployment in {None, one.deployment}]

    def take(self, alerts: Sequence[Alert], now: TimeNs) -> dict[str, int]:
        """Take alerts and return what became of them.

        Args:
            alerts: As told, with `heard_at` now.
            now: Our time.

        Returns:
            `new`, `changed`, `repeated`, `own` (they were ours and came back), `unplaced` (of the
            first three, those about no deployment of ours) and `off_record` (shown only).
        """
        counts = dict.fromkeys(("new", "changed", "repeated", "own", "unplaced", "off_record"), 0)
        for alert in alerts:
            if dict(alert.labels).get("source") == SOURCE:
                counts["own"] += 1
                continue
            what = self._keep(alert)
            counts[what] += 1
            counts["unplaced"] += not alert.deployment
            if what != "repeated":
                self._on_news(alert)
                counts["off_record"] += not self._on_record(alert, now)
        return counts

    def _keep(self, alert: Alert) -> str:
        key = (alert.fingerprint, alert.starts_at)
        before = self._alerts.pop(key, None)
        self._alerts[key] = alert
        while len(self._alerts) > KEPT:
            old = (one for one, what in self._alerts.items() if not what.fires)
            del self._alerts[next(old, next(iter(self._alerts)))]
        if before is None:
            return "new"
        return "repeated" if replace(before, heard_at=alert.heard_at) == alert else "changed"

    def _on_record(self, alert: Alert, now: TimeNs) -> bool:
        """Put an alert on record, unless there were too many of late: the record stays for ever."""
        self._noted = [at for at in self._noted if 0 <= now - at < HOUR]
        if self._note is None or len(self._noted) >= NOTES:
            return False
        self._noted.append(now)
        self._note(alert)
        return True


def noting(
    journal: Journal, clock: Callable[[], TimeNs], end: Callable[[HomeostatError], None]
) -> Callable[[Alert], None]:
    """Return what puts an alert on record; one that cannot be noted is shown all the same.

    Args:
        journal: The record.
        clock: The controller's clock.
        end: Told when the controller's memory is older than the record.
    """

    def note(alert: Alert) -> None:
        try:
            row = (clock(), alert.deployment, "note", noted(alert))
            journal.append([row], durable=False)
        except StoreError as error:
            if isinstance(error, OutOfStepError):
                end(error)
            log.warning("alert", name=alert.name[:100], effect="shown, not on record",
                        problem=str(error))  # fmt: skip

    return note


def noted(alert: Alert) -> bytes:
    """Return the body of the note."""
    said = {
        "by": alert.by,
        "fires": alert.fires,
        "fingerprint": alert.fingerprint,
        "name": alert.name,
        "starts_at": when(alert.starts_at),
        "summary": alert.summary,
        "words": alert.words,
    }
    return json.dumps({"alert.heard": said}, separators=(",", ":"), sort_keys=True).encode()


def plain(alert: Alert, now: TimeNs) -> dict[str, Any]:
    """Return one alert as JSON-ready values."""
    return {
        "fingerprint": alert.fingerprint,
        "name": alert.name,
        "deployment": alert.deployment or None,
        "state": alert.state(now),
        "starts_at": when(alert.starts_at),
        "ends_at": when(alert.ends_at),
        "heard_at": when(alert.heard_at),
        "severity": alert.severity,
        "summary": alert.summary,
        "labels": dict(alert.labels),
        "by": alert.by,
    }
