"""Carries out `lab docs`: keeps small summaries of what was measured, and writes them into a page.

The page and the folder of the same name beside it belong together: the folder holds one file of
figures for each kind (a comparison of policies, ...), the page a table for each between markers.
What the page says between them is always made from the folder, never written by hand.
"""

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Final, cast

from homeostat.base.errors import ConfigError
from homeostat.cli import lab_docs_age
from homeostat.report import (
    lab_cycles,
    lab_feedback,
    lab_figures,
    lab_live,
    lab_oracle,
    lab_results,
    lab_safe_set,
    lab_tuning,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of file of figures.

    Attributes:
        name: Of its file and its markers.
        kept: From a file's text to the text of its summary.
        table: From a summary's text to what the page says.
        played: From a summary's fields to the policies that played; None = the controller did.
        beside: Rooms that it rests on besides those of an episode.
    """

    name: str
    kept: Callable[[str], str]
    table: Callable[[str], str]
    played: Callable[[Mapping[str, Any]], Sequence[str] | None] = lambda _: None
    beside: tuple[str, ...] = ()


def _comparison(text: str) -> str:
    return lab_results.to_json(lab_figures.summary(lab_results.from_json(text)))


KINDS: Final[dict[str, Kind]] = {
    lab_results.FORMAT: Kind(
        name="comparison",
        kept=_comparison,
        table=lambda text: lab_figures.comparison(lab_results.from_json(text)),
        played=lambda plain: list(plain["policies"]),
    ),
    lab_cycles.FORMAT: Kind(
        name="cycles",
        kept=lambda text: lab_cycles.to_json(lab_cycles.from_json(text)),
        table=lambda text: lab_cycles.markdown(lab_cycles.from_json(text)),
        played=lambda plain: [line["policy"] for line in plain["lines"]],
    ),
    lab_feedback.FORMAT: Kind(
        name="feedback",
        kept=lambda text: lab_feedback.to_json(lab_feedback.from_json(text)),
        table=lambda text: lab_feedback.markdown(lab_feedback.from_json(text)),
    ),
    lab_safe_set.FORMAT: Kind(
        name="safe-set",
        kept=lambda text: lab_safe_set.to_json(lab_safe_set.from_json(text)),
        table=lambda text: lab_safe_set.markdown(lab_safe_set.from_json(text)),
    ),
    lab_oracle.FORMAT: Kind(
        name="oracle",
        kept=lambda text: lab_oracle.to_json(lab_oracle.from_json(text)),
        table=lambda text: lab_oracle.markdown(lab_oracle.from_json(text)),
        played=lambda plain: [*plain["policies"], "oracle"],
    ),
    lab_tuning.FORMAT: Kind(
        name="tuning",
        kept=lambda text: lab_tuning.to_json(lab_tuning.from_json(text)),
        table=lambda text: lab_tuning.markdown(lab_tuning.from_json(text)),
        played=lambda plain: list(plain["policies"]),
    ),
    lab_live.FORMAT: Kind(
        name="live",
        kept=lambda text: lab_live.to_json(lab_live.from_json(text)),
        table=lambda text: lab_live.markdown(lab_live.from_json(text)),
        beside=("demo",),
    ),
}
"""By the format that a file says it has."""


def kept(files: Sequence[Path], page: Path) -> dict[Path, str]:
    """Return the summaries of some files, by where they are kept beside a page.

    Raises:
        ConfigError: A file cannot be read, is of no known kind, or two are of the same.
    """
    made: dict[Path, str] = {}
    for file in files:
        text = _text(file)
        kind = _kind(text, file)
        place = _folder(page) / f"{kind.name}.json"
        if place in made:
            raise ConfigError(f"{file}: a second file of {kind.name}; name one of each kind")
        made[place] = kind.kept(text)
    return made


def wanted(page: Path, new: Mapping[Path, str] | None = None) -> str:
    """Return what a page should say, by the figures kept beside it.

    Args:
        page: Its file.
        new: Figures that are about to be kept, by where.

    Raises:
        ConfigError: The page or a file cannot be read, or there are no figures.
        MarkerError: The page has no place for some figures.
    """
    figures = {file: _text(file) for file in _folder(page).glob("*.json")} | dict(new or {})
    if not figures:
        raise ConfigError(f"{_folder(page)} holds no figures; `lab docs RESULTS` keeps some")
    text = _text(page)
    missing = {kind.name for kind in KINDS.values()}
    for file, found in sorted(figures.items()):
        kind = _kind(found, file)
        text = lab_figures.spliced(text, kind.name, kind.table(found))
        missing.discard(kind.name)
    for name in sorted(missing):
        if lab_figures.has_place(text, name):
            text = lab_figures.spliced(text, name, "Not measured yet.")
    return text


def difference(page: Path) -> str:
    """Return how a page differs from what it should say; empty = it does not."""
    lines = (_text(page).splitlines(), wanted(page).splitlines())
    return "\n".join(difflib.unified_diff(*lines, "as it is", "as measured", lineterm="", n=0))


def ages(page: Path, package: Path | None = None) -> list[lab_docs_age.Age]:
    """Return how each table of a page stands to today's code, in the order of their names.

    Args:
        page: Its file; what is kept beside it holds tables (`difference` refuses what does not).
        package: Folder of the program; None = of this one.

    Raises:
        ConfigError: A file cannot be read, or is of no known kind.
    """
    program = package or Path(str(resources("homeostat")))
    found = []
    for file in sorted(_folder(page).glob("*.json")):
        text = _text(file)
        kind, plain = _kind(text, file), json.loads(text)
        rooms = (*lab_docs_age.rooms(kind.played(plain)), *kind.beside)
        found.append(lab_docs_age.age(kind.name, plain, rooms, program))
    return found


def _folder(page: Path) -> Path:
    return page.with_suffix("")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error})") from error


def _kind(text: str, file: Path) -> Kind:
    try:
        plain: Any = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{file}: not JSON ({error})") from error
    found = cast("dict[str, Any]", plain).get("format") if isinstance(plain, dict) else None
    if found not in KINDS:
        known = ", ".join(KINDS)
        raise ConfigError(f"{file}: format is {found!r}; figures are kept of {known}")
    return KINDS[found]
