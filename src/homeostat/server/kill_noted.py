"""The kill switch with every throw on record: who, when and why, in the journal's hash chain.

The switch comes first: one that cannot be noted is thrown all the same, and the log says so.
"""

import json
from collections.abc import Callable
from typing import Final

import structlog

from homeostat.base.errors import HomeostatError, OutOfStepError, StoreError
from homeostat.base.ports import Journal
from homeostat.base.types import KillLevel, TimeNs
from homeostat.server.kill import KillSwitch

log = structlog.get_logger()

THROWN: Final = b'{"kill.thrown"'


class NotedKill:
    """What the API throws.

    Args:
        switch: The switch itself.
        journal: The record.
        clock: The controller's clock.
        end: Told when the controller's memory is older than the record: that is said once.
    """

    def __init__(
        self,
        switch: KillSwitch,
        journal: Journal,
        clock: Callable[[], TimeNs],
        end: Callable[[HomeostatError], None],
    ) -> None:
        self._switch, self._journal, self._clock, self._end = switch, journal, clock, end

    def level(self) -> KillLevel:
        """Return the level in force."""
        return self._switch.level()

    def throw(self, level: KillLevel, by: str) -> None:
        """Set the level, then note it.

        Raises:
            HomeostatError: It could not be set.
        """
        self._switch.throw(level, by)
        who, _, why = by.partition(": ")
        said = {"kill.thrown": {"by": who, "level": level.value, "why": why}}
        body = json.dumps(said, separators=(",", ":"), sort_keys=True).encode()
        try:
            self._journal.append([(self._clock(), "", "note", body)], durable=True)
        except StoreError as error:
            if isinstance(error, OutOfStepError):
                self._end(error)
            log.warning("kill", level=level.value, by=by, effect="thrown, not on record",
                        problem=str(error))  # fmt: skip
