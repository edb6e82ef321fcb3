"""A stateful stand-in of Slack's Web API, as far as messages go: tokens, channels, edits, limits.

Written from Slack's published methods; Slack itself cannot be run here, so nothing in the tests
shows that Slack agrees with it.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from homeostat.testing.hostile import response

TOKEN = "xoxb-1234-stand-in"
CHANNEL = "C0123ABC"


@dataclass
class SlackFake:
    """What Slack knows, and what it was asked."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    whispers: list[tuple[str, str]] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    limited: int = 0
    lost: int = 0
    """So many answers get lost after the message was taken."""

    async def respond(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        self.bodies.append(body)
        if self.limited:
            self.limited -= 1
            writer.write(response(b"", status=429, extra="retry-after: 30\r\n"))
            return
        if headers.get("authorization") != f"bearer {TOKEN}".lower():
            answer: dict[str, Any] = {"ok": False, "error": "invalid_auth"}
        else:
            answer = self.call(first.split("/")[-2].split(" ")[0], json.loads(body))
        if self.lost and answer["ok"]:
            self.lost -= 1
            writer.close()
            return
        writer.write(response(json.dumps(answer).encode(), content_type="application/json"))

    def call(self, method: str, said: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((method, said))
        if said.get("channel") != CHANNEL:
            return {"ok": False, "error": "channel_not_found"}
        match method:
            case "chat.postMessage":
                ts = f"1700000000.{len(self.calls):06d}"
                self.messages[ts] = said
                return {"ok": True, "channel": CHANNEL, "ts": ts, "message": {"text": said["text"]}}
            case "chat.update" if said["ts"] in self.messages:
                self.messages[said["ts"]] = said
                return {"ok": True, "channel": CHANNEL, "ts": said["ts"], "text": said["text"]}
            case "chat.update":
                return {"ok": False, "error": "message_not_found"}
            case "chat.postEphemeral":
                self.whispers.append((said["user"], said["text"]))
                return {"ok": True, "message_ts": "1700000000.000000"}
            case _:
                return {"ok": False, "error": "unknown_method"}

    def methods(self) -> list[str]:
        """Return what was called."""
        return [method for method, _ in self.calls]
