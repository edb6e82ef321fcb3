"""What `homeostat doctor` asks of this machine: journal, port, secrets, kill switch."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from homeostat.base.policy import KillLevel
from homeostat.cli.doctor_check import Check, Status
from homeostat.server.address import listening
from homeostat.server.config import Config, ControllerSettings
from homeostat.server.kill import KillSwitch

_FILES: Final = ("token_file", "password_file", "secret_file", "bot_token_file")


def machine(config: Config) -> Iterator[Check]:
    """Yield the checks of this machine; nothing is written."""
    settings = config.controller
    yield journal(settings)
    yield port(settings.api_host, settings.api_port)
    made = settings.kill_file.parent == settings.store_path.parent
    if made and not settings.kill_file.parent.exists():
        found = "is off: its folder will be made with the journal"
        yield Check(
            check="kill switch", about=str(settings.kill_file), status=Status.OK, found=found
        )
    else:
        yield kill(settings.kill_file)
    if settings.token_file.exists():
        yield secret(settings.token_file, "the controller's own token")
    for path in sorted(_named(config)):
        yield secret(path, "a secret of the configuration")


def journal(settings: ControllerSettings) -> Check:
    """Return whether the journal can be written; no record, no action."""
    path = settings.store_path
    about = str(path)
    place = path if path.exists() else _nearest(path.parent)
    writable = os.access(place, os.W_OK | (os.X_OK if place.is_dir() else 0))
    if not writable or (path != place and not place.is_dir()):
        return Check(
            check="journal",
            about=about,
            status=Status.FAIL,
            found=f"{place} cannot be written to",
            fix="give this user the right to, or set spec.store.path of a Controller document",
        )
    where = "is there" if path.exists() else f"will be made under {place}"
    if settings.postgres is not None:
        return Check(
            check="journal",
            about=settings.postgres.url,
            status=Status.UNKNOWN,
            found=f"in PostgreSQL, which was not asked; its anchor {where}",
            fix="`homeostat run --once` opens it",
        )
    return Check(check="journal", about=about, status=Status.OK, found=where)


def port(host: str, number: int) -> Check:
    """Return whether the API can listen where it is told to."""
    about = f"{host}:{number}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            # As the controller itself binds: what a stopped one left behind is no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((listening(host), number))
    except (OSError, ValueError) as error:
        return Check(
            check="port",
            about=about,
            status=Status.FAIL,
            found=f"cannot be listened on ({error})",
            fix="a controller may be running there: end it, or set spec.api.port of a Controller "
            "document",
        )
    found = "any free one" if number == 0 else "is free"
    return Check(check="port", about=about, status=Status.OK, found=found)


def kill(file: Path) -> Check:
    """Return whether the kill switch is thrown."""
    switch = KillSwitch(file=file)
    level = switch.level()
    if level is KillLevel.OFF:
        return Check(check="kill switch", about=str(file), status=Status.OK, found="is off")
    said = "; ".join(f"{one.source}: {one.detail}" for one in switch.voices())
    return Check(
        check="kill switch",
        about=str(file),
        status=Status.WARN,
        found=f"is thrown ({level}): {said}",
        fix="`homeostat freeze off --file FILE` releases it",
    )


def secret(path: Path, what: str) -> Check:
    """Return whether a secret can be read, and by nobody else."""
    about = str(path)
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return Check(
            check="secret",
            about=about,
            status=Status.FAIL,
            found=f"{what} cannot be read: {error.strerror}",
            fix="put it there, readable for this user alone (chmod 600)",
        )
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Check(
            check="secret",
            about=about,
            status=Status.WARN,
            found=f"{what} can be read by others (mode {stat.S_IMODE(mode):03o})",
            fix=f"chmod 600 {path}",
        )
    return Check(check="secret", about=about, status=Status.OK, found="can be read by its owner")


def _nearest(folder: Path) -> Path:
    """Return the deepest folder of a path that is there."""
    return next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))


def _named(config: Config) -> set[Path]:
    """Return every file of a secret that the configuration names, whoever it is for."""
    here = config.controller
    parts = [*here.notifiers, *([] if here.traces is None else [here.traces])]
    for deployment in config.deployments:
        parts += [*deployment.prometheus, *deployment.elsewhere]
        parts += [] if deployment.trainer is None else [deployment.trainer]
    files = {path for part in parts for key in _FILES if (path := part.settings.get(key))}
    if here.slack is not None:
        files.add(here.slack.secret_file)
    if here.alerts is not None:
        files.add(here.alerts.token_file)
    if here.postgres is not None and here.postgres.password_file:
        files.add(here.postgres.password_file)
    return files
