"""One matter as one Slack message: Block Kit, with nothing in it that Slack would interpret.

All text from outside is `plain_text`, so no label can mention a channel, hide a link or draw a
button; the fallback line, which Slack reads as markup, is escaped.
Source: docs.slack.dev/reference/block-kit (limits), /messaging/formatting-message-text (escaping).
"""

import json
from datetime import UTC, datetime
from typing import Any, Final

from homeostat.adapters.notify._calls import lines, plain
from homeostat.base.bulletin import Bulletin, Question
from homeostat.base.decisions import Urgency
from homeostat.base.units import SECOND, TimeNs

APPROVE: Final = "homeostat_approve"
REJECT: Final = "homeostat_reject"
BLOCK: Final = "homeostat_answer"
_HEAD, _TEXT = 150, 2900  # characters: Slack takes 150 in a header, 3000 in a section
_LINES: Final = 12
_SIGNS: Final = {Urgency.INFO: "told", Urgency.ASK: "asked", Urgency.PAGE: "a person is needed"}


def message(bulletin: Bulletin, *, console: str, buttons: bool) -> dict[str, Any]:
    """Return the text and the blocks of a message.

    Args:
        bulletin: What is to be seen.
        console: The console's address, for a link; empty for none.
        buttons: Whether answers given in Slack come back to us.
    """
    said = f"{bulletin.deployment}: {bulletin.title}"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(said, _HEAD)},
        {"type": "context", "elements": [_plain(_state(bulletin), _TEXT)]},
    ]
    if bulletin.because:
        blocks.append(_section(*bulletin.because))
    if bulletin.story:
        newest = bulletin.story[-_LINES:]
        blocks.append(_section(*(f"{_clock(at)} {line}" for at, line in newest)))
    if bulletin.question is not None and bulletin.over_at is None:
        blocks += _asked(bulletin, bulletin.question, buttons=buttons)
    if console:
        link = f"<{console}/d/{_path(bulletin.deployment)}|console>"
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": link}]})
    return {
        "text": _escaped(plain(said, _HEAD)),
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def value_of(question: Question, deployment: str) -> str:
    """Return what a button carries: which question of which deployment, and what it rests on."""
    said = {
        "deployment": deployment,
        "decision": question.decision_id,
        "action": question.action_hash,
        "evidence": question.evidence_hash,
    }
    return json.dumps(said, separators=(",", ":"), sort_keys=True)


def _asked(bulletin: Bulletin, asked: Question, *, buttons: bool) -> list[dict[str, Any]]:
    ends = f"until {_clock(asked.expires_at)}; then nothing is done"
    words = f"{asked.decision_id}: may I {asked.words}? ({ends})"
    known = bool(asked.action_hash and asked.evidence_hash)
    if not (buttons and known):
        return [_section(words, f"Answer with `homeostat approve {asked.decision_id}`.")]
    value = value_of(asked, bulletin.deployment)
    yes = _button(APPROVE, "Approve", "primary", value)
    yes["confirm"] = {
        "title": _plain("Approve?", _HEAD),
        "text": _plain(f"{bulletin.deployment}: {asked.words}", 300),
        "confirm": _plain("Approve", 30),
        "deny": _plain("Not now", 30),
    }
    no = _button(REJECT, "Reject", "danger", value)
    return [_section(words), {"type": "actions", "block_id": BLOCK, "elements": [yes, no]}]


def _button(action: str, text: str, style: str, value: str) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": action,
        "text": _plain(text, 75),
        "style": style,
        "value": value,
    }


def _state(bulletin: Bulletin) -> str:
    began = f"since {_clock(bulletin.since)}"
    if bulletin.over_at is not None and bulletin.lasting:
        lasted = max(0, bulletin.over_at - bulletin.since) // SECOND
        return f"{bulletin.key}: over at {_clock(bulletin.over_at)}, after {lasted} s"
    if not bulletin.is_open:
        return f"{bulletin.key}: {_clock(bulletin.at)}"
    urgency = Urgency.ASK if bulletin.question is not None else Urgency.INFO
    if bulletin.paged_at is not None:
        urgency = Urgency.PAGE
    return f"{bulletin.key}: {began}, {_SIGNS[urgency]}"


def _clock(at: TimeNs) -> str:
    return f"{datetime.fromtimestamp(at / SECOND, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _section(*texts: str) -> dict[str, Any]:
    said = {"type": "plain_text", "text": lines(texts, _TEXT) or "-", "emoji": False}
    return {"type": "section", "text": said}


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": plain(text, most) or "-", "emoji": False}


def _escaped(text: str) -> str:
    """Return text that Slack's markup shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _path(name: str) -> str:
    return "".join(one if one.isalnum() or one == "-" else "_" for one in name)
