"""Refuses a test whose marker its file does not say in so many words: the Makefile greps for it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

FOUND_BY_WORD: Final = ("live", "browser", "alone")  # `make test` looks for files that say these


def overlooked(items: Iterable[tuple[Path, Iterable[str]]]) -> list[str]:
    """Return which files do not say a marker of a test in them; each comes with its markers."""
    marked = {(path, name) for path, names in items for name in names if name in FOUND_BY_WORD}
    return sorted(
        f"{path} has a test marked `{name}` and does not say `mark.{name}`"
        for path, name in marked
        if f"mark.{name}" not in path.read_text(encoding="utf-8")
    )
