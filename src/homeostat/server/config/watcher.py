"""Keeps the last good configuration, and says loudly when the files on disk are worse.

Pull, not push: the runtime asks once per tick whether something changed. A file that cannot be
used changes nothing but the problem that is shown.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from homeostat.base.errors import ConfigError
from homeostat.server.config.loaded import Config
from homeostat.server.config.loader import load

Stamp = tuple[tuple[str, int, int, int], ...]


class Watcher:
    """The configuration in force.

    Attributes:
        problem: Why the files as they are now cannot be used; empty when they can.
    """

    def __init__(
        self, paths: Sequence[Path | str], say: Callable[[str], None] = lambda _text: None
    ) -> None:
        """Load the files for the first time.

        Args:
            paths: Files or folders.
            say: Told, once per change, that a reload failed or that it works again.

        Raises:
            ConfigError: They cannot be used: without a first good one there is nothing to keep.
        """
        self._paths = tuple(Path(path) for path in paths)
        self._say = say
        self.problem = ""
        self._stamp = self._look(self._paths)
        self._config = load(self._paths)
        self._beside = self._look(self._config.beside)

    @property
    def config(self) -> Config:
        """The last good configuration."""
        return self._config

    def poll(self) -> Config | None:
        """Return a new configuration if the files changed into one that can be used, else None."""
        stamp, beside = self._look(self._paths), self._look(self._config.beside)
        if (stamp, beside) == (self._stamp, self._beside):
            return None
        self._stamp, self._beside = stamp, beside
        try:
            fresh = load(self._paths)
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
