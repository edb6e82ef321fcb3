"""Every error Homeostat raises on purpose, drawn as one tree.

HomeostatError
├── ConfigError            a file, a key or a name that a person wrote is wrong
│   └── UnknownPartError   a plug-in name that no room and no entry point offers
├── UnsafeActionError      somebody tried to build what the safe set does not hold
├── ProtocolError          an action record was asked for a transition it does not have
├── StoreError             the journal cannot be read or written; no record, no action
│   ├── CorruptStoreError  the hash chain or a row does not verify
│   ├── SupersededError    a newer controller claimed the journal; this one must end
│   ├── BusyStoreError     somebody else is writing it just now; later it may work
│   ├── UncertainStoreError  nobody knows whether the last append was kept; the next one finds out
│   └── OutOfStepError     what is in memory is not what is on record; start again from the record
├── SourceError            a source could not be read (the loop sees Unknown, never zero)
├── ActuatorError          an actuator could not be read, or answered what it must not
├── NotifierError          people could not be told; the caller counts it and goes on
└── TracesError            spans could not be delivered; the caller counts it and goes on

Expected trouble is a value (`Verdict.UNKNOWN`, `Hold`, `Receipt`); these are for broken promises
and for the edges, where they are caught once, by name.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final


class HomeostatError(Exception):
    """The root: catch it only at the edge of the program."""


class ConfigError(HomeostatError):
    """What a person wrote cannot be used; the message names the place, the value and the fix."""


class UnknownPartError(ConfigError):
    """A plug-in name that nothing offers.

    Attributes:
        name: The name that was asked for.
        kind: The kind of part, for example `detector`.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Build the message, with the closest known name as a suggestion."""
        known = sorted(known)
        close = get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        super().__init__(f"unknown {kind} {name!r}{hint} (known: {', '.join(known) or 'none'})")
        self.kind, self.name = kind, name


class UnsafeActionError(HomeostatError):
    """An action outside its safe set was proposed, or a safe set was forged."""


class ProtocolError(HomeostatError):
    """An action record has no transition for this news in this state."""


class StoreError(HomeostatError):
    """The journal could not be written or read; without a record there is no action."""


class CorruptStoreError(StoreError):
    """The journal's content does not match its hash chain.

    Attributes:
        seq: The first entry that does not verify.
    """

    def __init__(self, seq: int, reason: str) -> None:
        """Name the first bad entry and what to do about it."""
        super().__init__(
            f"journal entry {seq}: {reason}; no action is taken on a damaged record. "
            "Move the file aside and start again, or restore a backup"
        )
        self.seq = seq


class SupersededError(StoreError):
    """A newer controller claimed the journal: this one may never write again, and must end."""


class BusyStoreError(StoreError):
    """Somebody else holds the journal's lock: nothing was written, and nothing is wrong with it."""


class UncertainStoreError(StoreError):
    """The database went away during a commit: the rows are there or not, and only it knows.

    Nothing may be done on their strength. The next write finds out before anything else.
    """


class OutOfStepError(StoreError):
    """What a controller holds in memory is not what its journal says, through nobody's fault.

    Rows whose commit was in doubt were kept after all, or rows that were not asked to be durable
    were lost with the database's memory. It must start again from the journal.
    """


class SourceError(HomeostatError):
    """A source could not be read, or answered something that cannot be believed."""


class ActuatorError(HomeostatError):
    """An actuator could not be read, or its answer makes no sense."""


class TrainerError(HomeostatError):
    """A trainer could not be read, or its answer makes no sense."""


class NotifierError(HomeostatError):
    """A notice could not be delivered; the message never holds a secret."""


class TracesError(HomeostatError):
    """Spans could not be delivered; the message never holds a secret.

    Attributes:
        wait_s: How long to wait before the next try, seconds; None where there is no use in one.
    """

    def __init__(self, said: str, *, wait_s: float | None = None) -> None:
        """Keep what was said, and whether it may pass."""
        super().__init__(said)
        self.wait_s = wait_s


ENDING: Final = (SupersededError, CorruptStoreError, OutOfStepError)
"""What cannot be waited out: another owner, a damaged record, a memory that is not the record."""
