"""Where compiled programs are kept between processes, if anybody keeps them; does not import JAX.

Whoever starts a process says where (`use`), before the first program of the process is called.
Nothing here reads or writes a file: a store may be a folder, a dictionary or nothing.
"""

from contextvars import ContextVar
from typing import Final, Protocol


class Store(Protocol):
    """Keeps bytes by name.

    What is kept is run: a store must be as hard to write to as the program's own files.
    """

    mark: str
    """Names all that a compiled program depends on beside its own source: the twin's other sources,
    the processor's features, the flags of the compiler."""

    def get(self, name: str) -> bytes | None:
        """Return what was kept under a name; None = nothing that can be read."""

    def put(self, name: str, data: bytes) -> None:
        """Keep bytes under a name, whole or not at all; what cannot be kept is not."""


_USED: Final[ContextVar[Store | None]] = ContextVar(
    "where compiled programs are kept", default=None
)


def use(store: Store | None) -> None:
    """Keep this process's programs here from now on; None = nowhere."""
    _USED.set(store)


def used() -> Store | None:
    """Return where programs are kept; None = nowhere."""
    return _USED.get()
