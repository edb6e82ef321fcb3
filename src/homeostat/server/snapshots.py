"""Trained policies as files: read when the configuration is, and a copy of each kept.

A journal names the policy that decided by the SHA-256 of its file. A copy lies beside the journal,
in `snapshots`, so that a restart and a replay find that one whatever became of the file; a copy
that is not what its name says is left alone and opens nothing.
"""

import hashlib
from collections.abc import Iterable
from importlib.resources import files as resources
from pathlib import Path
from typing import Final

from homeostat.base.errors import ConfigError, StoreError
from homeostat.base.learning import TRAINED
from homeostat.base.policy import Managed
from homeostat.learn.ppo_bytes import PpoFileError
from homeostat.learn.snapshot import Snapshot, opened_snapshot
from homeostat.policy.trained_menu import MENU
from homeostat.policy.trained_numbers import OBSERVATIONS

FOLDER: Final = "snapshots"
"""Beside the journal."""
MOST_BYTES: Final = 16 << 20
"""A policy of the shipped size has 140 kB; what is far more is none."""
_ENDING: Final = ".safetensors"
_TRAIN: Final = (
    "make one with `homeostat train` and `homeostat lab choose`, "
    "or leave the key out for the one that ships"
)
_REPAIR: Final = "install homeostat anew, or take ppo out of spec.adaptive.arms"


_KEPT: Final[dict[str, Snapshot]] = {}
"""What was opened, by the SHA-256 of its file: content under its digest, which never changes."""


def known(digest: str) -> Snapshot | None:
    """Return the policy whose file has this SHA-256, None where none was opened."""
    return _KEPT.get(digest)


def shipped() -> Path:
    """Return the file of the policy that ships."""
    return Path(str(resources("homeostat"))) / "learn" / "shipped" / f"{TRAINED}{_ENDING}"


def read(path: Path | None) -> str:
    """Open a trained policy, and return the SHA-256 of its file.

    Args:
        path: The file, None for the one that ships.

    Raises:
        ConfigError: It is not there, cannot be read, is damaged or none that may be an arm; the
            message names the file and what to do.
    """
    file, fix = (shipped(), _REPAIR) if path is None else (path, _TRAIN)
    try:
        if not file.is_file():
            raise ConfigError(f"spec.adaptive.snapshot: {file}: no such file; {fix}")
        return _opened(file).digest
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"spec.adaptive.snapshot: {file}: cannot be read ({error}); check its permissions"
        ) from error
    except PpoFileError as error:
        raise ConfigError(f"spec.adaptive.snapshot: {file}: {error.reason}; {fix}") from error


def keep(beside: Path, managed: Iterable[Managed]) -> None:
    """Keep a copy of every policy that is an arm, before anything is decided with it.

    Args:
        beside: The journal's folder.
        managed: The deployments.

    Raises:
        ConfigError: A copy cannot be written.
    """
    for digest in sorted({one for entry in managed if (one := _digest(entry))}):
        found, folder = known(digest), beside / FOLDER
        file = folder / f"{digest}{_ENDING}"
        if found is None or file.is_file():
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            part.write_bytes(found.data)
            part.replace(file)
        except OSError as error:
            raise ConfigError(f"{file}: a copy cannot be kept ({error.strerror})") from error


def recall(beside: Path) -> None:
    """Open the one that ships and every copy beside a journal; what is damaged opens nothing."""
    copies = sorted((beside / FOLDER).glob(f"*{_ENDING}"))
    for file in (shipped(), *copies):
        try:
            _opened(file)
        except (OSError, ValueError, PpoFileError):
            continue


def require(managed: Iterable[Managed]) -> None:
    """Refuse to replay what was decided with a policy that is not here.

    Raises:
        StoreError: One is not here; the message says which, and where it belongs.
    """
    for entry in managed:
        digest = _digest(entry)
        if digest and known(digest) is None:
            raise StoreError(
                f"{entry.name} was decided with the trained policy {digest}, which is not here; "
                f"put its file into {FOLDER}/ beside the journal"
            )


def _digest(entry: Managed) -> str:
    return "" if entry.adaptive is None else entry.adaptive.snapshot


def _opened(file: Path) -> Snapshot:
    with file.open("rb") as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise PpoFileError(f"more than {MOST_BYTES >> 20} MiB are no policy")
    digest = hashlib.sha256(data).hexdigest()
    if digest not in _KEPT:
        _KEPT[digest] = opened_snapshot(data, OBSERVATIONS, MENU)
    return _KEPT[digest]
