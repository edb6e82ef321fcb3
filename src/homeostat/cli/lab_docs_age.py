"""Says which published figures are of other code than today's, by the commit that they name.

A page of figures is made of the files beside it alone, so it cannot know what changed since; the
repository that the program runs from does. Comments and docstrings are no change: figures do not
rest on them. What cannot be found out is said to be unknown, never to be the same.
"""

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Final

PLAYED: Final = ("base", "stats", "twin", "lab")
"""Rooms that every episode is played and judged by."""

THINKING: Final = (
    "base", "stats", "signals", "detect", "twin", "safety", "policy", "govern", "learn", "loop",
    "lab",
)  # fmt: skip
"""Rooms of an episode in which the real controller, or its guards, decide."""

_PLAIN: Final = {
    "hold", "escalate", "threshold", "static", "hpa", "hpa_tuned", "keda", "keda_tuned", "random",
}  # fmt: skip
"""Policies of the lab that ask neither the controller nor its guards."""

_COMMIT: Final = re.compile(r"([0-9a-f]{7,64})(\+?)")
_NAMED: Final = 4  # files that a line names; more are counted
_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """How a published table stands to today's code.

    Attributes:
        name: Of the table.
        made: Date of the run, as its file says it.
        commit: Of the program that ran, as its file says it; empty = it says none.
        changed: Files of the package that the figures rest on and that mean something else today;
            None = it cannot be told.
        why: Why it cannot, or what was never committed; else empty.
    """

    name: str
    made: str
    commit: str
    changed: tuple[str, ...] | None
    why: str = ""

    @property
    def older(self) -> bool:
        """Whether the code is known to be another today."""
        return bool(self.changed)

    def said(self) -> str:
        """Return it as one line for people."""
        made = f"{self.name}: made {self.made} at commit {self.commit[:12] or 'unknown'}"
        dirty = f" ({self.why})" if self.why else ""
        if self.changed is None:
            return f"{made}; whether the code it rests on changed since cannot be told{dirty}"
        if not self.changed:
            return f"{made}; the code it rests on is the same today{dirty}"
        rooms = Counter(PurePosixPath(file).parts[0] for file in self.changed)
        count = ", ".join(f"{room} {number}" for room, number in rooms.most_common())
        some = ", ".join(self.changed[:_NAMED]) + ", ..." * (len(self.changed) > _NAMED)
        return (
            f"{made}; older than the code it rests on: {len(self.changed)} files changed since "
            f"({count}): {some}{dirty}"
        )


def rooms(policies: Sequence[str] | None) -> tuple[str, ...]:
    """Return the rooms that figures rest on.

    Args:
        policies: Who played; None = the controller or its guards, whatever else.
    """
    return PLAYED if policies is not None and set(policies) <= _PLAIN else THINKING


def age(name: str, head: Mapping[str, Any], used: Sequence[str], package: Path) -> Age:
    """Return how a table stands to the code of a package.

    Args:
        name: Of the table.
        head: Its file's fields; `made_at` and `commit` are read.
        used: Rooms of the package that it rests on.
        package: Folder of the program, in a repository or not.
    """
    made, commit = str(head.get("made_at", ""))[:10] or "unknown", str(head.get("commit", ""))
    found = _COMMIT.fullmatch(commit)
    if found is None:
        why = "its file names no commit" if not commit else f"{commit!r} is no commit"
        return Age(name=name, made=made, commit="", changed=None, why=why)
    plain, dirty = found.groups()
    if _git(package, "cat-file", "-e", f"{plain}^{{commit}}") is None:
        why = "that commit is not in a repository that the program runs from"
        return Age(name=name, made=made, commit=plain, changed=None, why=why)
    changed = _changed(package, plain, used)
    why = "and of changes that were never committed" if dirty else ""
    return Age(name=name, made=made, commit=plain, changed=changed, why=why)


def _changed(package: Path, commit: str, used: Sequence[str]) -> tuple[str, ...] | None:
    """Return the files of some rooms that mean something else than at a commit."""
    words = ("diff", "--name-only", "--no-renames", "--relative", "-z", commit, "--", *used)
    listed = _git(package, *words)
    if listed is None:
        return None
    names = [name for name in listed.decode(errors="replace").split("\0") if name]
    return tuple(name for name in names if not _same(package, commit, name))


def _same(package: Path, commit: str, name: str) -> bool:
    """Return whether a file means what it meant at a commit; what cannot be read does not."""
    file = package / name
    if file.suffix != ".py" or not file.is_file():
        return False
    before = _git(package, "show", f"{commit}:./{name}")
    return before is not None and meaning(before) == meaning(file.read_bytes())


@cache  # several tables rest on one file, and some were made at one commit
def meaning(source: bytes) -> str:
    r"""Return a digest of what a Python file does: no comments, no docstrings, no layout.

    Of a text that is no Python every byte counts.

    >>> meaning(b'"Doc."\nx = 1  # one\n') == meaning(b"x = (1)")
    True
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return sha256(source).hexdigest()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [one for one in node.body if not _text(one)]
    return sha256(ast.dump(tree, annotate_fields=False).encode()).hexdigest()


def _text(statement: ast.stmt) -> bool:
    """Return whether a statement is a text that nobody uses: a docstring, wherever it stands."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _git(folder: Path, *words: str) -> bytes | None:
    """Return what git says in a folder; None = it fails, or is not there."""
    try:
        done = subprocess.run(  # noqa: S603  # fixed words and a checked commit, no shell
            ["git", "-C", str(folder), *words],  # noqa: S607  # whichever git the person uses
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
