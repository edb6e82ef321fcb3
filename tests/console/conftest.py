"""A real browser on the real server: one thread serves, the test drives Chromium."""

import asyncio
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from homeostat.base.events import Approval, Command, Event
from homeostat.base.state import LoopState
from homeostat.base.types import KillLevel, TimeNs
from homeostat.base.units import SECOND
from homeostat.server.api.app import create_app
from homeostat.server.http import serve_app
from homeostat.server.people_file import People
from homeostat.server.view import View
from homeostat.testing.asked import asked
from homeostat.testing.story import TICKS, story

CHROMIUM = Path("/usr/bin/chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
T = TypeVar("T")


class Site:
    """The server, in a thread with its own loop; everything that touches the view runs there."""

    def __init__(self, people: Path | None = None) -> None:
        self.view = View()
        self.people = People(people)
        self.state: LoopState | None = None
        self.level_now = KillLevel.OFF
        self.submitted: list[Event] = []
        self.token = secrets.token_urlsafe(32)
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        port = _free_port()  # the origin must be known before the server is made
        app = create_app(
            view=self.view,
            submit=self.submit,
            kill=self,
            labels=None,
            token=self.token,
            allowed_origins=[f"http://127.0.0.1:{port}"],
            clock=self.clock,
            people=self.people,
            states=lambda _: self.state,
        )
        async with serve_app(app, port=port) as self.url:
            self._ready.set()
            await self._stop.wait()

    @staticmethod
    def clock() -> TimeNs:
        return TimeNs(time.time_ns())

    def level(self) -> KillLevel:
        return self.level_now

    def throw(self, level: KillLevel, by: str) -> None:
        self.level_now = level

    async def submit(self, event: Event) -> str | None:
        self.submitted.append(event)
        if isinstance(event, Approval):
            self.view.event(event)
        return None

    def call(self, do: Callable[[], T]) -> T:
        """Run something in the server's thread and return what it returned."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(do())
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(10)

    def tell(self, name: str = "credit", ticks: int = TICKS) -> None:
        """Tell the story so that it ends now."""
        start = TimeNs(time.time_ns() - (ticks - 1) * SECOND)
        beats = list(story(start, name=name, ticks=ticks))
        self.observe(name, [item for beat in beats for item in beat.items])

    def observe(self, name: str, items: Sequence[Event | Command]) -> None:
        """Let the view see these, in the server's thread."""

        def fold() -> None:
            for item in items:
                self.view.observe(name, item)

        self.call(fold)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")  # its event loop must be gone before other folders' tests run
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"needs a Chromium at {CHROMIUM} (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="needs the extra [dev]: playwright")
    with api.sync_playwright() as play:
        made = play.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield made
        made.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path / "people.json") as made:
        made.tell()
        seen = made.view.deployment("credit")
        entry = seen.actions.get("d-0002") if seen is not None else None
        assert seen is not None
        assert seen.managed is not None
        assert entry is not None
        made.state = asked(seen.managed, seen.evidence, seen.world, entry.record)
        yield made


@pytest.fixture
def open_page(site: Site, browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page of the site; at the end, nothing may have been said on its error console."""
    contexts, complaints = [], []

    def opened(path: str = "/d/credit", *, live: bool = True, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text) if said.type in {"error", "warning"} else None
            ),
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((site.url, "data:"))
                else complaints.append(f"asked {request.url}")
            ),
        )
        page.goto(site.url + path)
        if live:
            page.wait_for_selector('#link[data-state="live"]')
        return page

    opened.complaints = complaints  # type: ignore[attr-defined]  # tests that expect some clear it
    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for an expression to hold in a page.

    Playwright's own `wait_for_function` evaluates inside the page, which its policy forbids.
    """

    def wait(page: Any, expression: str, argument: object = None, limit_s: float = 10.0) -> None:
        end = time.monotonic() + limit_s
        while not page.evaluate(expression, argument):
            assert time.monotonic() < end, f"it never held: {expression}"
            page.wait_for_timeout(10)

    return wait
