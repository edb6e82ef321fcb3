"""The lab's nouns: an episode, what a policy does in it, and the trace that is judged.

`N` is the number of episodes run side by side, `T` ticks, `D` decisions (one per scrape), `S`
slots, `V` variants. Arrays are NumPy on this side; the twin's pytrees are used as containers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from homeostat.twin.faults import Faults
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape, Truth
from homeostat.twin.params import Params
from homeostat.twin.shapes import TICK_S

FAMILIES = (
    "infrastructure",
    "load",
    "serving",
    "data",
    "model",
    "observability",
    "control",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One scenario drawn with one seed; everything the twin needs.

    Attributes:
        scenario: Id in its catalogue, for example `S07`.
        seed: What was drawn with; the same pair gives the same episode on every machine.
        family: Of the fault.
        length_s: How long it lasts.
        onset_s: When the first fault begins; `inf` for a control without a fault.
        recoverable: Whether a controller can remove the fault; else the right end is a person told.
        benign: Whether there is no fault at all (any intervention is a false one).
        slots: Replica slots, one of `twin.shapes.SLOT_COUNTS`.
        tick_s: Length of the twin's own tick; what it tells of is seconds all the same.
        params: The deployment, unbatched.
        faults: Its faults, unbatched.
        drawn: The scenario's drawn parameters by name, for reports.
    """

    scenario: str
    seed: int
    family: str
    length_s: int
    onset_s: float
    recoverable: bool
    benign: bool
    slots: int
    params: Params
    faults: Faults
    drawn: Mapping[str, float] = field(default_factory=dict)
    tick_s: float = TICK_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What a policy does at one scrape, for all episodes side by side.

    Attributes:
        orders: Lever values and impulses, batched [N, ...].
        intervened: An action other than HOLD and telling somebody [N], bool.
        paged: A person was told [N], bool.
        family: Index into `FAMILIES` that was diagnosed, -1 = none [N].
        destructive: The policy's own word that it takes something away [N], bool. The judge reads
            K8 from the orders instead, alike for every policy.
        person_minutes: Minutes of a person's time that this costs [N].
        alarm: Whether the policy takes the deployment to be abnormal [N], bool.
        breach_probability: Its probability that the promise is broken within the next ten minutes
            if nobody acts, 0..1 [N]; NaN = it says none.
    """

    orders: Orders
    intervened: np.ndarray
    paged: np.ndarray
    family: np.ndarray
    destructive: np.ndarray
    person_minutes: np.ndarray
    alarm: np.ndarray
    breach_probability: np.ndarray


class Policy(Protocol):
    """Decides for a batch of episodes; state it keeps is reset by `start`."""

    @property
    def name(self) -> str:
        """As the command line and the report call it."""

    def start(self, episodes: Sequence[Episode]) -> None:
        """Forget everything and prepare for these episodes."""

    def act(self, now_s: float, scrape: Scrape) -> Move:
        """Return what is done after one scrape.

        Args:
            now_s: Seconds since the episodes began.
            scrape: Batched [N, ...], NumPy.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What happened in a batch of episodes under one policy.

    Attributes:
        episodes: The episodes, in the order of the batch axis.
        policy: Who decided.
        truth: Every tick; fields [N, T, ...].
        moves: One field of `Move` per key, without the orders: [N, D].
        signal_age_s: True age of what each decision is shown of the stalest safety-critical signal
            [N, D]; a frozen series is as old as its freeze, whatever its time stamp says.
    """

    episodes: tuple[Episode, ...]
    policy: str
    truth: Truth
    moves: Mapping[str, np.ndarray]
    signal_age_s: np.ndarray
