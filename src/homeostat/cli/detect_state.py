"""Where a run was, on the disk: the stack's state and each input's place, bit for bit.

One file holds both, so they cannot disagree, and it is replaced whole. It is written after what was
said of the rows is surely on the disk; what was written later is cut off by the run that goes on.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.base.errors import ConfigError
from homeostat.cli.detect_feed import Past
from homeostat.cli.detect_ticks import Counts, Grid
from homeostat.cli.detect_write import part_of
from homeostat.detect import stack_checkpoint
from homeostat.detect.method import Method
from homeostat.stats import arrays

_FORM: Final = "homeostat detect 1"


class Kept(NamedTuple):
    """Where a run was.

    Attributes:
        made: What must be the same for a run to go on with it, for example the program's code.
        jobs: What `Job.kept` said of each input, in the order of the stack's entities.
        stack: The state of the stack, or of another method.
        past: What the rows of the only input left behind; None of several, or while it is read.
    """

    made: dict[str, Any]
    jobs: list[dict[str, Any]]
    stack: Any
    past: Past | None


def write(path: Path, stack: Method, kept: Kept) -> None:
    """Write where a run is.

    Raises:
        ConfigError: It cannot be written.
    """
    state = np.frombuffer(stack_checkpoint.to_bytes(stack, kept.stack), dtype=np.int8)
    past = () if kept.past is None else (tuple(kept.past.grid), tuple(kept.past.counts))
    text = json.dumps({"made": kept.made, "jobs": kept.jobs})
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(arrays.to_bytes((_FORM, text, state, past)))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; choose another place") from error


def read(path: Path, stack: Method, columns: int) -> Kept | None:
    """Return where a run was; None if nothing is there.

    Args:
        path: The file.
        stack: With the settings that it was made with.
        columns: Columns of each input.

    Raises:
        ConfigError: It cannot be read, or is of other settings, columns or code.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; check name and rights") from error
    try:
        match arrays.from_bytes(data, ()):
            case (str(form), str(text), np.ndarray() as state, tuple(past)) if form == _FORM:
                plain = json.loads(text)
                jobs = list(plain["jobs"])
                found = stack_checkpoint.from_bytes(
                    stack, state.tobytes(), columns=columns, entities=len(jobs)
                )
                return Kept(dict(plain["made"]), jobs, found, _past(past))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: {error}; remove the file to begin anew") from error
    raise ConfigError(f"{path}: is no state of `detect`; remove the file to begin anew")


def check(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse a state that was made in another way: what it learnt is of other numbers.

    Args:
        path: The file, for the message.
        then: `Kept.made` of the state.
        now: The same of the run that wants to go on.

    Raises:
        ConfigError: They differ.
    """
    if then.get("how") != now.get("how"):
        raise ConfigError(
            f"{path}: was made with {then.get('how', 'options that it does not name')}, and this "
            f"run has {now.get('how')}: its baselines are of other numbers. Give the same options, "
            "or remove the state to begin anew"
        )
    if then.get("code") != now.get("code"):
        raise ConfigError(
            f"{path}: was made by another version of the program, whose answers differ; go on with "
            "that version, or remove the state to begin anew"
        )


def _past(parts: Sequence[Any]) -> Past | None:
    if not parts:
        return None
    grid, counts = parts
    return Past(Grid(*grid), Counts(*counts))
