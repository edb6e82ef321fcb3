"""What the terminal shows while the demo runs: one line per thing that happened, with its time."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.text import Text

_STYLES = {
    "FAULT": "bold red",
    "detected": "yellow",
    "decided": "cyan",
    "acted": "cyan",
    "verified": "green",
    "recovered": "bold green",
    "held": "green",
    "escalated": "bold magenta",
    "told": "magenta",
    "asked": "magenta",
    "answered": "magenta",
    "problem": "bold red",
    "too busy": "bold red",
}


@dataclass(slots=True, kw_only=True)
class Story:
    """Prints the demo's story on stderr; data for scripts goes to the JSON file alone.

    Attributes:
        started: Monotonic time of the start, in seconds.
        quiet: Print nothing.
    """

    started: float = field(default_factory=time.monotonic)
    quiet: bool = False
    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def say(self, what: str, detail: str = "", *more: str) -> None:
        """Print one line, and further lines indented below it."""
        if self.quiet:
            return
        passed = time.monotonic() - self.started
        line = Text(f" {int(passed) // 60:02d}:{passed % 60:04.1f} ", style="dim")
        line.append(f"{what:<10} ", style=_STYLES.get(what, ""))
        line.append(detail)
        self.console.print(line, soft_wrap=True)
        for extra in more:
            self.console.print(Text(f"{'':19}{extra}", style="dim"), soft_wrap=True)

    def banner(self, lines: dict[str, Any]) -> None:
        """Print the head of the demo: where everything is."""
        if self.quiet:
            return
        self.console.print(Text("Homeostat demo", style="bold"), Text("Ctrl-C stops everything"))
        for name, value in lines.items():
            self.console.print(Text(f"  {name:<9}", style="dim"), Text(str(value)), soft_wrap=True)

    def table(self, rows: Iterable[str]) -> None:
        """Print what came of every fault, one line each."""
        if self.quiet:
            return
        for row in rows:
            self.console.print(Text(f" {row}"), soft_wrap=True)
