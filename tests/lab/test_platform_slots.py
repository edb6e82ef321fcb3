"""A slot that is as it was costs the platform nothing and is what looking at it makes of it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from controller_made import SLOTS, S, episode
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.lab.controller_platform import Platform
from homeostat.twin.shapes import VARIANTS, Phase

slot_seen = st.tuples(
    st.sampled_from([int(phase) for phase in Phase]),
    st.integers(0, VARIANTS - 1),
    st.sampled_from([0.25, 0.5, float("nan")]),
)
# Scrapes often repeat what they said of a slot; `None` does.
scrapes = st.lists(
    st.lists(st.none() | slot_seen, min_size=SLOTS, max_size=SLOTS), min_size=1, max_size=8
)


def scrape(told: list[tuple[int, int, float]]) -> Any:
    slot = np.zeros((1, SLOTS, len(S)))
    slot[0, :, S[names.MEMORY_SHARE]] = [share for _, _, share in told]
    return SimpleNamespace(
        phase=np.array([[phase for phase, _, _ in told]]),
        slot_variant=np.array([[variant for _, variant, _ in told]]),
        slot=slot,
    )


def look_at_each(platform: Platform, told: list[tuple[int, int, float]], now_s: float) -> None:
    for index, (phase, variant, share) in enumerate(told):
        platform._see_slot(index, phase, variant, now_s)
        if (slot := platform.slots.get(index)) is not None:
            used = share * platform._limit
            slot.memory_bytes = int(used) if np.isfinite(used) else None


@settings(deadline=None)
@given(scrapes)
def test_slots_are_those_of_looking_at_each(
    ticks: list[list[tuple[int, int, float] | None]],
) -> None:
    params = episode().params
    one, other = Platform("m", params), Platform("m", params)
    told = [(int(Phase.EMPTY), 0, 0.5)] * SLOTS
    for at, news in enumerate(ticks):
        told = [new or old for new, old in zip(news, told, strict=True)]
        one._see_slots(15.0 * at, scrape(told), 0)
        look_at_each(other, told, 15.0 * at)
        assert one.slots == other.slots
        assert one.levers == other.levers
