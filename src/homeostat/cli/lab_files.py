"""What the lab reads and writes on this machine: scenario files, caches, results, facts.

The lab itself is pure; whatever it needs to know of files, the processor or the program's version
is found out here.
"""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Final

from homeostat.base.errors import ConfigError
from homeostat.cli import lab_docs_age
from homeostat.lab.policies import GROUPS
from homeostat.lab.policies import members as policy_members
from homeostat.lab.policies import names as policy_names
from homeostat.lab.scenario import Scenario
from homeostat.lab.scenario_errors import close_to
from homeostat.lab.scenario_schema import load, merge
from homeostat.lab.traces import Recorded, read
from homeostat.report.lab_results import Machine, ScenarioLine
from homeostat.report.lab_words import POLICIES
from homeostat.server import compiled

# A run's results depend on these rooms; a change to any of them makes kept shards worthless.
_ROOMS: Final = lab_docs_age.THINKING


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Scenarios with where they are from.

    Attributes:
        name: For people.
        digest: SHA-256 over the files' bytes, in order.
        scenarios: Ordered by id.
        arguments: How the command line names it.
        recorded: Recorded loads that its scenarios may replay, by name.
        recorded_digest: SHA-256 over them; empty without any.
    """

    name: str
    digest: str
    scenarios: tuple[Scenario, ...]
    arguments: tuple[str, ...] = ()
    recorded: Mapping[str, Recorded] = field(default_factory=dict)
    recorded_digest: str = ""

    def with_traces(self, given: Sequence[str]) -> "Catalogue":
        """Return the same catalogue with recorded loads to replay.

        Args:
            given: `NAME=FILE`, the name as scenarios use it.

        Raises:
            ConfigError: One is written otherwise, or its file cannot be used.
        """
        found, total = dict(self.recorded), hashlib.sha256()
        for text in given:
            name, _, path = text.partition("=")
            if not (name and path):
                raise ConfigError(f"--trace {text!r}: write NAME=FILE, for example rush=rush.csv")
            data = _bytes(Path(path))
            found[name] = read(data, path, name)
            total.update(f"{name}\0{len(data)}\0".encode() + data)
        words = tuple(word for text in given for word in ("--trace", text))
        return replace(
            self,
            recorded=found,
            recorded_digest=total.hexdigest() if given else "",
            arguments=(*self.arguments, *words),
        )

    def only(self, ids: Sequence[str]) -> "Catalogue":
        """Return the same catalogue with these scenarios alone; none = all.

        Raises:
            ConfigError: An id is not in it.
        """
        if not ids:
            return self
        for name in ids:
            known("scenario", name, [one.id for one in self.scenarios])
        kept = tuple(one for one in self.scenarios if one.id in ids)
        arguments = (*self.arguments, "--only", ",".join(ids))
        return replace(self, scenarios=kept, arguments=arguments)

    def get(self, name: str) -> Scenario:
        """Return one scenario by its id."""
        return next(one for one in self.scenarios if one.id == name)

    def playable(self, ids: Sequence[str] = ()) -> "Catalogue":
        """Return the same catalogue, if the recorded loads that are replayed were given.

        Args:
            ids: Of the scenarios to be played; none = all.

        Raises:
            ConfigError: One was not; better said now than by every worker.
        """
        for one in self.scenarios:
            wanted = one.load.trace
            if (one.id in ids or not ids) and wanted and wanted not in self.recorded:
                raise ConfigError(
                    f"{one.id} replays the recorded load {wanted!r}, which was not given; "
                    f"add --trace {wanted}=FILE"
                )
        return self


def catalogue(paths: Sequence[Path]) -> Catalogue:
    """Return the scenarios of some files, or the product's own without any.

    Raises:
        ConfigError: A file is not there, or what it holds cannot be used.
    """
    found = [(path.name, _bytes(path)) for path in paths] or _own()
    digest = hashlib.sha256(b"".join(data for _, data in found)).hexdigest()
    scenarios = merge((load(data, name) for name, data in found), [name for name, _ in found])
    name = ", ".join(name for name, _ in found) if paths else "catalogue"
    arguments = tuple(word for path in paths for word in ("--scenarios", str(path)))
    return Catalogue(
        name=f"{name} ({len(scenarios)} scenarios)",
        digest=digest,
        scenarios=scenarios,
        arguments=arguments,
    )


def known(what: str, name: str, names: Iterable[str]) -> None:
    """Refuse a name that is not among those there are.

    Raises:
        ConfigError: It is not; the closest one is suggested.
    """
    there = list(names)
    if name not in there:
        raise ConfigError(f"unknown {what} {name!r}; {close_to(name, there)}")


def seeds(first: int, count: int) -> tuple[int, ...]:
    """Return the seeds of a comparison.

    Raises:
        ConfigError: They reach those that the autoscalers are tuned on.
    """
    from homeostat.lab.tuning import FIRST_SEED

    if first + count > FIRST_SEED:
        raise ConfigError(
            f"seeds {first} to {first + count - 1}: those from {FIRST_SEED} on are what `lab tune` "
            "tunes the autoscalers on; compare on lower ones"
        )
    return tuple(range(first, first + count))


def policies() -> list[str]:
    """Return every policy's name."""
    return policy_names()


