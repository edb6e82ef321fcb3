"""Runs a real server, sends it requests of which some fail, and keeps its metrics page twice.

    unshare -n -p -f --mount-proc --kill-child=SIGKILL sh -c 'ip link set lo up; exec "$@"' own \
        python tests/adapters/sources/record_expositions.py bentoml --environment VENV

What a server needs is in its recipe (`--list`): an environment of its own, no dependency of ours.
Written are `NAME-VERSION.before.txt`, `.after.txt`, and `.json`: what was sent until the first page
and between the two, by status. Comments are left out; of metrics that a recipe does not keep whole,
one series each stays; what names a machine or a folder becomes a word.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))

from record_apps import Recipe
from record_recipes import RECIPES

PAGES: Final = Path(__file__).parent / "expositions"
FIRST: Final = (6, 2)
"""Requests that succeed and that fail until the first page, one after another."""
THEN: Final = (24, 6)
ANSWER_S: Final = 200.0  # Ray starts Serve itself before it answers for the first application
_LINE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? +(\S+)( \d+)?$")
# Labels that say which machine, folder or moment a page was recorded on.
_OURS: Final = re.compile(
    r"(?<=[{,])((?:nodename|machine|release|domainname|device|mountpoint|SessionName|ip|NodeAddress|"
    r'instanceid|hostname|Hostname|serial|pid|Pid|ray_io_cluster)=")(?:[^"\\]|\\.)*(?=")'
)


def main() -> int:
    """Record what is named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("names", nargs="*", choices=[*RECIPES, []])
    parser.add_argument("--environment", type=Path, help="virtual environment with what it needs")
    parser.add_argument("--into", type=Path, default=PAGES)
    parser.add_argument("--list", action="store_true", help="say what each server needs")
    asked = parser.parse_args()
    if asked.list:
        for name, recipe in RECIPES.items():
            print(f"{name}: {recipe.needs}")
    for name in asked.names:
        record(name, asked.environment, asked.into)
    return 0


def record(name: str, environment: Path | None, into: Path) -> None:
    """Record one server's page at two moments."""
    recipe = RECIPES[name]
    with tempfile.TemporaryDirectory() as made:
        fill = _filler(Path(made), environment)
        version = _version(recipe, fill)
        with _served(recipe, Path(made), fill) as asked:
            pages = []
            sent = []
            for counts in (FIRST, THEN):
                sent.append(dict(sorted((asked + _ask(recipe, fill, *counts)).items())))
                asked.clear()
                time.sleep(recipe.settle_s)
                pages.append(_get(fill(recipe.page)))
    into.mkdir(exist_ok=True)
    stem = f"{name}-{version}"
    for moment, page in zip(("before", "after"), pages, strict=True):
        kept = "\n".join(_kept(page, recipe.keep))
        (into / f"{stem}.{moment}.txt").write_text(kept + "\n", encoding="utf-8")
    said: dict[str, Any] = {
        "server": name,
        "version": version,
        "recorded_by": f"python tests/adapters/sources/record_expositions.py {name}",
        "needs": recipe.needs,
        "sent_until_before": sent[0],
        "sent_between": sent[1],
    }
    (into / f"{stem}.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    print(stem, said["sent_until_before"], said["sent_between"])


def _filler(folder: Path, environment: Path | None) -> Callable[[str], str]:
    """Return what puts ports, folders and programs into a recipe's words."""
    with _free_ports(4) as ports:
        words = {f"@{letter}@": str(port) for letter, port in zip("ABCD", ports, strict=True)}
    inside = Path(sys.executable).parent if environment is None else environment.absolute() / "bin"
    words |= {"@FOLDER@": str(folder), "@PYTHON@": str(inside / "python"), "@BIN@": str(inside)}

    def fill(text: str) -> str:
        for word, value in words.items():
            text = text.replace(word, value)
        return text

    return fill


@contextmanager
def _free_ports(count: int) -> Iterator[list[int]]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        yield [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _version(recipe: Recipe, fill: Callable[[str], str]) -> str:
    said = subprocess.run(
        [fill(word) for word in recipe.version], check=True, capture_output=True, text=True
    )
    found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    if found is None:
        raise SystemExit(f"no version in {said.stdout[:200]!r}")
    return found.group()


@contextmanager
def _served(recipe: Recipe, folder: Path, fill: Callable[[str], str]) -> Iterator[Counter[str]]:
    """Start the server, wait until it serves, and end all that it started.

    Yields:
        How what was asked until then was answered, by status.
    """
    for file, text in recipe.files.items():
        (folder / file).write_text(fill(text))
    environ = {key: text for key, text in os.environ.items() if key != "PYTHONPATH"}
    environ |= {key: fill(text) for key, text in recipe.env.items()}
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [fill(word) for word in recipe.command],
            cwd=folder,
            env=environ,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _until_ready(recipe, fill, process)
    except BaseException:
        shutil.copyfileobj(log.open("r", errors="replace"), sys.stderr)
        raise
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _until_ready(
    recipe: Recipe, fill: Callable[[str], str], process: subprocess.Popen[bytes]
) -> Counter[str]:
    """Wait until the model answers, and return how it did until then, by status.

    Raises:
        SystemExit: It ended, or does not answer in time.
    """
    end = time.monotonic() + recipe.start_s
    told, asked = recipe.setup is None, Counter[str]()
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"it ended with {process.returncode}")
        if not told and recipe.setup is not None:
            told = _send(recipe.setup, fill, "PUT") == "200"
        elif _status(fill(recipe.ready)) == "200":
            if recipe.good is None:
                return asked
            answer = _send(recipe.good, fill)
            asked[answer] += 1
            if answer == "200":
                return asked
        time.sleep(0.2)
    raise SystemExit(f"not ready within {recipe.start_s:g} s: set up {told}, answered {asked}")


def _ask(recipe: Recipe, fill: Callable[[str], str], good: int, bad: int) -> Counter[str]:
    """Send requests, and return how many were answered with which status."""
    if recipe.good is None or recipe.bad is None:
        return Counter()
    wanted = [recipe.good] * good + [recipe.bad] * bad
    return Counter(_send(one, fill) for one in wanted)


def _send(request: tuple[str, Any], fill: Callable[[str], str], method: str = "POST") -> str:
    body = json.dumps(request[1])
    for letter in "ABCD":  # ports are numbers in JSON
        body = body.replace(f'"@{letter}@"', f"@{letter}@")
    headers = {"content-type": "application/json"}
    return _status(fill(request[0]), data=fill(body).encode(), headers=headers, method=method)


def _status(url: str, **more: Any) -> str:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, **more), timeout=ANSWER_S
        ) as answer:
            answer.read()
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError:
        return "none"


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode("utf-8"))


def _kept(page: str, keep: tuple[str, ...]) -> Iterator[str]:
    seen: set[str] = set()
    for line in page.splitlines():
        found = _LINE.fullmatch(line.rstrip())
        if found is None:
            continue
        name = found[1]
        if name in seen and not name.startswith(keep or ("no metric",)):
            continue
        seen.add(name)
        yield _OURS.sub(r"\1x", f"{name}{found[2] or ''}") + f" {found[3]}"


if __name__ == "__main__":
    sys.exit(main())
