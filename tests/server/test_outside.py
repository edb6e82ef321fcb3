"""From the loop's question to a button in Slack, back as a person's yes, and on to the target.

The loop, the guards, the API and the target's protocol are real here; Slack is a stand-in.
"""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import httpx2
import pytest
from runtime_harness import Stage, stage

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "notify"))
from slack_fake import CHANNEL, TOKEN, SlackFake

from homeostat.adapters.notify.slack import SlackSettings, build
from homeostat.base import codec
from homeostat.base.policy import KillLevel, Mode
from homeostat.base.ports import Journal
from homeostat.server.api.app import create_app
from homeostat.server.auditing import said
from homeostat.server.main import submitter
from homeostat.server.outside import Outside
from homeostat.server.people import DAY_NS, Role, add
from homeostat.server.people_file import People, editing
from homeostat.server.plan import AlertsPlan, ControllerPlan, SlackPlan
from homeostat.server.restore import restore
from homeostat.server.slack_signed import signature
from homeostat.server.view import View
from homeostat.server.wiring import loop_parts
from homeostat.testing.hostile import hostile_server

SIGNING = b"0123456789abcdef0123456789abcdef"


class Kill:
    """A kill switch that nobody throws."""

    def level(self) -> KillLevel:
        return KillLevel.OFF

    def throw(self, level: KillLevel, by: str) -> None:
        raise AssertionError(f"{by} threw it to {level}")


@dataclass
class Scene:
    """A controller whose deployment needs a restart and must ask, and Slack."""

    ready: Stage
    slack: SlackFake
    client: httpx2.AsyncClient

    def text(self) -> str:
        return json.dumps(list(self.slack.messages.values()), ensure_ascii=False)

    def buttons(self) -> list[dict[str, Any]]:
        blocks = [b for m in self.slack.messages.values() for b in m["blocks"]]
        return [e for b in blocks if b["type"] == "actions" for e in b["elements"]]

    async def until(self, found: Callable[[], bool]) -> None:
        end = time.monotonic() + 60.0
        while not found():
            assert time.monotonic() < end, self.text()
            await self.ready.cycles(1)
            await asyncio.sleep(0.01)

    async def press(self, user: str, value: str, action: str = "homeostat_approve") -> int:
        payload = {
            "type": "block_actions",
            "team": {"id": "T0001"},
            "channel": {"id": CHANNEL},
            "user": {"id": user},
            "actions": [{"action_id": action, "value": value}],
        }
        body = urlencode({"payload": json.dumps(payload)}).encode()
        stamp = str(int(time.time()))
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": signature(SIGNING, stamp, body),
        }
        return int((await self.client.post("/v1/slack", content=body, headers=headers)).status_code)


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    ready, fake, view = stage(mode=Mode.APPROVE), SlackFake(), View()
    for name, text in (("bot", TOKEN), ("signing", SIGNING.decode()), ("alerts", "a" * 32)):
        (folder / name).write_text(text)
    roster, _ = add(
        (), name="ada", role=Role.APPROVER, now=ready.clock.now(), lasts_ns=DAY_NS, by="a test"
    )
    with editing(folder / "people.json") as write:
        write(roster)
    async with hostile_server(fake.respond) as server:
        settings = SlackSettings(
            channel=CHANNEL,
            bot_token_file=folder / "bot",
            buttons=True,
            api=server.url("/api"),
            allow=(f"127.0.0.1:{server.port}",),
            timeout_s=60.0,
        )
        plan = ControllerPlan(
            deployments=(),
            journal=folder / "j",
            kill_file=folder / "kill",
            slack=SlackPlan(
                secret_file=folder / "signing",
                team="T0001",
                channel=CHANNEL,
                people=(("U0ADA", "ada"),),
            ),
            alerts=AlertsPlan(token_file=folder / "alerts", label="deployment"),
        )
        outside = Outside(plan, [build(settings)])
        ready.runtime.shell.observe = outside.observing(view.observe)
        app = create_app(
            view=view,
            submit=submitter(ready.runtime),
            kill=Kill(),
            labels=None,
            token=secrets.token_urlsafe(32),
            allowed_origins=["http://127.0.0.1"],
            clock=ready.clock.now,
            people=People(folder / "people.json"),
            states=ready.runtime.states.get,
            doors=outside.doors(cast("Journal", ready.journal), ready.runtime),
        )
        await ready.runtime.start()
        await ready.runtime.settle()
        keep = asyncio.create_task(outside.keep(ready.runtime))
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield Scene(ready, fake, client)
        keep.cancel()
        await asyncio.gather(keep, return_exceptions=True)
        await ready.runtime.close()
        await outside.close()


