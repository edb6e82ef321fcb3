"""Two stand-in people who say yes to a retrain in the demo, and to nothing else.

The product asks two different people, whatever is granted, and goes on asking them: these two have
tokens of their own, made as `homeostat people add` makes them, and answer by the API as anybody
would. They are there so that a demonstration need not wait, and the terminal says so.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2

from homeostat.base.actions import ActionKind
from homeostat.base.decisions import Ask, DecisionRecord
from homeostat.base.units import HOUR, TimeNs
from homeostat.server import people
from homeostat.server.people_file import editing, read

NAMES: Final = ("ada", "ben")
AFTER_S: Final = (3.0, 6.0)  # each has read the question for as long
TRIES: Final = 5  # of one answer, where nothing came back
WHY: Final = "a stand-in of the demo's: it was told to say yes to a retrain"
_AGAIN_S: Final = 1.0
_TIMEOUT_S: Final = 12.0  # the API waits for the loop for ten

Post = Callable[..., httpx2.Response]


@dataclass(slots=True, kw_only=True)
class _Answer:
    """One yes that is to be said."""

    due: float
    who: str
    decision_id: str
    tries: int = 0


@dataclass(slots=True, kw_only=True)
class StandIns:
    """Says yes for two people, a few seconds after each question about a retrain.

    Attributes:
        url: The controller's API.
        file: Its people file; nobody is in it before the first question.
        say: Tells the terminal.
        post: Sends one request.
        clock: Monotonic seconds.
    """

    url: str
    file: Path
    say: Callable[[str, str], None]
    post: Post = httpx2.post
    clock: Callable[[], float] = time.monotonic
    _tokens: dict[str, str] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    _due: list[_Answer] = field(default_factory=list)

    def heard(self, record: DecisionRecord) -> None:
        """Take a decision; only a question about a retrain is anything to these two."""
        decision = record.decision
        if not isinstance(decision, Ask) or decision.action.kind is not ActionKind.RETRAIN:
            return
        if record.id in self._asked:
            return
        self._asked.add(record.id)
        self._know_them()
        first, second = NAMES
        self.say(
            "asked", f"{record.id}: two stand-in people say yes, {first} and then {second}; "
            "only to a retrain, and only in this demo",
        )  # fmt: skip
        now = self.clock()
        for who, after_s in zip(NAMES, AFTER_S, strict=True):
            self._due.append(_Answer(due=now + after_s, who=who, decision_id=record.id))

    def act(self) -> None:
        """Say what is due."""
        now = self.clock()
        for answer in [one for one in self._due if one.due <= now]:
            self._due.remove(answer)
            self._say_yes(answer)

    def _know_them(self) -> None:
        """Give both a token, the first time; from then on reading needs one too."""
        if self._tokens:
            return
        now = TimeNs(time.time_ns())
        with editing(self.file) as write:
            roster = read(self.file)
            for name in NAMES:
                if any(one.name == name for one in roster):  # of a round before, in this folder
                    roster = people.revoke(roster, name=name, now=now)
                roster, self._tokens[name] = people.add(
                    roster,
                    name=name,
                    role=people.Role.APPROVER,
                    now=now,
                    lasts_ns=HOUR,
                    by="homeostat demo",
                )
            write(roster)

    def _say_yes(self, answer: _Answer) -> None:
        try:
            said = self.post(
                f"{self.url}/v1/decisions/{answer.decision_id}/approve",
                json={"why": WHY},
                headers={"Authorization": f"Bearer {self._tokens[answer.who]}"},
                timeout=_TIMEOUT_S,
                trust_env=False,
            )
        except httpx2.HTTPError as error:
            problem, again = repr(error), True
        else:
            problem, again = said.text[:300], said.is_server_error
            if said.is_success:
                self.say("answered", f"{answer.who} says yes to {answer.decision_id}")
                return
        answer.tries += 1
        if again and answer.tries < TRIES:  # the same yes again is no second one
            answer.due = self.clock() + _AGAIN_S
            self._due.append(answer)
        else:  # it is withdrawn and asked anew where what it rests on has changed
            self.say("answered", f"{answer.who}'s yes to {answer.decision_id} is none: {problem}")
