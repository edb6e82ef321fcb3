"""What `/metrics` is given of the controller itself; all of it may be missing."""

from collections.abc import Callable
from dataclasses import dataclass, field

from homeostat.server.telemetry.pulse import Pulse


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Where the numbers of the process itself come from.

    Attributes:
        pulse: What the runtime tells.
        epoch: The epoch that it leads under, 0 in standby.
        problem: Why the configuration files as they are cannot be used, empty if they can; None
            where nobody watches them.
        notifiers: The ways in which people are told.
        spans: How many spans were sent, dropped and failed; None where none are made.
    """

    pulse: Pulse = field(default_factory=Pulse)
    epoch: Callable[[], int] = int
    problem: Callable[[], str | None] = lambda: None
    notifiers: tuple[str, ...] = ()
    spans: Callable[[], tuple[int, int, int]] | None = None
