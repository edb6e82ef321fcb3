"""Where compiled programs of JAX are kept, and how a process that computes is set up; without JAX.

Whoever starts processes of its own must not have it, and still says where its workers compile to.
"""

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import version
from importlib.resources import files as resources
from pathlib import Path
from typing import Final

# What a compiled program of the twin is made of.
_SOURCES: Final = ("base", "stats", "twin")


def folder(facts: Mapping[str, str], base: Path | None = None) -> Path:
    """Return the folder for one processor; another processor or JAX gets another one.

    A program compiled for a processor's features may crash on one without them.

    Args:
        facts: What `processor` says.
        base: Where the folders of all processors lie; the person's own cache by default.
    """
    text = "\n".join([facts.get("flags", platform.machine()), version("jax"), version("jaxlib")])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    if base is not None:
        return base / key
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(caches) / "homeostat" / "jax" / key


def processor() -> dict[str, str]:
    """Return what Linux says of the processors; empty where it says nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs if key.strip()}


def environment(cache: Path) -> dict[str, str]:
    """Return the variables that a process needs before it imports JAX.

    One thread of XLA, because there is one process for each core.

    Args:
        cache: Folder of compiled programs.
    """
    return {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }


def digest_of(package: Path, rooms: Iterable[str]) -> str:
    """Return the SHA-256 of some rooms of a package."""
    total = hashlib.sha256()
    for room in rooms:
        for file in sorted((package / room).rglob("*.py")):
            total.update(str(file.relative_to(package)).encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


class Folder:
    """Keeps the twin's compiled programs in a folder; a `homeostat.twin.store.Store`.

    Args:
        path: The folder, of one processor and one JAX (see `folder`); made when it is needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        sources = digest_of(Path(str(resources("homeostat"))), _SOURCES)
        self.mark = f"{sources} {os.environ.get('XLA_FLAGS', '')}"

    def get(self, name: str) -> bytes | None:
        """Return what was kept under a name; None = nothing that can be read."""
        with suppress(OSError):
            return self._file(name).read_bytes()
        return None

    def put(self, name: str, data: bytes) -> None:
        """Keep bytes under a name, whole or not at all; a full disk keeps nothing."""
        file = self._file(name)
        part = file.with_name(f".{file.name}.{os.getpid()}.part")
        with suppress(OSError):
            self._path.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(file)

    def _file(self, name: str) -> Path:
        return self._path / f"program-{name[:32]}.bin"
