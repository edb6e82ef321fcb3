"""Mutants that nobody could notice, by name, each with the reason.

`equivalent.toml` is held against the source by a test: a name of which the source has no mutant
any more must go, so that no argument outlives what it was about.
"""

import tomllib
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_suffix(".toml")


def reasons() -> dict[str, str]:
    """Return why each argued mutant changes nothing, by its name.

    Raises:
        ValueError: A name is there twice, or without a reason.
    """
    found: dict[str, str] = {}
    for one in tomllib.loads(FILE.read_text(encoding="utf-8"))["mutant"]:
        name, why = one["name"], one["why"]
        if name in found or not why.strip():
            raise ValueError(f"{FILE.name}: {name!r} is there twice, or without a reason")
        found[name] = why
    return found
