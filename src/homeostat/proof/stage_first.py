"""The replicas of a counterexample that could have had first what all are given at once."""

from collections.abc import Iterable
from typing import Final

from homeostat.base import names
from homeostat.base.policy import CanaryPolicy
from homeostat.base.world import Scalar
from homeostat.proof.question import Drawn

_TRIED: Final = "tried"  # a pool that margins are declared for; no replica is in it


def margins(drawn: Drawn) -> CanaryPolicy | None:
    """Return what replicas are compared by, None where none could have had it first.

    Args:
        drawn: Says whether some could.
    """
    return CanaryPolicy(pool=_TRIED) if drawn.facts.get("one_first") is False else None


def own_values(drawn: Drawn, slots: Iterable[str]) -> dict[str, Scalar]:
    """Return that no replica has a value of its own, nothing where none can have one.

    Args:
        drawn: Says whether some could.
        slots: The replicas' names.
    """
    if margins(drawn) is None:
        return {}
    return {names.lever_own(setting, slot): 0 for setting in names.OF_EACH for slot in slots}