def members(given: Sequence[str]) -> tuple[str, ...]:
    """Return the policies that names of policies and groups stand for, each once.

    Raises:
        ConfigError: A name is neither.
    """
    for name in given:
        known("policy", name, [*policies(), *GROUPS])
    return policy_members(given)


def policy_rows() -> list[dict[str, Any]]:
    """Return one row for each policy."""
    return [{"policy": name, "does": POLICIES.get(name, "")} for name in policies()]


def scenario_rows(found: Catalogue) -> list[dict[str, Any]]:
    """Return one row for each scenario."""
    return [
        {
            "id": one.id,
            "name": one.name,
            "family": one.family,
            "length": f"{one.length_s / 3600:g} h",
            "length_s": one.length_s,
            "end": _right_end(one),
            "best": [f"{a.do} ({a.when})" if a.when else a.do for a in one.best],
            "unsafe": [f"{t.action} [{', '.join(t.codes)}]" for t in one.unsafe],
            "summary": one.summary,
        }
        for one in found.scenarios
    ]


def scenario_lines(found: Catalogue) -> dict[str, ScenarioLine]:
    """Return the scenarios as reports name them, by id."""
    return {
        one.id: ScenarioLine(
            name=one.name,
            family=one.family,
            length_s=one.length_s,
            benign=one.benign,
            recoverable=one.recoverable is not False,
        )
        for one in found.scenarios
    }


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def machine() -> Machine:
    """Return what a reader must know of this machine."""
    facts = _processor()
    return Machine(
        cpu=facts.get("model name", platform.machine()),
        cores=cores(),
        python=platform.python_version(),
        jax=version("jax"),
    )


def commit() -> str:
    """Return the commit of the repository that the program runs from; empty = there is none.

    A `+` says that a file of the program is not as it was committed.
    """
    package = Path(str(resources("homeostat")))
    if (found := _git(package, "rev-parse", "HEAD")) is None:
        return ""
    changed = _git(package, "status", "--porcelain", "--untracked-files=all", "--", ".")
    return found if changed == "" else f"{found}+"


def _git(folder: Path, *words: str) -> str | None:
    """Return what git says in a folder; None = it is not there, or the folder is not its own."""
    try:
        done = subprocess.run(  # noqa: S603  # fixed words, no shell
            ["git", "-C", str(folder), *words],  # noqa: S607  # whichever git the person uses
            capture_output=True,
            text=True,
            check=True,
            timeout=10.0,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def compile_cache() -> Path:
    """Return the folder for compiled programs; see `compiled.folder`."""
    return compiled.folder(_processor())


@cache
def code_digest() -> str:
    """Return the SHA-256 of everything that a result is computed by."""
    return digest_of(Path(str(resources("homeostat"))))


def digest_of(package: Path) -> str:
    """Return the SHA-256 of the rooms of a package that a result is computed by."""
    return compiled.digest_of(package, _ROOMS)


def prepare(folder: Path) -> None:
    """Make a folder for what is to be written there, before hours are spent on it.

    Raises:
        ConfigError: It cannot be made, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f".{os.getpid()}.part"
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise ConfigError(
            f"{folder}: nothing can be written there ({error.strerror}); choose another --out"
        ) from error


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all: whoever reads it never sees half of it.

    Raises:
        ConfigError: It cannot be written; what was there before stays.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, also when another process writes the same one.

    Raises:
        ConfigError: It cannot be written; what was there before stays.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}); make room or choose another place, "
            "then run the same command again"
        ) from error


def _right_end(one: Scenario) -> str:
    if one.benign:
        return "leave it alone"
    if isinstance(one.recoverable, str):
        return "recover, or tell"
    return "recover" if one.recoverable else "tell a person"


def _own() -> list[tuple[str, bytes]]:
    folder = resources("homeostat.lab") / "catalogue"
    names = sorted(f.name for f in folder.iterdir() if f.name.endswith((".yaml", ".yml")))
    return [(name, (folder / name).read_bytes()) for name in names]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error


@cache
def _processor() -> dict[str, str]:
    return compiled.processor()
