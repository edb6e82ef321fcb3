"""One server's worth of everything the API needs, with a story in its view."""

import secrets
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from homeostat.base.errors import StoreError
from homeostat.base.events import Event
from homeostat.base.types import KillLevel, TimeNs
from homeostat.base.units import SECOND
from homeostat.server.api.app import create_app
from homeostat.server.api.deps import States
from homeostat.server.api.doors import Doors
from homeostat.server.auditing import Audit
from homeostat.server.people_file import People
from homeostat.server.view import View
from homeostat.testing.story import Beat, story

ORIGIN = "http://testserver"
START = TimeNs(1_700_000_000 * SECOND)


@cache
def beats(name: str, ticks: int) -> tuple[Beat, ...]:
    """Return the story, with every tenth tick of its calm: the plot is what the API shows."""
    told = enumerate(story(START, name=name, ticks=ticks))
    return tuple(b for i, b in told if i % 10 == 0 or i > ticks - 5 or len(b.items) > 1)


@dataclass
class Bench:
    """A view with a story, fakes that obey the ports, and clients of the app."""

    view: View = field(default_factory=View)
    now: TimeNs = START
    level_now: KillLevel = KillLevel.OFF
    broken_kill: bool = False
    thrown: list[tuple[KillLevel, str]] = field(default_factory=list)
    submitted: list[Event] = field(default_factory=list)
    refusal: str | None = None
    labels: list[dict[str, Any]] = field(default_factory=list)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def tell(self, name: str = "credit", ticks: int = 300) -> None:
        for beat in beats(name, ticks):
            for item in beat.items:
                self.view.observe(name, item)
            self.now = beat.at

    def level(self) -> KillLevel:
        return self.level_now

    def throw(self, level: KillLevel, by: str) -> None:
        if self.broken_kill:
            raise StoreError("the disk is full")
        self.level_now = level
        self.thrown.append((level, by))

    async def submit(self, event: Event) -> str | None:
        self.submitted.append(event)
        return self.refusal

    def join(self, rows: list[dict[str, Any]]) -> dict[str, int]:
        self.labels.extend(rows)
        return {"joined": len(rows)}

    def app(
        self,
        *,
        read_only: bool = False,
        labels: bool = True,
        people: People | None = None,
        states: States = lambda _: None,
        audit: Audit | None = None,
        doors: Doors | None = None,
        standby: Callable[[], bool] = lambda: False,
    ) -> FastAPI:
        return create_app(
            view=self.view,
            submit=self.submit,
            kill=self,
            labels=self.join if labels else None,
            token=self.token,
            allowed_origins=[ORIGIN],
            clock=lambda: self.now,
            read_only=read_only,
            people=people,
            states=states,
            audit=audit,
            doors=doors,
            standby=standby,
        )

    @property
    def auth(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


@cache
def told() -> Bench:
    """Return one that heard the story; a copy is four times cheaper than hearing it again."""
    made = Bench()
    made.tell()
    return made


@pytest.fixture
def bench() -> Bench:
    return Bench(view=deepcopy(told().view), now=told().now)


@pytest.fixture
def client(bench: Bench) -> Iterator[TestClient]:
    with TestClient(bench.app(), raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="session")
def running() -> Iterator[tuple[Bench, TestClient]]:
    made = Bench(view=deepcopy(told().view), now=told().now)
    with TestClient(made.app(), raise_server_exceptions=False) as client:
        yield made, client


@pytest.fixture
def shared(running: tuple[Bench, TestClient]) -> Iterator[TestClient]:
    """One server for all requests that must change nothing, so that it need not be built anew."""
    bench, client = running
    bench.now = TimeNs(bench.now + 60 * SECOND)  # the rate limit has its own test
    yield client
    assert not bench.submitted
    assert not bench.thrown
    assert not bench.labels


@pytest.fixture
def post(bench: Bench, client: TestClient) -> Callable[..., Any]:
    """Send a change with the right token."""

    def send(path: str, body: object = None, **headers: str) -> Any:
        return client.post(path, json=body, headers={**bench.auth, **headers})

    return send
