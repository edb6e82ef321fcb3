"""Puts the figures of a benchmark into its page of the documentation."""

from pathlib import Path
from typing import Final

BEGIN: Final = "<!-- measured: begin -->"
END: Final = "<!-- measured: end -->"


def write(page: Path, text: str) -> None:
    """Put the figures between the page's marks.

    Raises:
        SystemExit: It has none.
    """
    old = page.read_text(encoding="utf-8")
    head, _, rest = old.partition(BEGIN)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise SystemExit(f"{page} lacks {BEGIN} and {END}: they say where the figures go")
    page.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")
