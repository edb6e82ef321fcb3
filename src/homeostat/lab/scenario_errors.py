"""What is said when a scenario file cannot be used: the place, the value and the fix.

Not the server's configuration errors, which speak of another schema; both are `ConfigError`.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from homeostat.base.errors import ConfigError

_SHOWN: Final = 60  # characters of a value that a message repeats


class ScenarioError(ConfigError):
    """A scenario file cannot be used.

    Attributes:
        file: Its name.
        line: From 1.
        problem: What is wrong there, and the fix.
    """

    def __init__(self, file: str, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}")
        self.file, self.line, self.problem = file, line, problem


class TraceError(ConfigError):
    """A recorded load cannot be used; file, line and problem as in `ScenarioError`."""

    def __init__(self, file: str, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}")
        self.file, self.line, self.problem = file, line, problem


class DrawError(ConfigError):
    """A scenario cannot become an episode as asked, for example with too few slots."""


def close_to(name: str, known: Iterable[str]) -> str:
    """Return the did-you-mean part of a message, or the known names if none is close.

    >>> close_to("contenton", ["contention", "net_loss"])
    "did you mean 'contention'?"
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"


def shown(value: object) -> str:
    """Return a value as a message repeats it: short."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
