"""Talks to a running controller's API."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer

from homeostat import __version__
from homeostat.cli.exits import Exit
from homeostat.cli.output import tell

DEFAULT_URL = "http://127.0.0.1:7373"
URL = typer.Option(DEFAULT_URL, "--url", envvar="HOMEOSTAT_URL", help="The controller's address.")
TOKEN_FILE = typer.Option(
    None, "--token-file", envvar="HOMEOSTAT_TOKEN_FILE", help="File that holds the bearer token."
)
DEPLOYMENT = typer.Option(
    None, "--deployment", "-d", help="Whose decision, where two deployments have one of this id."
)
_EXITS = {
    401: Exit.REFUSED,
    403: Exit.REFUSED,
    404: Exit.NO_DATA,
    409: Exit.REFUSED,
    422: Exit.USAGE,
}


def call(
    method: str,
    url: str,
    *path: str,
    body: Any = None,
    token: str = "",
    params: dict[str, str] | None = None,
) -> Any:
    """Call the API and return its JSON; a failed call ends the command with a clear line.

    Args:
        method: GET or POST.
        url: The controller's address.
        path: Parts of the path below `/v1/`; each is quoted.
        body: JSON body for POST.
        token: Bearer token; empty for reads, which send the one that the environment names, if any.
        params: Query parameters.
    """
    import httpx2

    token = token or _from_environment()
    headers = {"User-Agent": f"homeostat/{__version__}"}  # the record says where a word came from
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    whole = f"{url.rstrip('/')}/v1/{'/'.join(quote(part, safe='') for part in path)}"
    try:
        # No proxy from the environment: it would see the token.
        answer = httpx2.request(
            method, whole, json=body, headers=headers, params=params, timeout=10.0, trust_env=False
        )
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        tell(f"homeostat: {url!r} is not an address ({error}); write --url {DEFAULT_URL}")
        raise typer.Exit(Exit.USAGE) from error
    except httpx2.HTTPError as error:
        tell(f"homeostat: no controller answers at {url} ({error}); is it running?")
        raise typer.Exit(Exit.NO_DATA) from error
    if answer.status_code >= 400:  # noqa: PLR2004 - HTTP
        tell(f"homeostat: {_problem(answer)}")
        raise typer.Exit(_EXITS.get(answer.status_code, Exit.FAILED))
    try:
        return answer.json()
    except ValueError as error:
        tell(f"homeostat: what answers at {url} is not a controller; give its address with --url")
        raise typer.Exit(Exit.NO_DATA) from error


def _from_environment() -> str:
    """Return the token for a read: none is fine where reading is open."""
    file = os.environ.get("HOMEOSTAT_TOKEN_FILE", "")
    if os.environ.get("HOMEOSTAT_TOKEN", "").strip() or (file and Path(file).is_file()):
        return token_from(Path(file) if file else None)
    return ""


def token_from(file: Path | None) -> str:
    """Return the token from a file or `HOMEOSTAT_TOKEN`; without one the command ends."""
    token, where = os.environ.get("HOMEOSTAT_TOKEN", "").strip(), "HOMEOSTAT_TOKEN"
    if file is not None:
        where = f"token file {file}"
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            tell(f"homeostat: {where}: {getattr(error, 'strerror', None) or error}")
            raise typer.Exit(Exit.USAGE) from error
    if not token:
        tell(
            "homeostat: a token is needed; give --token-file or set HOMEOSTAT_TOKEN "
            "(the controller prints where it is when it starts)"
        )
        raise typer.Exit(Exit.USAGE)
    if not (token.isascii() and token.isprintable()) or " " in token:
        tell(f"homeostat: {where} does not hold a token: one line of letters, digits, - and _")
        raise typer.Exit(Exit.USAGE)
    return token


def _problem(answer: Any) -> str:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return f"the answer was {answer.status_code}: {answer.text[:200]}"
    detail = str(body.get("detail") or body.get("title") or body)
    fix = body.get("fix")
    return f"{detail}; {fix}" if fix else detail
