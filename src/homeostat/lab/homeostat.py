"""Policy `homeostat`, the product as it is shipped, and the same with what it may have beside it.

`homeostat` has no twin, as a deployment has none by default. `homeostat_twin` has one
(`controller_twin`): what is not exempt is rehearsed, and guard G15 may forbid it. `safe_canary` has
a learner in the decision seat besides, switched on, which knows what it learnt on random
compositions (`seat_file`). `homeostat_budget` has a budget of false incidents (`budgeted`). Nothing
else differs between them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from homeostat.base.policy import Managed
from homeostat.lab.controller import Controller, Mind, Think
from homeostat.lab.controller_names import own_names, time_ns
from homeostat.lab.controller_parts import loop_parts
from homeostat.lab.controller_platform import Platform
from homeostat.lab.controller_runtime import Runtime
from homeostat.lab.controller_twin import TWIN, Twin
from homeostat.lab.seat_file import SEATS, taught
from homeostat.lab.types import Episode

FALSE_INCIDENTS: Final = 1.0
"""The budget of `homeostat_budget`, per 1,000 signals and day."""


def homeostat(*, person: bool = True, scale: float = 1.0) -> Controller:
    """Return the real controller as a policy.

    Args:
        person: Whether who is paged comes and repairs, as the human model has it.
        scale: Multiplies every delay of the human model.
    """
    return Controller("homeostat", person=person, scale=scale)


def homeostat_budget(*, person: bool = True, scale: float = 1.0) -> Controller:
    """Return the real controller with a budget of one false incident per 1,000 signals and day.

    Args:
        person: Whether who is paged comes and repairs, as the human model has it.
        scale: Multiplies every delay of the human model.
    """
    return Controller(
        "homeostat_budget", person=person, scale=scale, false_incidents=FALSE_INCIDENTS
    )


def homeostat_twin(*, person: bool = True, scale: float = 1.0) -> Controller:
    """Return the real controller with a twin to rehearse in, and nobody in the decision seat.

    Args:
        person: Whether who is paged comes and repairs, as the human model has it.
        scale: Multiplies every delay of the human model.
    """
    return Controller(
        "homeostat_twin", think=rehearsing(), configure=_with_twin, person=person, scale=scale,
        named=own_names,
    )  # fmt: skip


def safe_canary(
    trained: Mapping[str, bytes], *, person: bool = True, scale: float = 1.0
) -> Controller:
    """Return the real controller with a twin and a learner that chooses inside the safe set.

    Args:
        trained: Files of what was learnt, by policy.
        person: Whether who is paged comes and repairs, as the human model has it.
        scale: Multiplies every delay of the human model.

    Raises:
        UntrainedError: What it learnt is not among them.
    """
    return seated(taught("safe_canary", trained).learnt, person=person, scale=scale)


def seated(learnt: str, *, person: bool = True, scale: float = 1.0) -> Controller:
    """Return the same, knowing what it is given.

    Args:
        learnt: As the seat keeps it; empty = nothing.
        person: Whether who is paged comes and repairs, as the human model has it.
        scale: Multiplies every delay of the human model.
    """
    return Controller(
        "safe_canary", think=rehearsing(learnt), configure=_learning, person=person, scale=scale,
        named=own_names,
    )  # fmt: skip


def rehearsing(learnt: str = "") -> Think:
    """Return what makes a real decision loop with a twin beside it.

    Args:
        learnt: What its seat knows when an episode begins; empty = nothing.
    """

    def think(episode: Episode, entry: Managed, platform: Platform) -> Mind:
        return Runtime(
            loop_parts(), entry, platform, time_ns(0.0), rehearse=Twin(episode), learnt=learnt
        )

    return think


def _with_twin(entry: Managed) -> Managed:
    return replace(entry, twin=TWIN)


def _learning(entry: Managed) -> Managed:
    return replace(entry, twin=TWIN, adaptive=SEATS["safe_canary"])
