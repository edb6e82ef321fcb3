"""One message a matter, edited in place, against a stateful stand-in of Slack's Web API."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from slack_fake import CHANNEL, TOKEN, SlackFake

from homeostat.adapters.notify._slack_message import message
from homeostat.adapters.notify.slack import Slack, SlackSettings, build
from homeostat.base.bulletin import Bulletin, Question
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.errors import NotifierError
from homeostat.base.units import SECOND, TimeNs
from homeostat.testing.hostile import always, hostile_server, response
from homeostat.testing.notifier import NASTY, check_notifier

AT = TimeNs(1_800_000_000 * SECOND)
INCIDENT = Bulletin(
    key="i-0001",
    deployment="credit",
    since=AT,
    at=AT,
    urgency=Urgency.INFO,
    title="replica at replica:a-2",
    because=("it is slow",),
    lasting=True,
)
QUESTION = Question(
    decision_id="d-0007",
    words="restart_replica replica:a-2",
    asked_at=AT,
    expires_at=TimeNs(AT + 900 * SECOND),
    action_hash="a" * 64,
    evidence_hash="e" * 64,
)


class Wall:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def slack(folder: Path, **more: Any) -> AsyncIterator[tuple[SlackFake, Slack, Wall]]:
    (folder / "bot").write_text(f"{more.pop('token', TOKEN)}\n", encoding="utf-8")
    fake, wall = SlackFake(), Wall()
    async with hostile_server(fake.respond) as server:
        settings = SlackSettings.model_validate(
            {
                "channel": CHANNEL,
                "bot_token_file": folder / "bot",
                "kept_file": folder / "state" / "kept.json",
                "api": server.url("/api"),
                "allow": (f"127.0.0.1:{server.port}",),
                "timeout_s": 30.0,
            }
            | more
        )
        made = build(settings, wall=wall)
        yield fake, made, wall
        await made.close()


async def test_it_keeps_the_promises_of_a_notifier(tmp_path: Path) -> None:
    async with slack(tmp_path) as (fake, made, _):
        await check_notifier(lambda: made, delivered=lambda: fake.bodies)
        assert fake.methods() == ["chat.postMessage", "chat.update", "chat.postMessage"]


async def test_an_incident_is_one_message_that_is_edited_to_its_end(tmp_path: Path) -> None:
    async with slack(tmp_path) as (fake, made, _):
        over = TimeNs(AT + 60 * SECOND)
        for bulletin in (
            INCIDENT,
            replace(INCIDENT, story=((AT, "restarting it"),)),
            replace(INCIDENT, over_at=over, at=over),
        ):
            await made.show(bulletin)
            await made.show(bulletin)  # the same again is no news
    assert fake.methods() == ["chat.postMessage", "chat.update", "chat.update"]
    (only,) = fake.messages.values()
    assert "over at 2027-01-15 08:01:00 UTC, after 60 s" in json.dumps(only)


async def test_after_a_restart_the_same_message_is_edited(tmp_path: Path) -> None:
    async with slack(tmp_path) as (fake, made, wall):
        await made.show(INCIDENT)
        again = build(made._settings, wall=wall)
        await again.show(replace(INCIDENT, because=("it is dead",)))
        await again.close()
    assert fake.methods() == ["chat.postMessage", "chat.update"]
    kept = tmp_path / "state" / "kept.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert not {"it is slow", TOKEN} & set(kept.read_text().split('"'))


@pytest.mark.parametrize("kept", ["", "[]", '{"format":1,"messages":{"a":{"ts":"../x"}}}', "\0"])
async def test_a_damaged_memory_costs_a_second_message_and_no_word(
    tmp_path: Path, kept: str
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "kept.json").write_text(kept)
    async with slack(tmp_path) as (fake, made, _):
        await made.show(INCIDENT)
    assert fake.methods() == ["chat.postMessage"]


async def test_a_message_that_somebody_deleted_is_written_anew(tmp_path: Path) -> None:
    async with slack(tmp_path) as (fake, made, _):
        await made.show(INCIDENT)
        fake.messages.clear()
        await made.show(replace(INCIDENT, because=("it is dead",)))
    assert fake.methods() == ["chat.postMessage", "chat.update", "chat.postMessage"]


def buttons(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [e for b in body["blocks"] if b["type"] == "actions" for e in b["elements"]]


def test_buttons_carry_what_a_yes_is_bound_to_and_vanish_with_the_question() -> None:
    asked = replace(INCIDENT, question=QUESTION)
    yes, no = buttons(message(asked, console="", buttons=True))
    assert (yes["action_id"], no["action_id"]) == ("homeostat_approve", "homeostat_reject")
    assert (
        json.loads(yes["value"])
        == json.loads(no["value"])
        == {
            "deployment": "credit",
            "decision": "d-0007",
            "action": "a" * 64,
            "evidence": "e" * 64,
        }
    )
    assert "confirm" in yes
    assert not buttons(message(INCIDENT, console="", buttons=True))
    over = replace(asked, over_at=AT)
    assert not buttons(message(over, console="", buttons=True))


def test_without_answers_or_without_what_it_is_bound_to_there_are_no_buttons() -> None:
    asked = replace(INCIDENT, question=QUESTION)
    unbound = replace(INCIDENT, question=replace(QUESTION, evidence_hash=""))
    for body in (
        message(asked, console="", buttons=False),
        message(unbound, console="", buttons=True),
    ):
        assert not buttons(body)
        assert "homeostat approve d-0007" in json.dumps(body)


def test_text_from_outside_is_never_markup() -> None:
    nasty = "<!channel> <http://evil|ok> *b* &amp; " + NASTY
    body = message(
        replace(INCIDENT, title=nasty, because=(nasty,), story=((AT, nasty),), deployment=nasty),
        console="https://console.example",
        buttons=True,
    )
    texts = [b["text"] for b in body["blocks"] if "text" in b]
    texts += [e for b in body["blocks"] if b["type"] == "context" for e in b["elements"]]
    markup = [one["text"] for one in texts if one["type"] != "plain_text"]
    assert len(markup) == 1
    assert markup[0].startswith("<https://console.example/d/")
    assert markup[0].count("<") == markup[0].count(">") == 1
    assert not any("\n" in one["text"] for one in texts)  # no line can pretend to be two
    assert "<!channel>" not in body["text"]
    assert "&lt;!channel&gt;" in body["text"]


def test_a_message_stays_within_what_slack_takes() -> None:
    long = "x" * 10_000
    story = tuple((AT, f"{n} {long}") for n in range(40))
    question = replace(QUESTION, words=long)
    body = message(
        replace(INCIDENT, title=long, because=(long,) * 50, story=story, question=question),
        console="",
        buttons=True,
    )
    assert len(body["blocks"]) <= 50
    for block in body["blocks"]:
        most = {"header": 150, "section": 3000}.get(block["type"])
        assert most is None or len(block["text"]["text"]) <= most
    assert all(len(one["value"]) <= 2000 for one in buttons(body))


async def test_slacks_wish_to_wait_is_passed_on(tmp_path: Path) -> None:
    async with slack(tmp_path) as (fake, made, _):
        fake.limited = 1
        with pytest.raises(NotifierError) as caught:
            await made.show(INCIDENT)
        assert getattr(caught.value, "wait_s", None) == 30.0
        await made.show(INCIDENT)
    assert len(fake.messages) == 1


async def test_a_lost_answer_is_an_error_and_may_cost_a_second_message(tmp_path: Path) -> None:
    async with slack(tmp_path) as (fake, made, _):
        fake.lost = 1
        with pytest.raises(NotifierError):
            await made.show(INCIDENT)
        await made.show(INCIDENT)
    assert len(fake.messages) == 2  # said so in the docs: nobody knows whether the first arrived


async def test_what_slack_refuses_is_an_error_without_the_token(tmp_path: Path) -> None:
    async with slack(tmp_path, token="xoxb-wrong-secret") as (_, made, _wall):
        with pytest.raises(NotifierError, match="invalid_auth") as caught:
            await made.show(INCIDENT)
    assert "xoxb" not in str(caught.value)


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", b"[]", b'{"ok": "true"}', b"[" * 60_000, b'{"ok": true, "ts": 7}']
)
async def test_what_is_no_answer_of_slacks_begins_no_flood(tmp_path: Path, answer: bytes) -> None:
    (tmp_path / "bot").write_text(TOKEN)
    async with hostile_server(always(response(answer))) as server:
        settings = SlackSettings(
            channel=CHANNEL,
            bot_token_file=tmp_path / "bot",
            api=server.url("/api"),
            allow=(f"127.0.0.1:{server.port}",),
        )
        made = build(settings)
        if answer == b'{"ok": true, "ts": 7}':  # it stands, and nobody knows where
            await made.show(INCIDENT)
            await made.show(INCIDENT)
            assert len(server.requests) == 1
        else:
            with pytest.raises(NotifierError):
                await made.show(INCIDENT)
        await made.close()


async def test_a_day_has_so_many_messages_and_pages_are_always_written(tmp_path: Path) -> None:
    async with slack(tmp_path, per_day=2) as (fake, made, wall):
        for n in range(4):
            await made.show(replace(INCIDENT, key=f"i-{n:04d}"))
        assert len(fake.messages) == 2
        await made.show(replace(INCIDENT, key="i-0003", urgency=Urgency.PAGE, paged_at=AT))
        assert len(fake.messages) == 3
        await made.show(replace(INCIDENT, key="i-0004", urgency=Urgency.ASK))
        await made.show(replace(INCIDENT, key="i-0005", question=QUESTION))
        assert len(fake.messages) == 5  # who is asked must see it, whatever was said before
        wall.now += 86_401.0
        await made.show(replace(INCIDENT, key="i-0009"))
    assert len(fake.messages) == 6


async def test_a_word_without_an_end_edits_only_a_recent_one(tmp_path: Path) -> None:
    async with slack(tmp_path) as (fake, made, wall):
        for wait, title in ((0.0, "one"), (60.0, "two"), (7200.0, "three")):
            wall.now += wait
            notice = Notice(
                key="credit", deployment="credit", at=AT, urgency=Urgency.INFO, title=title
            )
            await made.notify(notice)
    assert fake.methods() == ["chat.postMessage", "chat.update", "chat.postMessage"]


async def test_a_whisper_is_for_one_person_and_no_markup(tmp_path: Path) -> None:
    async with slack(tmp_path) as (fake, made, _):
        await made.whisper("U0ADA", "d-1: <!here> no")
    assert fake.whispers == [("U0ADA", "d-1: &lt;!here&gt; no")]


@pytest.mark.parametrize("token", ["", "two lines\nhere", "a b", "\x00x", "é"])
def test_a_token_that_no_header_can_carry_is_refused_at_once(tmp_path: Path, token: str) -> None:
    (tmp_path / "bot").write_text(token, encoding="utf-8")
    with pytest.raises(NotifierError, match="write the token, and nothing else") as caught:
        build(SlackSettings(channel=CHANNEL, bot_token_file=tmp_path / "bot"))
    assert not token.strip() or token.strip() not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"channel": "#ml"}, {"api": "ftp://x"}, {"api": "https://a:b@x"}, {"per_day": 0}, {"x": 1}],
)
def test_settings_are_strict(tmp_path: Path, wrong: dict[str, object]) -> None:
    good = {"channel": CHANNEL, "bot_token_file": tmp_path / "bot"}
    with pytest.raises(ValidationError):
        SlackSettings.model_validate(good | wrong)


async def test_an_address_within_is_refused_unless_listed(tmp_path: Path) -> None:
    (tmp_path / "bot").write_text(TOKEN)
    for api in ("http://127.0.0.1:9/api", "https://169.254.169.254/api", "https://[::1]/api"):
        made = build(SlackSettings(channel=CHANNEL, bot_token_file=tmp_path / "bot", api=api))
        with pytest.raises(NotifierError, match=r"refused|not allowed|not encrypted"):
            await made.show(INCIDENT)
        await made.close()
