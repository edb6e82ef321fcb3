"""The lab's policies by the names that the command line and the report use.

Each call makes a new one; nothing is shared between episodes or processes.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from homeostat.base.errors import HomeostatError
from homeostat.lab.bandit_policy import bandit
from homeostat.lab.baselines import tuned
from homeostat.lab.baselines.chance import Chance
from homeostat.lab.baselines.hold import Hold
from homeostat.lab.baselines.hpa import hpa
from homeostat.lab.baselines.keda import keda
from homeostat.lab.baselines.paging import escalate, threshold
from homeostat.lab.baselines.static import static
from homeostat.lab.homeostat import homeostat, homeostat_budget, homeostat_twin, safe_canary
from homeostat.lab.learned_guarded import ppo, unguarded
from homeostat.lab.random_safe import random_safe
from homeostat.lab.runbook_policy import runbook_policy
from homeostat.lab.shards import ORACLE
from homeostat.lab.types import Policy


class UnknownPolicyError(HomeostatError):
    """A policy was asked for that does not exist."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"unknown policy {name!r}; there are {', '.join(known)}")


# person scale -> policy
MAKERS: Final[Mapping[str, Callable[[float], Policy]]] = {
    "hold": lambda _: Hold(),
    "escalate": lambda scale: escalate(scale=scale),
    "threshold": lambda scale: threshold(scale=scale),
    "static": lambda scale: static(scale=scale),
    "hpa": lambda scale: hpa(scale=scale),
    "keda": lambda scale: keda(scale=scale),
    "hpa_tuned": lambda scale: hpa(tuned.HPA, name="hpa_tuned", scale=scale),
    "keda_tuned": lambda scale: keda(tuned.KEDA, name="keda_tuned", scale=scale),
    "runbook": lambda scale: runbook_policy(scale=scale),
    "random_safe": lambda _: random_safe(),
    "random": lambda _: Chance(),
    "homeostat": lambda scale: homeostat(scale=scale),
    "homeostat_twin": lambda scale: homeostat_twin(scale=scale),
    "homeostat_budget": lambda scale: homeostat_budget(scale=scale),
}
_PRODUCT: Final = ("homeostat", "homeostat_twin", "homeostat_budget")

# Files of policies, person scale -> policy
LEARNERS: Final[Mapping[str, Callable[[Mapping[str, bytes], float], Policy]]] = {
    "ppo": lambda trained, scale: ppo(trained, scale=scale),
    "ppo_hash": lambda trained, _: unguarded("ppo_hash", trained),
    "ppo_quality": lambda trained, _: unguarded("ppo_quality", trained),
    "ppo_lagrangian": lambda trained, _: unguarded("ppo_lagrangian", trained),
    "bandit": lambda trained, scale: bandit(trained, scale=scale),
    "safe_canary": lambda trained, scale: safe_canary(trained, scale=scale),
}
UNSHIPPED: Final = ("ppo_quality", "ppo_lagrangian", "bandit", "safe_canary")
"""Learners whose files are to be made first; no group asks for them."""
_SHIPPED: Final = tuple(name for name in LEARNERS if name not in UNSHIPPED)

# Names that stand for several; the baselines are those that need no learning.
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "baselines": tuple(name for name in MAKERS if name not in _PRODUCT),
    "learners": _SHIPPED,
    "all": (*MAKERS, *_SHIPPED, ORACLE),
}


def make(
    name: str, *, person_scale: float = 1.0, trained: Mapping[str, bytes] | None = None
) -> Policy:
    """Return a new policy.

    Args:
        name: As in `MAKERS` or `LEARNERS`.
        person_scale: Multiplies the human model's delays.
        trained: Files of trained policies by name, for the learners.

    Raises:
        UnknownPolicyError: There is none of that name.
        UntrainedError: It is a learner whose file was not given.
    """
    if name in LEARNERS:
        return LEARNERS[name](trained or {}, person_scale)
    if name not in MAKERS:
        raise UnknownPolicyError(name, names())
    return MAKERS[name](person_scale)


def members(given: Iterable[str]) -> tuple[str, ...]:
    """Return the names with every group in place of its name, each policy once, in order.

    >>> members(["homeostat", "baselines"])[:3]
    ('homeostat', 'hold', 'escalate')
    """
    found = (one for name in given for one in GROUPS.get(name, (name,)))
    return tuple(dict.fromkeys(found))


def names() -> list[str]:
    """Return every name that a run may ask for, the oracle's included."""
    return [*MAKERS, *LEARNERS, ORACLE]
