"""What was done to the deployment before: how long ago, how often, and whether it helped."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from homeostat.base.actions import Action, ActionKind
from homeostat.base.decisions import Effect
from homeostat.base.guard import GROWS, SHRINKS, TURNS_NS, PastAction
from homeostat.base.intent import ActionRecord
from homeostat.base.units import HOUR, MILLISECOND
from homeostat.safety.one_first import settings
from homeostat.safety.sight import Sight, scrapes_ms
from homeostat.safety.tree import Value

_MAX_DOUBLINGS: Final = 6  # 64 times the cooldown; more would outlive any shift
_TAKES: Final = SHRINKS | {ActionKind.DRAIN_REPLICA}
_INEFFECTIVE: Final = frozenset({Effect.NO_CHANGE, Effect.HARMED, Effect.UNKNOWN})


def counted(action: Action, sight: Sight, own: ActionRecord | None) -> dict[str, Value]:
    """Return the facts about earlier actions.

    Args:
        action: What would be done.
        sight: What can be seen.
        own: Its own record if it is in flight: that is no earlier action.
    """
    state, guard, now = sight.state, sight.state.managed.guard, sight.now
    before = sight.once(_before) if own is None else _before(sight, own)
    past, lately, last = before.past, before.lately, before.last
    hour = len(lately)
    cooldown = before.cooldown_ms
    doublings = min(_MAX_DOUBLINGS, _ineffective(action, past))
    return {
        "acted": last is not None,
        "since_ms": None if last is None else (now - last.at) // MILLISECOND,
        "last_text": before.last_text,
        "cooldown_ms": None if cooldown is None else cooldown * 2**doublings,
        "scale_in_ms": before.scale_in_ms,
        "tries": state.tries,
        "max_tries": guard.max_tries,
        "peak": state.peak_replicas,
        "turns": _turns(action, sight, own),
        "hour": hour,
        "hour_limit": guard.actions_per_hour,
        "rollbacks": sum(
            (entry.kind, entry.subject) == (ActionKind.ROLLBACK, action.subject) for entry in lately
        ),
        "grown": before.grown,
        "shrunk": before.shrunk,
        "fleet_hour": hour + state.fleet.actions_last_hour,
        "fleet_hour_limit": guard.fleet_actions_per_hour,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """Earlier actions, whatever is asked about.

    Attributes:
        past: All that are remembered.
        lately: Of the last hour.
        last: The newest, None for none.
        last_text: The same for people.
        grown: How many of the last hour's gave capacity.
        shrunk: How many took some.
        cooldown_ms: The policy's.
        scale_in_ms: Of taking capacity, likewise.
    """

    past: list[PastAction]
    lately: list[PastAction]
    last: PastAction | None
    last_text: str
    grown: int
    shrunk: int
    cooldown_ms: int | None
    scale_in_ms: int | None


def _before(sight: Sight, own: ActionRecord | None = None) -> _Before:
    state, guard = sight.state, sight.state.managed.guard
    past = [entry for entry in state.past if own is None or entry.id != own.id]
    last = max(past, key=lambda entry: entry.at, default=None)
    lately = [entry for entry in past if entry.at > sight.now - HOUR]
    return _Before(
        past=past,
        lately=lately,
        last=last,
        last_text="" if last is None else f"{last.kind} {last.subject}",
        grown=sum(entry.kind in GROWS for entry in lately),
        shrunk=sum(entry.kind in _TAKES for entry in lately),
        cooldown_ms=scrapes_ms(state.managed, guard.cooldown_scrapes),
        scale_in_ms=scrapes_ms(state.managed, guard.scale_in_scrapes),
    )


def _ineffective(action: Action, past: list[PastAction]) -> int:
    """Count earlier runs of the same action that did not help; what is unclear did not."""
    return sum(
        (entry.kind, entry.subject) == (action.kind, action.subject)
        and entry.effect in _INEFFECTIVE
        for entry in past
    )


def _turns(action: Action, sight: Sight, own: ActionRecord | None) -> int:
    """Count how often a lever of this action turned round lately, this action included.

    Of several levers the one that turned most speaks. An undo is no turn and no move.
    """
    if action.kind not in GROWS | SHRINKS:
        return 0
    moves = [one for one in sight.state.moves if own is None or one.id != own.id]
    levers = settings(action.change)
    return max((_turned(action, lever, moves, sight) for lever in levers), default=0)


def _turned(action: Action, lever: str, moves: list[PastAction], sight: Sight) -> int:
    ways = [(one.at, one.kind in GROWS) for one in moves if lever in one.levers]
    ways.append((sight.now, action.kind in GROWS))
    return sum(
        before != after and sight.now - at < TURNS_NS for (_, before), (at, after) in pairwise(ways)
    )
