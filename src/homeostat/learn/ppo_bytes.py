"""The bytes of a training run, opened and checked: what it says of itself, and its arrays.

Needs nothing of what trains, and nothing of JAX: whoever serves a policy reads it with this.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from homeostat.base.errors import HomeostatError
from homeostat.stats.arrays import from_bytes

KIND: Final = "homeostat.ppo"
VERSION: Final = 1
# A run of 64 twins of 8 slots is 30 MB; what is far more is not one.
_SIZE_MAX: Final = 512 << 20


class PpoFileError(HomeostatError):
    """Bytes that are not this training run; it is begun anew or told as it was.

    Attributes:
        reason: What is wrong with them.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"training run refused: {reason}; give the settings that it was begun with, "
            "or another --out"
        )
        self.reason = reason


def opened(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what a run says of itself (`run`, `types`), and its arrays by name.

    Raises:
        PpoFileError: Too large, damaged, or of another kind.
    """
    if len(data) > _SIZE_MAX:
        raise PpoFileError(f"{len(data)} bytes are too many")
    try:
        plain = from_bytes(data, ())
        said, stored = json.loads(plain["manifest"]), plain["arrays"]
        whole = said["kind"], said["version"], said["sha256"]
        run, types = said["run"], said["types"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PpoFileError(f"it cannot be read ({error})") from error
    if whole != (KIND, VERSION, total(stored)):
        raise PpoFileError(f"kind, version or checksum is not its own ({whole[0]}, {whole[1]})")
    if not isinstance(run, dict) or not isinstance(types, dict):
        raise PpoFileError("its manifest says nothing of the run")
    return said, stored


def total(stored: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of arrays by name, hex."""
    found = hashlib.sha256()
    for name in sorted(stored):
        found.update(f"{name}\0{stored[name].dtype}\0{stored[name].shape}\0".encode())
        found.update(np.ascontiguousarray(stored[name]).tobytes())
    return found.hexdigest()
