"""The world as read back: replicas, versions and levers of one deployment.

A lever is one named setting that an actuator can set to an absolute value. Every action is a
change of levers, so that it can be repeated without harm, read back, and undone from its
pre-image. A snapshot is what the actuators said; it is never inferred from what we sent.
"""

from dataclasses import dataclass
from enum import StrEnum

from homeostat.base.units import TimeNs

Scalar = int | float | str
Levers = tuple[tuple[str, Scalar], ...]
"""Lever name to absolute value, sorted by name."""


class ReplicaState(StrEnum):
    """Life cycle of one replica slot."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    GONE = "gone"  # the process is not there


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica slot.

    Attributes:
        name: Slot name, stable over restarts, for example `a-1`.
        pool: The pool (traffic arm) it serves in, for example `a`.
        version: The artefact version its process reports; None when it cannot say.
        state: Life cycle.
        incarnation: Counts the processes this slot has had.
        started_at: When this process was started, None if unknown.
        memory_bytes: Resident memory, None if unknown.
        memory_limit_bytes: The limit at which it is killed, None if it has none.
        address: `host:port` where it serves, None if unknown.
    """

    name: str
    pool: str
    version: str | None
    state: ReplicaState
    incarnation: int
    started_at: TimeNs | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A version that a pool has run, oldest first in `Snapshot.releases`."""

    pool: str
    version: str
    since: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Who wrote last, as kept by the target itself.

    Attributes:
        actuator: The actuator's name in the configuration.
        token: Compare-and-set token (resource version), None where the target has none.
        intent: Id of the last intent of ours that landed, None for none or a foreign write.
        epoch: Highest controller epoch the target has seen, None where it keeps none.
    """

    actuator: str
    token: str | None
    intent: str | None
    epoch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One deployment as its actuators report it.

    Attributes:
        deployment: The managed model's name.
        observed_at: When it was read.
        replicas: Every slot, sorted by name.
        releases: Versions each pool has run, oldest first; the last one per pool is current.
        levers: Every lever's live value.
        stamps: One per actuator that was read, sorted by name.
        spares: Warm spare processes that are ready.
        changing: True while the target is still carrying out an accepted change.
    """

    deployment: str
    observed_at: TimeNs
    replicas: tuple[Replica, ...]
    releases: tuple[Release, ...]
    levers: Levers
    stamps: tuple[Stamp, ...]
    spares: int = 0
    changing: bool = False

    def lever(self, name: str) -> Scalar | None:
        """Return a lever's live value, None if no actuator reported it."""
        for key, value in self.levers:
            if key == name:
                return value
        return None

    def stamp(self, actuator: str) -> Stamp | None:
        """Return the named actuator's stamp, None if it was not read."""
        return next((stamp for stamp in self.stamps if stamp.actuator == actuator), None)
