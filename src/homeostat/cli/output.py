"""Prints data on stdout as a table, JSON or YAML; talk goes to stderr.

Names and reasons come from outside: whatever they hold is printed as text, never as markup and
never as a terminal's control sequence.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console

WIDE: Final = 400  # characters a line where nobody looks: scripts get one line a row
_STYLES: Final = {
    "ok": "green",
    "yes": "green",
    "met": "green",
    "helped": "green",
    "succeeded": "green",
    "learning": "yellow",
    "unknown": "yellow",
    "asking": "bold yellow",
    "awaiting_approval": "bold yellow",
    "healing": "cyan",
    "incident": "bold red",
    "open": "bold red",
    "breach": "bold red",
    "missed": "bold red",
    "harmed": "bold red",
    "stuck": "bold red",
    "frozen": "bold blue",
}
# C0, DEL and C1: what a terminal would obey. A line break becomes a space, the rest is shown.
_CONTROLS: Final = {
    **{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))},
    **dict.fromkeys(map(ord, "\n\r\t"), " "),
}
_JSON_CONTROLS: Final = {code: f"\\u{code:04x}" for code in range(127, 160)}


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


OUTPUT = typer.Option(Output.TABLE, "--output", "-o", help="How to print the data.")


def show(data: Any, output: Output, columns: Sequence[str] = ()) -> None:
    """Print a mapping or a list of mappings.

    Args:
        data: Plain values as `json` can write them.
        output: The format; a table shows `columns`, or all of the first row's keys.
        columns: Keys to show in a table, in order.
    """
    if output is Output.JSON:
        text = json.dumps(data, indent=2, ensure_ascii=False)
        typer.echo(text.translate(_JSON_CONTROLS))
    elif output is Output.YAML:
        import yaml

        typer.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), nl=False)
    else:
        _table(data if isinstance(data, list) else [data], columns)


def show_fields(fields: Mapping[str, str | Sequence[str]]) -> None:
    """Print one thing: a name a line, and its value, or one line for each of its values."""
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in fields.items():
        lines = [value] if isinstance(value, str) else list(value)
        for number, line in enumerate(lines):
            grid.add_row(_text("" if number else name), _text(line))
    _console().print(grid)


def tell(text: str) -> None:
    """Say something on stderr, as one line that a terminal does not obey."""
    typer.echo(clean(text), err=True)


def clean(text: str) -> str:
    r"""Return text without anything that a terminal would obey.

    >>> clean("a\x1b[31mred\nline")
    'a\\x1b[31mred line'
    """
    return text.translate(_CONTROLS)


def cell(value: Any) -> str:
    """Return a plain value as a table shows it."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "; ".join(cell(item) for item in value) or "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={cell(item)}" for key, item in value.items()) or "-"
    return str(value)


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.table import Table

    if not rows:
        typer.echo("nothing to show", err=True)
        return
    names = list(columns) or list(rows[0])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        # Long words break at the end alone: a column of ids must stay a column of ids.
        table.add_column(name.replace("_", " "), no_wrap=name != names[-1], overflow="fold")
    for row in rows:
        table.add_row(*(_text(cell(row.get(name))) for name in names))
    console = _console()
    if sys.stdout.isatty():
        console.print(table)
        return
    with console.capture() as taken:
        console.print(table)
    # Where nobody looks, no line is as long as the longest one.
    typer.echo("\n".join(line.rstrip() for line in taken.get().splitlines()))


def _text(value: str) -> Any:
    from rich.text import Text

    plain = clean(value)
    return Text(plain, style=_STYLES.get(plain, ""))
