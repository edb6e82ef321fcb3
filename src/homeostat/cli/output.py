"""Prints data on stdout as a table, JSON or YAML; talk goes to stderr."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import typer


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
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
    elif output is Output.YAML:
        import yaml

        typer.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), nl=False)
    else:
        _table(data if isinstance(data, list) else [data], columns)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        typer.echo("nothing to show", err=True)
        return
    names = list(columns) or list(rows[0])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        # Text, not markup: names and reasons come from outside.
        table.add_row(*(Text(_cell(row.get(name))) for name in names))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "; ".join(_cell(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_cell(item)}" for key, item in value.items())
    return str(value)
