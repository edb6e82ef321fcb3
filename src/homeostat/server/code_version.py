"""Which code decides: the version that people know, and a digest of what a decision depends on.

A journal replays bit for bit under the code that wrote it. Between two releases the version alone
does not tell codes apart, so the rooms that a replay walks through are digested.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import homeostat

# What turns a journaled event into commands; evidence and the twin's answers come as events.
ROOMS: Final = ("base", "govern", "learn", "loop", "policy", "safety", "stats")
_DIGITS: Final = 12  # as many as people compare by eye


@cache
def code_version() -> str:
    """Return the version of the running code, as `0.1.0+3f9a0c12b7de`."""
    return version_of(Path(homeostat.__file__).parent)


def version_of(package: Path) -> str:
    """Return the version of the package's code in a folder.

    Args:
        package: The folder that holds the rooms.
    """
    digest = sha256()
    for room in ROOMS:
        for path in sorted((package / room).rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return f"{homeostat.__version__}+{digest.hexdigest()[:_DIGITS]}"
