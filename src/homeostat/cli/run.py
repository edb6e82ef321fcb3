"""`homeostat run -f FILE`: the controller."""

from pathlib import Path

import typer


def run(
    file: list[Path] = typer.Option(..., "--file", "-f", help="Configuration; may be repeated."),
    once: bool = typer.Option(False, "--once", help="One cycle, then stop."),
    quiet: bool = typer.Option(False, "--quiet", help="Do not print notices on the terminal."),
) -> None:
    """Watch the configured deployments and keep them inside their limits.

    Shadow unless the file says otherwise: it says what it would do and changes nothing.
    """
    from homeostat.server.main import serve

    serve(tuple(file), once=once, quiet=quiet)
