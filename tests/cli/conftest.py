"""A real API server on loopback in a thread, with the story in its view, and the command line."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from homeostat.base.events import Event
from homeostat.base.state import LoopState
from homeostat.base.types import KillLevel, TimeNs
from homeostat.base.units import SECOND
from homeostat.cli.main import app
from homeostat.server.api.app import create_app
from homeostat.server.http import serve_app
from homeostat.server.view import View
from homeostat.testing.story import Beat, story

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))  # what tests of the lab share
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "sources"))  # and of Prometheus

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
    seen: LoopState | None = None
    thrown: list[tuple[KillLevel, str]] = field(default_factory=list)

    def forget(self) -> None:
        """Start again with an empty view."""
        self.view.__init__()  # type: ignore[misc] # the app keeps the object
        self.submitted.clear()
        self.thrown.clear()
        self.refusal = self.seen = None

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
            states=lambda _: made.seen,
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


def _played(*, policy: str = "hpa", scenario: str = "S07", seed: int = 3) -> Any:
    """Return ten minutes of one episode by hand: a fault, an own action, a page, bad answers."""
    import numpy as np  # noqa: PLC0415 - only these helpers need the twin

    from homeostat.lab.baselines.levers import standing  # noqa: PLC0415
    from homeostat.lab.types import Episode, Trace  # noqa: PLC0415
    from homeostat.lab.world import Played  # noqa: PLC0415
    from homeostat.twin import params as p  # noqa: PLC0415
    from homeostat.twin.faults import Faults  # noqa: PLC0415
    from homeostat.twin.orders import Orders  # noqa: PLC0415
    from homeostat.twin.outputs import Truth  # noqa: PLC0415

    def group(kind: Any, **values: Any) -> Any:
        return kind(**(dict.fromkeys(kind.__dataclass_fields__, np.float32(0)) | values))

    ticks, scrapes, variants = 600, 40, 3
    never = np.full(1, np.inf)
    faults = group(
        Faults, primitive=np.zeros(1, int), magnitude=np.zeros(1), start_s=never, stop_s=never
    )
    params = group(
        p.Params,
        service=group(p.Service, batch_max=np.ones(variants), concurrency=np.float32(8)),
        quality=group(p.Quality, floor=np.float32(0.85)),
        money=group(p.Money, hard_cap=np.float32(8), budget_usd_per_hour=np.float32(8)),
        promise=group(p.Promise, p99_s=np.float32(0.5), availability=np.float32(0.999)),
        replicas=np.array([2.0, 1.0, 0.0]),
        weights=np.array([1.0, 0.0, 0.0]),
    )
    episode = Episode(
        scenario=scenario, seed=seed, family="load", length_s=ticks, onset_s=200.0,
        recoverable=True, benign=False, slots=4, params=params, faults=faults,
    )  # fmt: skip
    t = np.arange(ticks, dtype=float)[None]
    bad = (t >= 200) & (t < 400)
    truth = dict.fromkeys(Truth.__dataclass_fields__, np.zeros_like(t))
    per = np.zeros((1, ticks, variants))
    truth |= dict.fromkeys(
        ("ready", "held", "weights", "variant_errors", "variant_p99_s", "variant_quality"), per
    )
    truth |= {
        "offered": 100 + 0 * t, "demand": 100 + 0 * t, "attempts": 100 + 0 * t,
        "good": np.where(bad, 40.0, 100.0), "capacity": np.where(bad, 50.0, 150.0),
        "p50_s": 0.05 + 0 * t, "p95_s": 0.1 + 0 * t, "p99_s": np.where(bad, 3.0, 0.2),
        "quality": 0.9 + 0 * t, "slice_quality": 0.9 + 0 * t, "usd_per_hour": 4 + 0 * t,
        "faulty": bad, "ready": per + np.array([2.0, 1.0, 0.0]),
        "held": per + np.array([2.0, 1.0, 0.0]), "weights": per + np.array([1.0, 0.0, 0.0]),
        "variant_quality": per + 0.9, "variant_p99_s": per + np.nan,
    }  # fmt: skip
    flags = ("acted", "destroyed", "ungated", "evidence_low")
    truth |= dict.fromkeys(flags, np.zeros((1, ticks), bool))
    first = standing([episode])
    orders = {
        name: np.repeat(np.asarray(getattr(first, name))[:, None], scrapes, axis=1)
        for name in Orders.__dataclass_fields__
    }
    moves = {
        name: np.zeros((1, scrapes), bool)
        for name in ("intervened", "paged", "destructive", "alarm")
    } | {"family": np.full((1, scrapes), -1), "person_minutes": np.zeros((1, scrapes))}
    if policy != "hold":
        moves["intervened"][0, 15] = moves["alarm"][0, 15] = moves["paged"][0, 19] = True
        moves["family"][0, 19] = 1
        orders["replicas"][0, 16:, 0] = 4.0
        orders["restart"][0, 16, 2] = True
        truth["acted"][0, 240] = True
    trace = Trace(
        episodes=(episode,), policy=policy, truth=group(Truth, **truth), moves=moves,
        signal_age_s=np.zeros((1, scrapes)),
    )  # fmt: skip
    return Played(trace=trace, orders=group(Orders, **orders))


@pytest.fixture(scope="session")
def play() -> Any:
    """Return what makes an episode by hand, for a policy, a scenario and a seed."""
    return _played
