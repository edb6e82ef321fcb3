"""`homeostat lab compose`: scenarios that nobody wrote, as a file that `lab run` takes.

Random compositions of primitives, and pairs of the catalogue's scenarios (`lab.compose`): what a
policy does where nothing was foreseen. Written out, they can be read, changed and kept.
"""

from pathlib import Path
from typing import Final

import typer

from homeostat.base.errors import ConfigError
from homeostat.cli.exits import Exit
from homeostat.cli.lab_needs import needs_twin
from homeostat.cli.output import OUTPUT, Output, show, tell

_COLUMNS: Final = ("id", "name", "family", "length")
_PRIMITIVES: Final = 3  # of one composition at most; `lab.compose.MOST`
_APART: Final = 10_000  # between the compositions of two seeds: more than one file can hold
_OUT: Final = typer.Option(Path("unseen.yaml"), "--out", help="The scenario file to write.")


def compose(
    unseen: int = typer.Option(
        20, "--unseen", min=0, max=1000, help="Random compositions of primitives."
    ),
    pairs: int = typer.Option(0, "--pairs", min=0, help="Pairs of the catalogue's scenarios."),
    most: int = typer.Option(
        _PRIMITIVES, "--most", min=1, max=_PRIMITIVES, help="Primitives of a composition at most."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="The same seed composes the same file."),
    out: Path = _OUT,
    output: Output = OUTPUT,
) -> None:
    """Write scenarios that nobody wrote into a file, for `lab run --scenarios`.

    No composition has two primitives together that a scenario of the catalogue has together.
    """
    if not unseen and not pairs:
        tell("homeostat: nothing to compose; ask for --unseen or --pairs")
        raise typer.Exit(Exit.USAGE)
    files = needs_twin()
    files.write(out, text(unseen=unseen, pairs=pairs, most=most, seed=seed, file=out.name))
    rows = files.scenario_rows(files.catalogue([out]))
    show(rows, output, _COLUMNS)
    tell(f"wrote {out}; `homeostat lab run --scenarios {out}` plays it")


def text(*, unseen: int, pairs: int, most: int, seed: int, file: str) -> str:
    """Return a scenario file, read back once so that nothing is written that cannot be used.

    Args:
        unseen: Random compositions.
        pairs: Pairs of the catalogue's scenarios.
        most: Primitives of a composition at most.
        seed: Of all of them; the compositions of two seeds are different ones.
        file: Its name, for messages.

    Raises:
        ConfigError: There are not so many, or they are too many for one file.
    """
    from homeostat.cli import lab_files
    from homeostat.lab import compose as composing
    from homeostat.lab.scenario_schema import load
    from homeostat.lab.scenario_write import dump

    known = lab_files.catalogue(()).scenarios
    numbers = range(seed * _APART, seed * _APART + unseen)
    try:
        found = [composing.unseen(number, known=known, most=most) for number in numbers]
        found += composing.pairs(known, pairs, seed)
    except ValueError as error:
        raise ConfigError(f"cannot be composed: {error}") from error
    written = f"# Composed by `homeostat lab compose`, seed {seed}.\n{dump(found)}"
    load(written, file)
    return written
