"""What the commands of `homeostat lab` need before anything is played."""

from importlib.util import find_spec
from types import ModuleType

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import tell


def needs_twin() -> ModuleType:
    """Return `lab_files`, or say what must be installed first."""
    for needed in ("jax", "equinox"):
        if find_spec(needed) is None:
            tell(f"homeostat: the lab needs {needed}; `pip install 'homeostat[twin]'` brings it")
            raise typer.Exit(Exit.USAGE)
    from homeostat.cli import lab_files

    return lab_files


def listed(text: str | None) -> tuple[str, ...]:
    """Return the names of a list with commas, each once, in order."""
    return tuple(dict.fromkeys(n.strip() for n in (text or "").split(",") if n.strip()))
