"""The part of `requirements.lock` that the container image needs; printed when run.

What needs what is read from what is installed here, so nothing is fetched.
"""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
EXTRAS = ("postgres", "proof")
"""What a controller in a cluster needs besides the plain install: its journal, and proofs."""


def pins(path: Path) -> dict[str, str]:
    """Return the block of each pinned distribution of a lock."""
    blocks = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip())
    return {canonicalize_name(re.split(r"[=\[]", one)[0]): one for one in blocks}


def needed() -> set[str]:
    """Return what the plain install and the image's extras need, and what that needs, here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*project["dependencies"]]
    for extra in EXTRAS:
        texts += project["optional-dependencies"][extra]
    left, seen = [Requirement(text) for text in texts], set()
    while left:
        one = left.pop()
        key = (canonicalize_name(one.name), tuple(sorted(one.extras)))
        if key in seen:
            continue
        seen.add(key)
        try:
            inner = [Requirement(text) for text in requires(one.name) or ()]
        except PackageNotFoundError:
            continue
        for extra in ("", *one.extras):
            left += [
                need
                for need in inner
                if need.marker is None or need.marker.evaluate({"extra": extra})
            ]
    return {name for name, _ in seen}


if __name__ == "__main__":
    whole = pins(ROOT / "requirements.lock")
    print("\n".join(whole[name] for name in sorted(needed() & set(whole))))
