"""The list of what was done in an output folder, so that nothing is judged twice.

An input is done if its content, what was said of its columns, the program's code and the size of
its output are those of the list.
"""

import json
from collections.abc import Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Final

from homeostat.cli.detect_job import Job
from homeostat.cli.detect_write import page_of, write_text
from homeostat.server import compiled

NAME: Final = ".homeostat-detect.json"
_FORMAT: Final = 1
# A result depends on these rooms: a change to any of them makes what was done worthless.
_ROOMS: Final = ("base", "stats", "detect", "cli")


class Done:
    """What was done.

    Args:
        path: The list; None = nothing is kept.
        how: What was said of the columns, as text.
        fresh: Everything is to be done again.
        plot: An input without its page is not done.
    """

    def __init__(
        self, path: Path | None, how: str, *, fresh: bool = False, plot: bool = False
    ) -> None:
        self.path, self.how, self.code, self.plot = path, how, code_digest(), plot
        self._list: dict[str, Any] = {} if path is None or fresh else _read(path)
        self._now: dict[str, dict[str, Any]] = {}

    def knows(self, job: Job) -> bool:
        """Return whether an input was done before and its output is as it was."""
        found = self._list.get(str(job.output))
        if found is None or found.get("key") != self._key(job):
            return False
        try:
            missing = self.plot and not page_of(job.output).exists()
            if missing or job.output.stat().st_size != found["bytes"]:
                return False
        except OSError:
            return False
        self._now[str(job.output)] = found["summary"]
        return True

    def add(self, group: Sequence[Job]) -> None:
        """Add inputs that were done, and write the list."""
        for job in group:
            self._now[str(job.output)] = job.summary()
            self._list[str(job.output)] = {
                "key": self._key(job),
                "bytes": job.output.stat().st_size,
                "summary": job.summary(),
            }
        if self.path is not None:
            text = json.dumps({"format": _FORMAT, "done": self._list}, ensure_ascii=False)
            write_text(self.path, text + "\n")

    def summary(self, job: Job) -> dict[str, Any]:
        """Return the summary of an input that was done, now or before."""
        return self._now[str(job.output)]

    def _key(self, job: Job) -> list[str]:
        return [job.scan.digest, str(job.source), self.how, self.code]


def code_digest() -> str:
    """Return the SHA-256 of everything that a result is computed by."""
    return compiled.digest_of(Path(str(resources("homeostat"))), _ROOMS)


def _read(path: Path) -> dict[str, Any]:
    """Return the list; whatever is no list of ours is as good as none."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return dict(plain["done"]) if plain["format"] == _FORMAT else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
