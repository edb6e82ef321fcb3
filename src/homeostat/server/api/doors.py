"""Ways in for machines: a token that opens one path, and requests that are signed.

Neither opens anything else. A door that is not configured is not there: its path is then for an
admin's token alone, or for nobody.
"""

import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from starlette.datastructures import Headers

from homeostat.adapters._signed import NotSentError, secret_in
from homeostat.server.heard import Heard
from homeostat.server.people import Principal, Role, digest
from homeostat.server.slack_signed import refusal

log = structlog.get_logger()

ALERTS_PATH: Final = "/v1/alerts"
SLACK_PATH: Final = "/v1/slack"
ALERTMANAGER: Final = Principal(
    name="alertmanager", role=Role.VIEWER, named=True, key="alertmanager"
)
SLACK: Final = Principal(name="slack", role=Role.VIEWER, named=True, key="slack")
"""The messenger, not the person: it may answer nothing by itself."""

ByToken = Callable[[str], Principal | None]
BySignature = Callable[[Headers, bytes], Principal | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clicks:
    """Answers that are given in Slack.

    Attributes:
        secret_file: Holds the app's signing secret.
        team: The workspace's id; answers from another are refused.
        channel: The channel's id; the same.
        people: Slack's id of somebody to their name here. Who is not in it cannot answer.
        whisper: Tells somebody in Slack, by their id, what became of their answer.
        wall: The machine's time, seconds.
    """

    secret_file: Path
    team: str
    channel: str
    people: Mapping[str, str]
    whisper: Callable[[str, str], Awaitable[None]]
    wall: Callable[[], float] = time.time

    def whose(self, headers: Headers, body: bytes) -> Principal | None:
        """Return Slack if the request is signed by it, None if not."""
        try:
            secret = secret_in(self.secret_file)
        except NotSentError as error:
            log.critical("slack", problem=str(error), effect="nobody can answer from Slack")
            return None
        why = refusal(
            secret,
            stamp=headers.get("x-slack-request-timestamp", ""),
            said=headers.get("x-slack-signature", ""),
            body=body,
            now_s=self.wall(),
        )
        if why:
            log.warning("slack", problem=why, effect="refused")
        return None if why else SLACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """All of them.

    Attributes:
        heard: Where alerts of others are kept.
        alerts_token_file: Holds the token that lets alerts in; None for an admin's alone.
        clicks: Answers given in Slack; None where none are taken.
    """

    heard: Heard = field(default_factory=Heard)
    alerts_token_file: Path | None = None
    clicks: Clicks | None = None

    def by_token(self) -> dict[str, ByToken]:
        """Return who a token is, by the one path that it opens."""
        return {} if self.alerts_token_file is None else {ALERTS_PATH: self._alertmanager}

    def by_signature(self) -> dict[str, BySignature]:
        """Return who signed a request, by path."""
        return {} if self.clicks is None else {SLACK_PATH: self.clicks.whose}

    def _alertmanager(self, token: str) -> Principal | None:
        """Return the Alertmanager if it is its token; the file is read anew each time."""
        if self.alerts_token_file is None:
            return None
        try:
            wanted = secret_in(self.alerts_token_file)
        except NotSentError as error:
            log.critical("alerts", problem=str(error), effect="no alert is taken")
            return None
        good = hmac.compare_digest(digest(token), digest(wanted.decode("utf-8", "surrogateescape")))
        return ALERTMANAGER if good else None
