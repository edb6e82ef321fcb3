"""The trained policies that come with the program: files that the lab's learners are made of."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files as resources
from pathlib import Path

from homeostat.lab.policies import LEARNERS
from homeostat.lab.seat_file import SEATS


def folder() -> Path:
    """Return where they lie: a file each, named as the lab names the policy."""
    return Path(str(resources("homeostat"))) / "learn" / "shipped"


@cache
def shipped() -> Mapping[str, bytes]:
    """Return the files of the policies by name; one that is not there is left out."""
    found = {
        name: folder() / f"{name}{'.json' if name in SEATS else '.safetensors'}"
        for name in LEARNERS
    }
    return {name: file.read_bytes() for name, file in found.items() if file.is_file()}


def digests() -> tuple[tuple[str, str], ...]:
    """Return name and SHA-256 of each, by name: what they play depends on them."""
    found = sorted(shipped().items())
    return tuple((name, hashlib.sha256(data).hexdigest()) for name, data in found)