def canonical(state: Any) -> bytes:
    """Return a state as the journal gives it back: whole numbers where floats belong are floats."""
    return codec.encode(codec.decode(codec.encode(state)))


async def test_a_button_is_pressed_by_somebody_who_may_and_the_target_is_changed(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        here.ready.faulty.add("m")
        await here.until(lambda: bool(here.buttons()))
        assert not here.ready.target.applied()
        assert await here.press("U0ADA", here.buttons()[0]["value"]) == 200
        await here.until(lambda: "approved by ada" in here.text())
        assert here.ready.target.applied()
        assert not here.buttons()
        assert len(here.slack.messages) == 1
        assert not here.slack.whispers


async def test_nobody_else_and_nothing_older_changes_anything(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        here.ready.faulty.add("m")
        await here.until(lambda: bool(here.buttons()))
        value = here.buttons()[0]["value"]
        assert await here.press("U0BOB", value) == 200
        older = json.loads(value) | {"evidence": "0" * 64}
        assert await here.press("U0ADA", json.dumps(older)) == 200
        await here.ready.cycles(3)
        assert not here.ready.target.applied()
        assert [user for user, _ in here.slack.whispers] == ["U0BOB", "U0ADA"]


async def test_a_no_ends_the_question(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        here.ready.faulty.add("m")
        await here.until(lambda: bool(here.buttons()))
        reject = here.buttons()[1]["value"]
        asked = json.loads(reject)["decision"]
        assert await here.press("U0ADA", reject, "homeostat_reject") == 200
        await here.until(lambda: f"{asked} " in here.text() and ": denied" in here.text())
        assert not here.ready.target.applied()


async def test_an_alert_of_others_is_on_record_and_told_and_the_loop_knows_nothing_of_it(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        here.ready.faulty.add("m")
        await here.until(lambda: bool(here.buttons()))
        before = codec.encode(here.ready.runtime.states["m"])
        alert = {
            "status": "firing",
            "labels": {"alertname": "HighLatency", "deployment": "m"},
            "startsAt": "2026-01-01T00:00:00Z",
            "fingerprint": "ab",
        }
        body = {"version": "4", "status": "firing", "alerts": [alert]}
        headers = {"authorization": f"Bearer {'a' * 32}"}
        answer = await here.client.post("/v1/alerts", json=body, headers=headers)
        assert answer.json()["new"] == 1
        assert answer.json()["off_record"] == 0
        assert codec.encode(here.ready.runtime.states["m"]) == before
        (note,) = [one for one in here.ready.journal.entries if one.kind == "note"]
        line = said(note)
        assert line is not None
        assert (line.what, line.origin) == ("heard alert HighLatency fires", "alertmanager")
        await here.until(lambda: "alert HighLatency fires" in here.text())
        again = restore(
            cast("Journal", here.ready.journal),
            loop_parts(),
            here.ready.runtime.states["m"].managed,
        )
        assert canonical(again.state) == canonical(here.ready.runtime.states["m"])


def test_answers_without_a_channel_to_write_to_are_refused(tmp_path: Path) -> None:
    ready = stage()
    plan = ControllerPlan(
        deployments=(),
        journal=tmp_path / "j",
        kill_file=tmp_path / "kill",
        slack=SlackPlan(secret_file=tmp_path / "s", team="T1", channel="C1", people=()),
    )
    with pytest.raises(Exception, match="nothing is written there"):
        Outside(plan, []).doors(cast("Journal", ready.journal), ready.runtime)
