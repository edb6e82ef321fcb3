"""Where compiled programs of JAX are kept; does not import JAX.

Whoever starts processes of its own must not have it, and still says where its workers compile to.
"""

import hashlib
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path


def folder(facts: Mapping[str, str]) -> Path:
    """Return the folder for one processor; another processor or JAX gets another one.

    A program compiled for a processor's features may crash on one without them.

    Args:
        facts: What `processor` says.
    """
    text = "\n".join([facts.get("flags", platform.machine()), version("jax"), version("jaxlib")])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "homeostat" / "jax" / key


def processor() -> dict[str, str]:
    """Return what Linux says of the processors; empty where it says nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs if key.strip()}
