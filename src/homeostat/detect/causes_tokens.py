"""Causes in what servers of tokens show: requests that got longer, and sequences put back.

How many requests arrive says little where one may be a hundred times as long as another. Longer
prompts are demand: they are the users' doing, while long answers may be a model's. A sequence that
is put back for want of device memory is worked on twice: more replicas or fewer sequences at once
end that. Where a server shows none of this, nothing is said.
"""

from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Family, Suspicion
from homeostat.base.world import Replica
from homeostat.detect.case import MORE_ARRIVALS, Case, median, suspicion
from homeostat.detect.causes_traffic import felt

# From here on sequences are put back (vllm-project/vllm issues 15996 and 18115: above 90 %).
KV_FULL: Final = 0.9
# One request in a hundred is put back: as much as may be refused before it counts (`case.REFUSED`).
PUT_BACK: Final = 0.01


def demand(case: Case) -> tuple[Suspicion, ...]:
    """Prompts are longer than usual, as many of them arrive as ever, and requests wait."""
    pain = felt(case)
    if not pain:
        return ()
    members = case.stable
    longer = [ratio for replica in members if (ratio := _longer(case, replica)) is not None]
    if 2 * len(longer) <= len(members) or median(longer) < MORE_ARRIVALS:
        return ()
    rate, usual = (
        case.value(names.GATEWAY, names.ARRIVAL_RATE),
        case.usual.get((names.GATEWAY, names.ARRIVAL_RATE)),
    )
    if rate is None or not usual or rate * median(longer) < MORE_ARRIVALS * usual:
        return ()  # fewer, longer requests may be as much work as before
    return (
        suspicion(
            Family.LOAD,
            names.GATEWAY,
            0.76,
            f"prompts are {median(longer):.1f} times as long as usual",
            f"{rate:.0f} requests arrive per second, usually {usual:.0f}",
            *_full(case),
            *pain,
        ),
    )


def thrash(case: Case) -> tuple[Suspicion, ...]:
    """Sequences are put back for want of device memory, and users wait too long.

    Full queues that keep the promise are how a server of tokens works: taking some of its batch
    away would cost more than what is done twice.
    """
    back, full = case.own(names.PREEMPTION_RATIO), _full(case)
    p95 = case.value(names.GATEWAY, names.LATENCY_P95)
    late = p95 is not None and p95 > case.managed.objective.latency_p95_ms
    if not back or median(back) < PUT_BACK or not full or not late:
        return ()
    return (
        suspicion(
            Family.BATCHING,
            names.pool(case.managed.stable_pool),
            0.79,
            f"{median(back):.0%} of the sequences are put back and worked on again",
            *full,
            *felt(case),
        ),
    )


def _full(case: Case) -> tuple[str, ...]:
    """Return a sentence where the device memory of most servers is full."""
    used = case.own(names.KV_USAGE)
    if not used or median(used) < KV_FULL:
        return ()
    return (f"{median(used):.0%} of the device memory for sequences is in use",)


def _longer(case: Case, replica: Replica) -> float | None:
    key = (case.subjects[replica.name], names.PROMPT_TOKENS)
    length, usual = case.value(*key), case.usual.get(key)
    return length / usual if length is not None and usual else None
