"""A freeze for a while, as a document among the files of the configuration.

It works when the controller does not run, is seen within two seconds when it does, survives every
restart, and ends by itself; whoever reads the folder sees who asked for it and why.
"""

import contextlib
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import yaml

from homeostat.base.errors import ConfigError
from homeostat.base.units import SECOND
from homeostat.server.config.kinds import API, Freeze

LONGEST: Final = timedelta(days=31)


def write_freeze(folder: Path, now: datetime, length_ns: int, *, why: str, by: str) -> Path:
    """Write a freeze of every deployment from now on; returns its file.

    Args:
        folder: A folder that the controller reads.
        now: The time, with its zone.
        length_ns: How long.
        why: The reason, for people.
        by: Who asks for it.

    Raises:
        ConfigError: It is longer than 31 days, or cannot be written.
    """
    length = timedelta(seconds=length_ns / SECOND)
    if length > LONGEST:
        raise ConfigError(
            f"--for {length} is longer than 31 days; write a Freeze document for that, "
            "docs/how-to/freeze-changes.md shows one"
        )
    begin = now.replace(microsecond=0)
    # Rounded up: a freeze is never shorter than was asked for.
    end = begin + length + timedelta(seconds=1)
    name = f"freeze-{now:%Y%m%d-%H%M%S-%f}"
    reason = ": ".join(text for text in (by, why) if text)[:500]
    document = {
        "apiVersion": API,
        "kind": "Freeze",
        "metadata": {"name": name},
        "spec": {
            "reason": reason,
            "once": [{"start": begin.isoformat(), "end": end.isoformat()}],
        },
    }
    Freeze.model_validate(document)  # what is written here is read there
    file, draft = folder / f"{name}.yaml", folder / f".{name}.draft"
    try:
        with draft.open("x", encoding="utf-8") as out:
            yaml.safe_dump(document, out, sort_keys=False, allow_unicode=True)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise ConfigError(
            f"{file}: cannot be written ({error}); name a folder that the controller reads with -f"
        ) from error
    return file
