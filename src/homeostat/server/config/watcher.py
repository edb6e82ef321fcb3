"""Keeps the last good configuration, and says loudly when the files on disk are worse.

Pull, not push: the runtime asks once per tick whether something changed. A file that cannot be
used changes nothing but the problem that is shown.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from homeostat.base.errors import ConfigError
from homeostat.server.config.loaded import Config
from homeostat.server.config.loader import Parsed, load

Stamp = tuple[tuple[str, int, int, int], ...]


class More(Protocol):
    """Documents that are no files; asked without waiting for anybody."""

    def stamp(self) -> object:
        """Return what tells one version of them from the next."""
        ...

    def documents(self) -> tuple[Parsed, ...]:
        """Return them as they are now.

        Raises:
            ConfigError: They cannot be used.
        """
        ...


class Watcher:
    """The configuration in force.

    Attributes:
        problem: Why the files as they are now cannot be used; empty when they can.
        more: Documents beside the files, None for none.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        say: Callable[[str], None] = lambda _text: None,
        more: More | None = None,
    ) -> None:
        """Load the files for the first time.

        Args:
            paths: Files or folders.
            say: Told, once per change, that a reload failed or that it works again.
            more: Documents beside the files.

        Raises:
            ConfigError: They cannot be used: without a first good one there is nothing to keep.
        """
        self._paths = tuple(Path(path) for path in paths)
        self._say, self.more = say, more
        self.problem = ""
        self._stamp, self._seen = self._look(self._paths), self._newest()
        self._config = self._load()
        self._beside = self._look(self._config.beside)

    @property
    def config(self) -> Config:
        """The last good configuration."""
        return self._config

    def poll(self) -> Config | None:
        """Return a new configuration if the files changed into one that can be used, else None."""
        stamp, beside = self._look(self._paths), self._look(self._config.beside)
        seen = self._newest()
        if (stamp, beside, seen) == (self._stamp, self._beside, self._seen):
            return None
        self._stamp, self._beside, self._seen = stamp, beside, seen
        try:
            fresh = self._load()
        except ConfigError as error:
            if str(error) != self.problem:
                self.problem = str(error)
                self._say(f"configuration NOT reloaded, the last good one stays in force: {error}")
            return None
        if self.problem:
            self.problem = ""
            self._say("configuration can be used again")
        if fresh == self._config:
            return None
        self._config, self._beside = fresh, self._look(fresh.beside)
        return fresh

    def _load(self) -> Config:
        return load(self._paths, () if self.more is None else self.more.documents())

    def _newest(self) -> object:
        return None if self.more is None else self.more.stamp()

    @staticmethod
    def _look(paths: Sequence[Path]) -> Stamp:
        """Return what tells one version of the files from the next, without reading them."""
        found: list[tuple[str, int, int, int]] = []
        for path in paths:
            try:
                inside = sorted(path.iterdir()) if path.is_dir() else [path]
                stats = [(str(file), file.stat()) for file in inside]
            except (OSError, ValueError) as error:
                found.append((f"{path}: {error}", 0, 0, 0))
                continue
            found += [(name, one.st_mtime_ns, one.st_size, one.st_ino) for name, one in stats]
        return tuple(found)
