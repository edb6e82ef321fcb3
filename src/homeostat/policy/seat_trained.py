"""The arm `ppo` of the decision seat: what a trained policy likes best of what is permitted.

It ranks actions that the runbook named and the guards permit, and holding still; it has no words of
its own. Of those it may only like what it was trained to do. Liking to hold best it offers nothing:
holding is an arm of its own, which is counted. Where what every objective rests on is not known it
says nothing: it was never shown what to do blind. Its word is an offer like any other: weighed in
bounds, and put to the guards again.
"""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from homeostat.base.actions import HOLD, Action, SafeSet
from homeostat.base.guard import GuardState
from homeostat.base.learning import TRAINED, Liked, Watched
from homeostat.base.policy import Managed
from homeostat.base.units import TimeNs
from homeostat.policy.seat_arms import fractions
from homeostat.policy.trained_menu import MENU, line
from homeostat.policy.trained_numbers import numbers, observation

_NEEDED: Final = ("arrivals", "errors", "p95")
_DIGITS: Final = 4  # of a logit: sums of float64 differ between machines, a replay must not
_SHOWN: Final = 8  # of a digest, for people


class Network(Protocol):
    """A trained policy that is served; `learn.snapshot.Snapshot`."""

    @property
    def digest(self) -> str: ...  # noqa: D102 - SHA-256 of its file
    @property
    def granted(self) -> Collection[str]: ...  # noqa: D102 - kinds it was let do in training

    def logits(self, told: Sequence[float]) -> Sequence[float]:
        """Return one number for each line of the menu, finite."""
        ...


Find = Callable[[str], Network | None]
"""Finds a policy by its digest; `server.snapshots.known`."""


def like(
    incumbent: Action,
    seen: GuardState,
    safe_set: SafeSet,
    watched: Watched | None,
    now: TimeNs,
    *,
    find: Find,
) -> Liked:
    """Return what the deployment's trained policy would do, and its words for people.

    Args:
        incumbent: The runbook's proposal.
        seen: What the guards see.
        safe_set: What the guards permit of what the runbook named.
        watched: What is remembered for it, this tick taken in.
        now: The time.
        find: Finds a policy by its digest.
    """
    policy = seen.managed.adaptive
    digest = "" if policy is None else policy.snapshot
    network = find(digest) if digest else None
    if network is None:
        return Liked(said=f"{TRAINED} says nothing: there is no snapshot {digest[:_SHOWN] or '-'}")
    who = f"{TRAINED} {network.digest[:_SHOWN]}"
    found = numbers(seen, watched or Watched(), now)
    blind = [name for name in _NEEDED if not math.isfinite(found[name])]
    if blind:
        return Liked(said=f"{who} says nothing: {', '.join(blind)} not known")
    logits = [round(one, _DIGITS) for one in network.logits(observation(found).tolist())]
    choices = _allowed(safe_set, seen.managed, network.granted)
    chances = _softmax([logits[MENU.index(name)] for name, _ in choices])
    # The first of equals: holding, then the order in which the guards were asked.
    best = max(range(len(choices)), key=lambda n: (chances[n], -n))
    action = choices[best][1]
    words = ", ".join(
        f"{_called(one)} {chance:.0%}"
        for (_, one), chance in sorted(zip(choices, chances, strict=True), key=lambda it: -it[1])
    )
    offered = () if action == HOLD else fractions(action, seen, arm=TRAINED)
    return Liked(
        offers=tuple(one for one in offered if one.action != incumbent), said=f"{who} likes {words}"
    )


def _allowed(
    safe_set: SafeSet, managed: Managed, granted: Collection[str]
) -> list[tuple[str, Action]]:
    """Return what it may like, with its line of the menu: the mask. Holding comes first."""
    out = [(MENU[0], HOLD)]
    for action in (*safe_set.allowed, *safe_set.approvals):
        name = line(action, managed)
        if name is None or action.is_passive or action.kind.value not in granted:
            continue
        out.append((name, action))
    return out


def _softmax(logits: Sequence[float]) -> list[float]:
    top = max(logits)
    weights = [math.exp(one - top) for one in logits]
    total = sum(weights)
    return [one / total for one in weights]


def _called(action: Action) -> str:
    return "hold" if action == HOLD else f"{action.kind} {action.subject}"
