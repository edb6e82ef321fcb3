"""One Slack message a matter, edited in place: `chat.postMessage`, then `chat.update`.

Answers come back to the controller's API, not here. An answer of Slack's that is lost leaves open
whether the message is there, so that a matter may then have two; a message that somebody deleted
is written anew. Pages are always written; of all else at most `per_day` messages begin a day.
Source: docs.slack.dev/reference/methods (chat.postMessage, chat.update, chat.postEphemeral).
"""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from homeostat.adapters._signed import Resolve, plain_url, resolved
from homeostat.adapters.notify._calls import OK, BusyError, Calls, plain, secret_text
from homeostat.adapters.notify._slack_kept import Kept, Place
from homeostat.adapters.notify._slack_message import message
from homeostat.base.bulletin import Bulletin, alone
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.errors import NotifierError
from homeostat.base.part import Part

_ORDER: Final = (Urgency.INFO, Urgency.ASK, Urgency.PAGE)
_DAY_S: Final = 86_400.0
_EDITED_S: Final = 3600.0  # a word without an end edits the one before it for this long
_GONE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_WAIT: Final = frozenset({"ratelimited", "rate_limited", "service_unavailable", "internal_error"})
_SAME_MAX: Final = 1024


class SlackSettings(BaseModel):
    """Settings of one channel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: str = Field(pattern=r"^[CG][A-Z0-9]{1,39}$", description="The channel's id, C0123.")
    bot_token_file: Path = Field(description="Holds the bot's token, xoxb-...")
    kept_file: Path | None = Field(
        default=None, description="Keeps which message is whose over a restart; no text in it."
    )
    buttons: bool = Field(default=False, description="Answers given in Slack come back to us.")
    console: str = Field(default="", description="The console's address, for links.")
    least: Urgency = Field(default=Urgency.INFO, description="Begin no less urgent message.")
    per_day: int = Field(
        default=100, ge=1, le=10_000, description="Pages and questions do not count."
    )
    api: str = Field(default="https://slack.com/api", description="Slack's Web API.")
    allow: tuple[str, ...] = Field(
        default=(), description="HOST:PORT that may be private, without TLS or on another port."
    )
    timeout_s: float = Field(default=5.0, gt=0, le=60, description="Deadline of one call.")

    @field_validator("api", "console")
    @classmethod
    def _an_address(cls, url: str) -> str:
        return plain_url(url).rstrip("/") if url else url


class Slack:
    """See `homeostat.base.ports.Notifier` and `homeostat.base.bulletin.Showing`."""

    again_s: float | None = None
    """A message stands by itself; it is edited when something changes."""

    def __init__(
        self,
        settings: SlackSettings,
        *,
        resolve: Resolve = resolved,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._wall = settings, wall
        self._calls = Calls(allow=settings.allow, timeout_s=settings.timeout_s, resolve=resolve)
        self._kept = Kept(settings.kept_file)
        self._same: dict[str, str] = {}
        self._begun: list[float] = []
        self._token()  # fail when it is built, not at the first incident

    @property
    def channel(self) -> str:
        """The channel's id."""
        return self._settings.channel

    async def notify(self, notice: Notice) -> None:
        """Write one notice, or edit the last one of its key.

        Raises:
            NotifierError: It may not be there.
        """
        await self.show(alone(notice))

    async def show(self, bulletin: Bulletin) -> None:
        """Write the message of a matter, or bring it up to date.

        Raises:
            NotifierError: It may not be up to date.
        """
        settings = self._settings
        matter = f"{bulletin.deployment} {bulletin.key}"
        body = message(bulletin, console=settings.console, buttons=settings.buttons)
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        if self._same.get(matter) == digest:
            return
        place = self._place(matter, bulletin)
        if place is None or not await self._edited(place, body):
            if not self._may_begin(bulletin):
                return
            place = await self._written(body, bulletin)
            if place.is_good:  # else it stands, and what comes next begins another
                self._kept.put(matter, place)
        self._remember(matter, digest)

    async def whisper(self, user: str, text: str) -> None:
        """Tell one person in the channel, unseen by the others.

        Args:
            user: Slack's id of them.
            text: What to say.

        Raises:
            NotifierError: It may not have been said.
        """
        said = plain(text, 1000).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        body = {"channel": self._settings.channel, "user": user, "text": said}
        answer = await self._call("chat.postEphemeral", body)
        if answer.get("ok") is not True:
            raise NotifierError(f"Slack did not whisper: {_error(answer)}")

    async def close(self) -> None:
        """Release connections."""
        await self._calls.close()

    def _place(self, matter: str, bulletin: Bulletin) -> Place | None:
        """Return the message to edit; a word without an end edits only a recent one."""
        place = self._kept.find(matter)
        if place is None or place.channel != self._settings.channel:
            return None
        lasts = bulletin.lasting or bulletin.question is not None or bulletin.over_at is not None
        return place if lasts or self._wall() - place.at < _EDITED_S else None

    def _may_begin(self, bulletin: Bulletin) -> bool:
        """Return whether a message may be begun; the day's number is no reason not to ask."""
        if bulletin.urgency is Urgency.PAGE:
            return True
        if _ORDER.index(bulletin.urgency) < _ORDER.index(self._settings.least):
            return False
        now = self._wall()
        self._begun = [at for at in self._begun if 0.0 <= now - at < _DAY_S]
        return _must_be_seen(bulletin) or len(self._begun) < self._settings.per_day

    async def _edited(self, place: Place, body: dict[str, Any]) -> bool:
        """Return whether the message was there to be edited.

        Raises:
            NotifierError: Slack did not take the edit.
        """
        said = {**body, "channel": place.channel, "ts": place.ts}
        answer = await self._call("chat.update", said)
        if answer.get("ok") is True:
            return True
        if answer.get("error") in _GONE:
            return False
        raise NotifierError(f"Slack did not take the edit: {_error(answer)}")

    async def _written(self, body: dict[str, Any], bulletin: Bulletin) -> Place:
        now = self._wall()
        answer = await self._call("chat.postMessage", {**body, "channel": self._settings.channel})
        if answer.get("ok") is not True:
            raise NotifierError(f"Slack did not take the message: {_error(answer)}")
        place = Place(channel=self._settings.channel, ts=str(answer.get("ts")), at=now)
        if not _must_be_seen(bulletin):
            self._begun.append(now)
        return place

    def _remember(self, matter: str, digest: str) -> None:
        self._same.pop(matter, None)
        self._same[matter] = digest
        while len(self._same) > _SAME_MAX:
            del self._same[next(iter(self._same))]

    async def _call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return what Slack answers.

        Raises:
            BusyError: It asks to be left alone.
            NotifierError: It is no answer of Slack's.
        """
        headers = {"authorization": f"Bearer {self._token()}"}
        status, raw = await self._calls.post(f"{self._settings.api}/{method}", body, headers)
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError):
            answer = None
        if status != OK or not isinstance(answer, dict):
            raise NotifierError(f"{method}: status {status} and no answer of Slack's")
        if answer.get("error") in _WAIT:
            raise BusyError(f"{method}: {answer['error']}", 0.0)
        return answer

    def _token(self) -> str:
        return secret_text(self._settings.bot_token_file)


def _must_be_seen(bulletin: Bulletin) -> bool:
    """Return whether somebody waits for a person: it pages, asks, or holds a question."""
    return bulletin.urgency is not Urgency.INFO or bulletin.question is not None


def _error(answer: dict[str, Any]) -> str:
    return plain(str(answer.get("error", "no reason given")), 100)


def build(settings: SlackSettings, **outside: Any) -> Slack:
    """Return a notifier that keeps one message a matter in a channel.

    Args:
        settings: See `SlackSettings`.
        outside: `resolve` and `wall` of `Slack`, for tests.

    Raises:
        NotifierError: The token cannot be used.
    """
    return Slack(settings, **outside)


PART = Part(
    kind="notifier",
    name="slack",
    summary="Keeps one Slack message an incident, edited in place.",
    config=SlackSettings,
    build=build,
)
