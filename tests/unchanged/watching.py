"""What tests did that their texts do not say: files read, modules found, programs run.

A second look at what `inputs` tells from texts alone. It sees what Python's audit events tell, each
module only when it is first imported, and nothing that C code opens by itself.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from inputs import Inputs

STARTS: Final = frozenset(
    {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
    | {"subprocess.Popen"}
)
CODE: Final = (".py", ".pyc")  # which modules are read is told by their import, and by the text


class Watch:
    """Notes per test file, from the moment that it is made until the process ends.

    Attributes:
        now: The test file whose code runs; None while none does.
    """

    def __init__(self, root: Path) -> None:
        self._root = f"{root}{os.sep}"
        self.now: str | None = None
        self._heard: dict[str, set[str]] = {}
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self.now is None:
            return
        if event == "open":
            self._opened(args[0])
        elif event == "import":
            if args[0].startswith("homeostat"):
                self._note(f"import {args[0]}")
        elif event in STARTS:
            self._note("start")

    def _opened(self, path: object) -> None:
        if isinstance(path, bytes | os.PathLike):
            path = os.fsdecode(path)
        if not isinstance(path, str) or path.endswith(CODE):
            return
        whole = os.path.abspath(path)  # noqa: PTH100 - half of what pathlib takes, at each file
        if whole.startswith(self._root):
            self._note(f"open {whole[len(self._root) :]}")

    def _note(self, what: str) -> None:
        if self.now is not None:
            self._heard.setdefault(self.now, set()).add(what)

    def told(self, file: str) -> list[str]:
        """Return what was noted of a test file, and forget it."""
        return sorted(self._heard.pop(file, ()))


def surprises(inputs: Inputs, file: str, heard: Iterable[str]) -> list[str]:
    """Return what a test file's tests did that its inputs do not hold.

    Files that nobody wrote, as caches, are nobody's inputs.
    """
    allowed = inputs.of(file)
    if allowed is None or len(allowed) == len(inputs.contents):
        return []
    found = []
    for what in heard:
        kind, _, name = what.partition(" ")
        meant = {name} if kind == "open" else set(inputs.tree.meant(name))
        if kind == "start" or (meant & inputs.contents.keys()) - allowed:
            found.append(what)
    return found
