"""Talks to a running controller's API."""

import os
from pathlib import Path
from typing import Any

import typer

from homeostat.cli.exits import Exit

DEFAULT_URL = "http://127.0.0.1:7373"
URL = typer.Option(DEFAULT_URL, "--url", envvar="HOMEOSTAT_URL", help="The controller's address.")
TOKEN_FILE = typer.Option(
    None, "--token-file", envvar="HOMEOSTAT_TOKEN_FILE", help="File that holds the bearer token."
)


def call(method: str, url: str, path: str, *, body: Any = None, token: str = "") -> Any:
    """Call the API and return its JSON; a failed call ends the command with a clear line.

    Args:
        method: GET or POST.
        url: The controller's address.
        path: Path below it.
        body: JSON body for POST.
        token: Bearer token, empty for reads.
    """
    import httpx2

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx2.request(method, f"{url}{path}", json=body, headers=headers, timeout=10.0)
    except httpx2.HTTPError as error:
        typer.echo(f"homeostat: no controller answers at {url} ({error}); is it running?", err=True)
        raise typer.Exit(Exit.NO_DATA) from error
    if answer.status_code >= 400:  # noqa: PLR2004 - HTTP
        typer.echo(f"homeostat: {_problem(answer)}", err=True)
        refused = answer.status_code in {401, 403, 409}
        raise typer.Exit(Exit.REFUSED if refused else Exit.FAILED)
    return answer.json()


def token_from(file: Path | None) -> str:
    """Return the token from a file or `HOMEOSTAT_TOKEN`; without one the command ends."""
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except OSError as error:
            typer.echo(f"homeostat: token file {file}: {error.strerror}", err=True)
            raise typer.Exit(Exit.USAGE) from error
    token = os.environ.get("HOMEOSTAT_TOKEN", "")
    if not token:
        typer.echo(
            "homeostat: a token is needed; give --token-file or set HOMEOSTAT_TOKEN "
            "(the controller prints where it is when it starts)",
            err=True,
        )
        raise typer.Exit(Exit.USAGE)
    return token


def _problem(answer: Any) -> str:
    try:
        body = answer.json()
    except ValueError:
        return f"{answer.status_code} {answer.text[:200]}"
    return str(body.get("detail") or body.get("title") or body)
