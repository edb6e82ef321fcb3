"""Where a fleet was, on the disk, so that a later run goes on bit for bit.

As `detect_state` for one file: the fleet's state and each file's place in one file, replaced whole
once all outputs have their names. A run that is broken off leaves the state of the one before.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.base.errors import ConfigError
from homeostat.cli import detect_fleet_clock, detect_state
from homeostat.cli.detect_feed import Past
from homeostat.cli.detect_fleet_clock import Clock, Start
from homeostat.cli.detect_job import Job
from homeostat.cli.detect_layout import InputError
from homeostat.cli.detect_ticks import Counts, Grid
from homeostat.cli.detect_write import part_of
from homeostat.detect import fleet_checkpoint
from homeostat.detect.fleet_told import Fleet, FleetState
from homeostat.stats import arrays

_FORM: Final = "homeostat detect fleet 1"


class Seat(NamedTuple):
    """One file of a fleet, as a run left it.

    Attributes:
        name: Its path below the folder.
        kept: What `Job.kept` said of it.
        past: What its rows left behind.
        at: Tick of the fleet that its next one is.
        owed: An alarm is told at its next row: there was none where it fell.
    """

    name: str
    kept: dict[str, Any]
    past: Past
    at: int
    owed: bool


class Kept(NamedTuple):
    """Where a fleet was.

    Attributes:
        made: What must be the same for a run to go on with it.
        clock: The fleet's.
        tick: Ticks of it that were played.
        told: Alarms so far.
        seats: Its files, in their order.
        state: The fleet's state, as bytes.
    """

    made: dict[str, Any]
    clock: Clock
    tick: int
    told: int
    seats: tuple[Seat, ...]
    state: bytes

    def state_of(self, fleet: Fleet) -> FleetState:
        """Return the fleet's state.

        Raises:
            ConfigError: It is of another fleet.
        """
        try:
            return fleet_checkpoint.from_bytes(fleet, self.state)
        except ValueError as error:
            raise ConfigError(f"--state: {error}; remove the file to begin anew") from error


def go_on(kept: Kept, seat: Seat, job: Job) -> Start:
    """Have a file go on after the rows that were seen of it; return where.

    Raises:
        InputError: It neither begins with them nor holds later ones alone.
    """
    seen, past = seat.kept, seat.past
    if seen["columns"] == list(job.columns):
        if job.go_on(seen):
            return detect_fleet_clock.begun(kept.clock, job)._replace(at=seat.at)
        first, last = job.scan.first_ns, int(past.grid.last[0])
        if last < 0 or first is None or first > last:
            job.follow(past)
            fresh = detect_fleet_clock.begun(kept.clock, job)
            return fresh if last < 0 else Start(seat.at, seat.at, past.grid)
    raise InputError(
        f"{job.source}: does not go on from the state, which has seen {seen['rows']:,} rows of "
        f"{seen['input']} (columns {', '.join(seen['columns'])}) and wrote {seen['output']}: give "
        "that file with rows added and its output in place, or a file of later rows; or remove "
        "the state to begin anew"
    )


def write(path: Path, kept: Kept) -> None:
    """Write where a fleet is.

    Raises:
        ConfigError: It cannot be written.
    """
    plain = {
        "made": kept.made,
        "clock": list(kept.clock),
        "tick": kept.tick,
        "told": kept.told,
        "seats": [[seat.name, seat.kept, seat.at, seat.owed] for seat in kept.seats],
    }
    pasts = tuple((tuple(seat.past.grid), tuple(seat.past.counts)) for seat in kept.seats)
    state = np.frombuffer(kept.state, dtype=np.int8)
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(arrays.to_bytes((_FORM, json.dumps(plain), state, pasts)))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; choose another place") from error


def read(path: Path, made: Mapping[str, Any]) -> Kept | None:
    """Return where a fleet was; None if nothing is there.

    Args:
        path: The file.
        made: How this run makes it.

    Raises:
        ConfigError: It cannot be read, or was made in another way.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; check name and rights") from error
    try:
        kept = _read(data)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: {error}; remove the file to begin anew") from error
    detect_state.check(path, kept.made, made)
    return kept


def _read(data: bytes) -> Kept:
    match arrays.from_bytes(data, ()):
        case (str(form), str(text), np.ndarray() as state, tuple(pasts)) if form == _FORM:
            plain = json.loads(text)
        case _:
            raise ValueError("is no state of a fleet")
    seats = tuple(_seats(plain["seats"], pasts))
    clock = Clock(*plain["clock"])
    return Kept(dict(plain["made"]), clock, plain["tick"], plain["told"], seats, state.tobytes())


def _seats(plain: Sequence[Any], pasts: Sequence[Any]) -> list[Seat]:
    return [
        Seat(name, kept, Past(Grid(*grid), Counts(*counts)), at, owed)
        for (name, kept, at, owed), (grid, counts) in zip(plain, pasts, strict=True)
    ]
