"""What a policy would have said to the decisions of a recorded journal: `homeostat policy test`.

The journal is replayed as it was decided; at each action that was carried out or asked for, the
guards are asked once more, under the other policy and nothing else changed. What would have come
of another answer is not known and not made up: every decision is judged in the world as it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from homeostat.base.decisions import Apply, Ask, DecisionRecord
from homeostat.base.events import Command, Record
from homeostat.base.guard import Allow, Deny, GuardAnswer, NeedApproval
from homeostat.base.policy import Managed
from homeostat.base.ports import Journal
from homeostat.loop.memory import guard_state
from homeostat.safety.guard import guard
from homeostat.server import snapshots
from homeostat.server.config.guardrails import Guardrails, to_policy
from homeostat.server.replaying import beside, deployments, open_read_only
from homeostat.server.restore import walk
from homeostat.server.wiring import loop_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One recorded decision before another policy.

    Attributes:
        deployment: Whose it was.
        id: The decision's id.
        at_ns: When, by the journal.
        action: Kind and subject.
        was: `ran` or `asked`.
        would: `run`, `ask` or `block`.
        reasons: Why it would ask or block.
    """

    deployment: str
    id: str
    at_ns: int
    action: str
    was: str
    would: str
    reasons: tuple[str, ...]


def tried(path: Path, rails: Guardrails, only: str | None = None) -> Iterator[Tried]:
    """Yield every decision of a journal that did something, and what a policy says to it.

    Args:
        path: The journal.
        rails: The policy's settings; spans become scrapes of each deployment's own interval.
        only: One deployment, None for all.

    Raises:
        StoreError: The journal cannot be read.
    """
    journal = open_read_only(path)
    try:
        snapshots.recall(beside(path))
        for name, managed in sorted(deployments(journal).items()):
            if only is None or name == only:
                yield from _of_deployment(journal, managed, rails)
    finally:
        journal.close()


def _of_deployment(journal: Journal, managed: Managed, rails: Guardrails) -> Iterator[Tried]:
    policy = to_policy(rails, managed.scrape_ns)
    for entry, state, commands in walk(journal, loop_parts(), managed):
        for decided in _decided(commands):
            if isinstance(decided.decision, Apply | Ask):
                seen = guard_state(state)
                under = replace(policy, frozen=seen.managed.guard.frozen)
                other = replace(seen, managed=replace(seen.managed, guard=under))
                action = decided.decision.action
                would, reasons = _answer(guard(action, other, entry.at))
                yield Tried(
                    deployment=managed.name,
                    id=decided.id,
                    at_ns=entry.at,
                    action=f"{action.kind} {action.subject}",
                    was="ran" if isinstance(decided.decision, Apply) else "asked",
                    would=would,
                    reasons=reasons,
                )


def _decided(commands: tuple[Command, ...]) -> Iterator[DecisionRecord]:
    for command in commands:
        if isinstance(command, Record) and isinstance(command.fact, DecisionRecord):
            yield command.fact


def _answer(said: GuardAnswer) -> tuple[str, tuple[str, ...]]:
    match said:
        case Allow():
            return "run", ()
        case NeedApproval(reasons=reasons):
            return "ask", reasons
        case Deny(reasons=reasons):
            return "block", reasons
