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


def fits(path: Path, made: Mapping[str, Any], columns: Sequence[str]) -> None:
    """Refuse a state that is of other columns or was made in another way, before it is used.

    What is no state at all, or is not there, is for `read` to tell.

    Args:
        path: The file.
        made: `Kept.made` of the run that wants to go on.
        columns: Of the rows that it has.

    Raises:
        ConfigError: It does not fit.
    """
    try:
        match arrays.from_bytes(path.read_bytes(), ()):
            case (str(form), str(text), *_) if form == _FORM:
                plain = json.loads(text)
            case _:
                return
    except (OSError, ValueError):
        return
    check(path, plain["made"], made)
    seen = plain["jobs"][0]["columns"] if len(plain["jobs"]) == 1 else []
    if seen and list(seen) != list(columns):
        raise ConfigError(
            f"{path}: is the state of the columns {', '.join(seen)}, and the rows have "
            f"{', '.join(columns)}; name another file, or remove it to begin anew"
        )


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
            f"{path}: was made with other options ({_apart(then, now)}): its baselines are of "
            "other numbers. Give the same options, or remove the state to begin anew"
        )
    if then.get("code") != now.get("code"):
        raise ConfigError(
            f"{path}: was made by another version of the program, whose answers differ; go on with "
            "that version, or remove the state to begin anew"
        )


def _apart(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the options that differ, as a person spells them."""
    before, after = then.get("options", {}), now.get("options", {})
    names = [name for name in after if after[name] != before.get(name)]
    told = [f"{name}: {before.get(name, 'not known')} then, {after[name]} now" for name in names]
    return "; ".join(told) or "which ones it does not say"


def _past(parts: Sequence[Any]) -> Past | None:
    if not parts:
        return None
    grid, counts = parts
    return Past(Grid(*grid), Counts(*counts))
