"""A walk over a how-to page: every block in its order, none left out, each put to use by a test.

    with walking("connect-haproxy.md") as page:
        page.file("haproxy.cfg", {"/run/haproxy": str(tmp_path)})
        page.file("chat.yaml")
        (look,) = page.commands()

A block that nobody took fails the walk, and so does what a test would replace on a page and does
not find there. `test_pages_walked.py` fails where a platform's page has no walk.
"""

import asyncio
import os
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from typer.testing import CliRunner, Result

from homeostat.base.intent import Intent, Receipt
from homeostat.base.ports import Actuator
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers
from homeostat.cli.main import app
from homeostat.server import planning
from homeostat.server.config.loader import assemble, parse
from homeostat.server.wiring import build

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "how-to"
_STARTED_S: Final = 60.0  # a busy machine
_FENCE: Final = re.compile(r"^ *```(\w*) *$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `line` is where it begins on its page."""

    line: int
    language: str
    text: str


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page.

    Raises:
        AssertionError: One has no end.
    """
    found: list[Block] = []
    begun: tuple[int, str] | None = None
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        fence = _FENCE.match(line)
        if fence is None:
            inside.append(line)
        elif begun is None:
            begun, inside = (number, fence[1]), []
        else:
            found.append(Block(*begun, "".join(f"{one}\n" for one in inside)))
            begun = None
    assert begun is None, f"the block of line {begun} has no end"
    return found


class Walk:
    """One walk; see the module."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._left = name, blocks(text)
        assert self._left, f"{name} has no blocks"

    def take(self, language: str, says: str = "") -> str:
        """Return the next block's text.

        Raises:
            AssertionError: There is none, or it is another.
        """
        assert self._left, f"{self._name} has no block after those that were taken"
        block = self._left.pop(0)
        where = f"{self._name}:{block.line}"
        assert block.language == language, f"{where} is {block.language!r}, not {language!r}"
        assert says in block.text, f"{where} does not say {says!r}"
        return block.text

    def file(
        self, path: Path, language: str = "yaml", swap: Mapping[str, str] | None = None
    ) -> str:
        """Write the next block as a file, with addresses of this machine, and return its text.

        Raises:
            AssertionError: The page does not say what is to be replaced.
        """
        text = replaced(self.take(language), swap or {})
        path.write_text(text, encoding="utf-8")
        return text

    def yaml(self, says: str = "") -> Any:
        """Return what the next block of YAML says."""
        return yaml.safe_load(self.take("yaml", says))

    def commands(self, swap: Mapping[str, str] | None = None) -> list[str]:
        """Return the commands of the next block of a terminal, without their prompt."""
        text = replaced(self.take("console"), swap or {})
        lines = text.splitlines()
        assert all(line.startswith("$ ") for line in lines), f"{self._name}: {lines}"
        return [line.removeprefix("$ ") for line in lines]

    def left_to(self, file: str, says: str, language: str = "console") -> None:
        """Leave the next block to a test file elsewhere, which must say this just as the page does.

        Raises:
            AssertionError: The block, or the file, does not.
        """
        self.take(language, says)
        text = (ROOT / file).read_text(encoding="utf-8")
        assert says in text, f"{file} does not say {says!r}"

    def end(self) -> None:
        """Say that this was all.

        Raises:
            AssertionError: It was not.
        """
        lines = [f"{self._name}:{block.line}" for block in self._left]
        assert not lines, f"no test has taken {', '.join(lines)}"


@contextmanager
def walking(name: str) -> Iterator[Walk]:
    """Walk over a page; ends with an error where a block is left."""
    walk = Walk(name, (FOLDER / name).read_text(encoding="utf-8"))
    yield walk
    walk.end()


def replaced(text: str, swap: Mapping[str, str]) -> str:
    """Return a text with each of these replaced; all of them must be there."""
    for old, new in swap.items():
        assert old in text, f"the page does not say {old!r} here"
        text = text.replace(old, new)
    return text


@contextmanager
def running(
    words: Sequence[str], folder: Path, port: int, env: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program in a folder until the block ends; it listens on the port when it begins.

    What it says is in `NAME.log` of the folder.
    """
    said = folder / f"{Path(words[0]).name}.log"
    with said.open("ab") as log:
        process = subprocess.Popen(
            words, cwd=folder, stdout=log, stderr=log, env={**os.environ, **(env or {})}
        )
    try:
        give_up = time.monotonic() + _STARTED_S
        while not _listens(port):
            assert process.poll() is None, said.read_text()[-3000:]
            assert time.monotonic() < give_up, said.read_text()[-3000:]
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=_STARTED_S)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def homeostat(command: str) -> Result:
    """Run a command of a page, `homeostat ...`, in this process."""
    words = shlex.split(command)
    assert words[0] == "homeostat", command
    return CliRunner().invoke(app, words[1:])


def looked(command: str, name: str = "chat") -> None:
    """Run a page's `homeostat run ... --once`, and check that the target could be read.

    Nothing exposes metrics where pages are tried, so the objectives are unknown: exit code 6.
    """
    said = homeostat(command)
    assert said.exit_code == 6, said.output
    row = rf"^{name} +shadow +unknown .* yes *$"
    assert re.search(row, said.output, re.MULTILINE), said.output


def moved(document: str, part: str, *changes: Levers) -> list[Receipt]:
    """Carry changes out through the actuator that a page's configuration makes.

    Args:
        document: The page's file, with addresses of this machine.
        part: Which of its actuators.
        changes: One after another, each on what stands there then.
    """
    (deployment,) = assemble(parse(document.encode(), "chat.yaml")).deployments
    plans = {one.part: one for one in planning.deployment_plan(deployment).actuators}
    return asyncio.run(_moved(build("actuator", plans[part]), changes))


async def _moved(actuator: Actuator, changes: Sequence[Levers]) -> list[Receipt]:
    try:
        return [await _move(actuator, number, post) for number, post in enumerate(changes)]
    finally:
        await actuator.close()


async def _move(actuator: Actuator, number: int, post: Levers) -> Receipt:
    now = TimeNs(time.time_ns())  # receivers refuse what is past its deadline by their own clocks
    world = await actuator.read("chat", now)
    stamp = world.stamp(actuator.name)
    assert stamp is not None
    live = dict(world.levers)
    intent = Intent(
        id=f"d-{number}.0.0",
        action_id=f"d-{number}",
        deployment="chat",
        actuator=actuator.name,
        epoch=3,
        stage=0,
        pre=tuple((lever, live[lever]) for lever, _ in post),
        post=post,
        token=stamp.token,
        evidence_at=now,
        deadline=TimeNs(now + 20 * SECOND),
    )
    return await actuator.apply(intent, now)
