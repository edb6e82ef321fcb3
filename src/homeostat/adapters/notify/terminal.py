"""Tells people in the terminal: one line a notice, on stderr, so that stdout stays data.

Text from outside is printed as text: no markup, no control characters. Lines are never edited in
place; the key at the start of each line ties those of one incident together.
"""

from datetime import UTC, datetime, tzinfo
from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.text import Text

from homeostat.base.decisions import Notice, Urgency
from homeostat.base.part import Part
from homeostat.base.units import SECOND

_STYLE: Final = {Urgency.INFO: "dim", Urgency.ASK: "bold yellow", Urgency.PAGE: "bold red"}
_ORDER: Final = (Urgency.INFO, Urgency.ASK, Urgency.PAGE)
_LINE_MAX: Final = 2000  # characters; a notice is a line, not a report


class TerminalSettings(BaseModel):
    """Settings of the terminal notifier."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    least: Urgency = Field(default=Urgency.INFO, description="Say nothing less urgent than this.")
    utc: bool = Field(default=False, description="Times in UTC, not in the local zone.")


class Terminal:
    """See `homeostat.base.ports.Notifier`."""

    def __init__(self, settings: TerminalSettings, *, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._least = _ORDER.index(settings.least)
        self._zone: tzinfo | None = UTC if settings.utc else None

    async def notify(self, notice: Notice) -> None:
        """Print one line."""
        if _ORDER.index(notice.urgency) < self._least:
            return
        at = datetime.fromtimestamp(notice.at / SECOND, UTC).astimezone(self._zone)
        line = Text()
        line.append(f"{at:%H:%M:%S} ")
        line.append(f"{notice.urgency.value:<4} ", style=_STYLE[notice.urgency])
        line.append(f"{_plain(notice.key)} {_plain(notice.deployment)}: ")
        line.append(_plain(notice.title), style="bold")
        if notice.lines:
            line.append(" | " + "; ".join(_plain(text) for text in notice.lines), style="dim")
        line.truncate(_LINE_MAX, overflow="ellipsis")
        self._console.print(line, soft_wrap=True)

    async def close(self) -> None:
        """Nothing is held."""


def _plain(text: str) -> str:
    """Return text that cannot move the cursor, colour the screen or begin a new line."""
    return "".join(character if character.isprintable() else "?" for character in text)


def build(settings: TerminalSettings, *, console: Console | None = None) -> Terminal:
    """Return a notifier that prints to stderr, or to the given console."""
    return Terminal(settings, console=console)


PART = Part(
    kind="notifier",
    name="terminal",
    summary="Prints one line a notice to stderr.",
    config=TerminalSettings,
    build=build,
)
