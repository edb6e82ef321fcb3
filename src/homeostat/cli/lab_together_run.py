"""Carries out `lab together`: draws groups, plays every way to divide, writes what was found."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from homeostat.base.errors import ConfigError
from homeostat.cli import lab_files
from homeostat.cli.lab_run import progress
from homeostat.cli.output import Output, show, tell
from homeostat.lab import together_measure as measure
from homeostat.lab.together import Mode, Sharing
from homeostat.lab.types import FAMILIES, Episode
from homeostat.report.lab_together import Found, markdown, plain, rows

BEGIN: Final = "<!-- together: begin -->"
END: Final = "<!-- together: end -->"
_WIDTH: Final = 32
_MOST_ROOM: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for; see `cli.lab_together`."""

    groups: int
    members: int
    room: str
    hours: int
    family: str | None
    out: Path
    page: Path | None


def main(asked: Asked, output: Output) -> None:
    """Measure, show and write.

    Raises:
        ConfigError: A room or a family cannot be, there are not so many groups, or the page has no
            place for the figures.
    """
    widths = _rooms(asked.room)
    if asked.family is not None:
        lab_files.known("family", asked.family, FAMILIES)
    parts = None if asked.page is None else _split(asked.page)  # before minutes are spent
    try:
        episodes = measure.groups(
            asked.groups,
            Sharing(members=asked.members, room=widths[0]),
            lab_files.catalogue(()).scenarios,
            hours=asked.hours,
            family=asked.family,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    found = [_found(asked, episodes, room) for room in widths]
    made = _made(asked)
    text = json.dumps(plain(found, made), indent=2, allow_nan=False) + "\n"
    lab_files.write(asked.out / "together.json", text)
    if parts is not None and asked.page is not None:
        head, tail = parts
        lab_files.write(asked.page, f"{head}{BEGIN}\n{markdown(found, made)}\n{END}{tail}")
    show(rows(found) if output is Output.TABLE else plain(found, made), output)
    tell(f"wrote {asked.out / 'together.json'}" + (f" and {asked.page}" if asked.page else ""))


def _found(asked: Asked, episodes: tuple[Episode, ...], room: float) -> Found:
    sharing = Sharing(members=asked.members, room=room)
    side = _WIDTH // asked.members * asked.members
    plays = math.ceil(len(episodes) / side) * len(Mode)
    parts = []
    with progress(f"plays at {room:.0%}", plays, 0) as advance:
        for one in measure.measured(episodes, sharing, _WIDTH):
            parts.append(one)
            advance(one.mode.value)
    joined = measure.joined(parts)
    lines: dict[str, dict[str, Any]] = {}
    for line in measure.lines(joined):
        lines.setdefault(line.mode.value, {})[line.measure] = line.mean
    pairs: dict[str, dict[str, Any]] = {}
    for pair in measure.pairs(joined):
        row = (pair.difference, float(pair.p), float(pair.corrected))
        pairs.setdefault(pair.against.value, {})[pair.measure] = row
    return Found(
        members=asked.members, groups=asked.groups, room=room, family=asked.family or "",
        lines=lines, pairs=pairs,
        over={mode.value: float(group.over.max()) for mode, group in joined.items()},
    )  # fmt: skip


def _rooms(text: str) -> list[float]:
    """Return the widths of the shared room.

    Raises:
        ConfigError: One is none.
    """
    try:
        found = [float(word) for word in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0.0 <= one <= _MOST_ROOM for one in found):
        raise ConfigError(
            f"--room {text!r}: write shares of 0 to {_MOST_ROOM:g} with commas, for example 0,0.15"
        )
    return list(dict.fromkeys(found))


def _made(asked: Asked) -> dict[str, str]:
    machine = lab_files.machine()
    words = ["homeostat lab together", f"--groups {asked.groups}", f"--members {asked.members}"]
    words += [f"--room {asked.room}", f"--hours {asked.hours}"]
    words += [f"--family {asked.family}"] if asked.family else []
    return {
        "command": " ".join(words),
        "commit": lab_files.commit()[:12] or "no commit",
        "machine": f"{machine.cores} cores of {machine.cpu}",
        "first_seed": str(measure.FIRST),
    }


def _split(page: Path) -> tuple[str, str]:
    """Return what stands before and after the figures of a page.

    Raises:
        ConfigError: It cannot be read, or has no marks.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{page}: it cannot be read ({error.strerror})") from error
    head, begun, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not (begun and ended):
        raise ConfigError(f"{page} lacks {BEGIN} and {END}: they say where the figures go")
    return head, tail
