"""`homeostat people add, list, rotate, revoke`: who may talk to the controller, and as what.

Works on the file itself, so that whoever may write it decides; a running controller reads it anew.
"""

import os
import pwd
import time
from pathlib import Path
from typing import Any

import typer

from homeostat.cli.output import OUTPUT, Output, show, tell

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_FILE = typer.Option(
    None,
    "--file",
    envvar="HOMEOSTAT_PEOPLE_FILE",
    help="The people file; without it people.json in the controller's default folder.",
)
_NAME = typer.Argument(help="Who, for example ada.")
_EXPIRES = typer.Option("90d", "--expires", help="How long the token is good for, at most 400d.")


@app.callback()
def root() -> None:
    """Keep who may talk to the controller."""


@app.command("add")
def add(
    name: str = _NAME,
    role: str = typer.Option(..., "--role", help="viewer, operator, approver or admin."),
    expires: str = _EXPIRES,
    file: Path | None = _FILE,
) -> None:
    """Add a person and print their token: it is shown this once and kept nowhere."""
    from homeostat.server import people
    from homeostat.server.people_file import editing, read

    where, lasts_ns = _where(file), _duration(expires)
    wanted = people.role_of(role)
    with editing(where) as write:
        roster, token = people.add(
            read(where), name=name, role=wanted, now=_now(), lasts_ns=lasts_ns, by=_account()
        )
        write(roster)
    _give(token, f"{name} is {wanted.word} for {expires}, kept in {where}")


@app.command("list")
def listed(file: Path | None = _FILE, output: Output = OUTPUT) -> None:
    """Show everybody: role, when their token was made, by whom, and whether it is good."""
    from homeostat.server.people_file import read

    where, now = _where(file), _now()
    rows = [_row(one, now, output) for one in read(where)]
    if not rows:
        tell(f"nobody in {where}: reading needs no token, changes need the shared one")
    show(rows, output) if rows or output is not Output.TABLE else None


@app.command("rotate")
def rotate(
    name: str = _NAME,
    expires: str = _EXPIRES,
    grace: str = typer.Option("", "--grace", help="How long the old token stays good; not at all."),
    file: Path | None = _FILE,
) -> None:
    """Give a person a fresh token in place of the old one."""
    from homeostat.server import people
    from homeostat.server.people_file import editing, read

    where, lasts_ns = _where(file), _duration(expires)
    grace_ns = _duration(grace) if grace else 0
    with editing(where) as write:
        roster, token = people.rotate(
            read(where), name=name, now=_now(), lasts_ns=lasts_ns, grace_ns=grace_ns, by=_account()
        )
        write(roster)
    _give(token, f"{name} has a fresh token; the old one ends {f'in {grace}' if grace else 'now'}")


@app.command("revoke")
def revoke(name: str = _NAME, file: Path | None = _FILE) -> None:
    """Take a person's tokens back; a running controller knows at its next request."""
    from homeostat.server import people
    from homeostat.server.people_file import editing, read

    where = _where(file)
    with editing(where) as write:
        write(people.revoke(read(where), name=name, now=_now()))
    tell(f"{name} has no token any more")


def _give(token: str, text: str) -> None:
    typer.echo(token)
    tell(f"{text}; it is shown this once: keep it in a file that only they can read")


def _row(one: Any, now: int, output: Output) -> dict[str, Any]:
    state = "good" if one.is_good(now) else ("revoked" if one.revoked_at else "expired")
    times = {"created": one.created_at / 1e9, "expires": one.expires_at / 1e9}
    if output is Output.TABLE:
        from homeostat.cli.tables import clock

        times = {name: clock(at) for name, at in times.items()}
    row = {"name": one.name, "role": one.role.word, "token": state, "key": one.key}
    return row | times | {"created_by": one.created_by}


def _where(file: Path | None) -> Path:
    if file is not None:
        return file
    from homeostat.server.config.loaded import state_folder

    return state_folder() / "people.json"


def _duration(text: str) -> int:
    from homeostat.base.errors import ConfigError
    from homeostat.server.config.units import duration_ns

    try:
        return duration_ns(text)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _now() -> Any:
    return time.time_ns()


def _account() -> str:
    """Return the account that does this, as the machine knows it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
