"""The parts whose figures the safety promises name."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from safety import asked_kernel, asked_world
from safety.figures import Figure
from safety.running import Form

Part = Callable[[Form], list[Figure]]
ASKED: Final[MappingProxyType[str, tuple[str, Part]]] = MappingProxyType({
    "proof": ("Policies proved and refuted", asked_kernel.proof),
    "guards": ("The guards' speed, and their four readers", asked_kernel.guards),
    "branches": ("Branches of the guard kernel", asked_kernel.branches),
    "mutants": ("Mutants of the guard kernel", asked_kernel.mutants),
    "kills": ("kill -9", asked_world.kills),
    "evidence": ("Wrong evidence", asked_world.evidence),
    "thousand": ("A thousand deployments", asked_world.thousand),
    "canary": ("Canaries", asked_world.canary),
})
"""Each part's title and what runs it."""
DRAWN: Final = frozenset({"guards", "mutants", "thousand", "canary"})
"""Parts in which the seed of the command draws something."""
