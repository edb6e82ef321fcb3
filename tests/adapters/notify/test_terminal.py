"""The terminal notifier: one line a notice, and nothing from outside but text."""

import io

import pytest
from rich.console import Console

from homeostat.adapters.notify.terminal import TerminalSettings, build
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.units import TimeNs
from homeostat.testing.notifier import NOTICES, check_notifier


class Screen:
    """A console that keeps what it printed."""

    def __init__(self, *, color: bool = False) -> None:
        self.file = io.StringIO()
        self.console = Console(file=self.file, width=60, force_terminal=color, highlight=False)

    def lines(self) -> list[bytes]:
        return [line.encode() for line in self.file.getvalue().splitlines()]


async def test_it_keeps_the_promises_of_a_notifier() -> None:
    screen = Screen()
    settings = TerminalSettings(utc=True)
    lines = await check_notifier(
        lambda: build(settings, console=screen.console), delivered=screen.lines
    )
    assert lines[0] == (
        b"08:00:00 page i-0001 credit: a-1 answers no probe | 3 rounds failed; restarting it"
    )
    assert b"[bold]<b>?[2J" in lines[2]
    assert len(lines[2].decode()) == 2000


async def test_no_control_character_from_outside_reaches_a_real_terminal() -> None:
    screen = Screen(color=True)
    notifier = build(TerminalSettings(), console=screen.console)
    await notifier.notify(NOTICES[2])
    printed = screen.file.getvalue()
    assert "\x1b[2J" not in printed
    assert "\u202e" not in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("least", "said"),
    [(Urgency.INFO, 3), (Urgency.ASK, 2), (Urgency.PAGE, 1)],
)
async def test_only_what_is_urgent_enough_is_said(least: Urgency, said: int) -> None:
    screen = Screen()
    notifier = build(TerminalSettings(least=least), console=screen.console)
    for urgency in Urgency:
        await notifier.notify(
            Notice(key="k", deployment="m", at=TimeNs(1), urgency=urgency, title="t")
        )
    assert len(screen.lines()) == said


async def test_it_speaks_on_stderr_only(capsys: pytest.CaptureFixture[str]) -> None:
    notifier = build(TerminalSettings())
    await notifier.notify(NOTICES[0])
    out, err = capsys.readouterr()
    assert out == ""
    assert "a-1 answers no probe" in err
