"""A real API server on loopback in a thread, with the story in its view, and the command line."""

import asyncio
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from homeostat.base.events import Event
from homeostat.base.types import KillLevel, TimeNs
from homeostat.base.units import SECOND
from homeostat.cli.main import app
from homeostat.server.api.app import create_app
from homeostat.server.http import serve_app
from homeostat.server.view import View
from homeostat.testing.story import Beat, story

TOKEN = "t" * 43
START = TimeNs(1_700_000_000 * SECOND)


@cache
def beats(name: str) -> tuple[Beat, ...]:
    """Return the story's plot, with every tenth tick of its calm."""
    told = story(START, name=name)
    return tuple(b for b in told if len(b.items) > 1 or b.at // SECOND % 10 == 0)


@dataclass
class Controller:
    """What stands behind the server, and keeps what it was asked."""

    url: str = ""
    view: View = field(default_factory=View)
    now: TimeNs = START
    submitted: list[Event] = field(default_factory=list)
    refusal: str | None = None
    thrown: list[tuple[KillLevel, str]] = field(default_factory=list)

    def forget(self) -> None:
        """Start again with an empty view."""
        self.view.__init__()  # type: ignore[misc] # the app keeps the object
        self.submitted.clear()
        self.thrown.clear()
        self.refusal = None

    def tell(self, name: str = "credit") -> None:
        """Let the view live through the story."""
        for beat in beats(name):
            for item in beat.items:
                self.view.observe(name, item)
            self.now = beat.at

    def level(self) -> KillLevel:
        return self.thrown[-1][0] if self.thrown else KillLevel.OFF

    def throw(self, level: KillLevel, by: str) -> None:
        self.thrown.append((level, by))

    async def submit(self, event: Event) -> str | None:
        self.submitted.append(event)
        return self.refusal


@pytest.fixture(scope="module")
def server() -> Iterator[Controller]:
    """Serve one file's tests: fewer changes than the gate lets through at once."""
    made = Controller()
    ready, end = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        api = create_app(
            view=made.view,
            submit=made.submit,
            kill=made,
            labels=None,
            token=TOKEN,
            allowed_origins=["http://127.0.0.1"],
            clock=lambda: made.now,
        )
        async with serve_app(api) as url:
            made.url = url
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10.0), "the server did not start"
    yield made
    loop.call_soon_threadsafe(end.set)
    thread.join(10.0)
    loop.close()


@pytest.fixture
def controller(server: Controller, monkeypatch: pytest.MonkeyPatch) -> Controller:
    """Return the controller as after the story, nothing asked of it yet."""
    server.forget()
    server.tell()
    return server


@dataclass
class Shell:
    """Runs commands; the environment holds nothing of ours but what a test puts there."""

    env: dict[str, str | None]

    def __call__(self, *arguments: str, **env: str) -> Result:
        return CliRunner().invoke(app, list(arguments), env={**self.env, **env})


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Run commands without a controller's address or a token."""
    for name in [name for name in os.environ if name.startswith("HOMEOSTAT")]:
        monkeypatch.delenv(name)
    return Shell(env={})


@pytest.fixture
def shell(bare: Shell, controller: Controller) -> Shell:
    """Run commands against the controller, with its token."""
    return Shell(env={"HOMEOSTAT_URL": controller.url, "HOMEOSTAT_TOKEN": TOKEN})


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n", encoding="utf-8")
    return file


def plain(result: Result) -> Any:
    """Return a command's JSON; it must be all of stdout."""
    import json  # noqa: PLC0415 - only this helper needs it

    return json.loads(result.stdout)
