"""Where values go is what it would be if it were worked out anew on every tick."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.evidence import SeriesKey
from homeostat.detect.fused_groups import Name, places, seated
from homeostat.detect.fused_wires import Key, Wires
from homeostat.detect.layout import Layout, Part, layout

SIGNALS = (names.DEVICE_TIME, names.MEMORY_SHARE, names.QUEUE_LENGTH)
WIDTH = 12


def plainly_seated(known: tuple[Name, ...], part: Part, width: int) -> tuple[Name, ...] | None:
    columns = list(known)
    for row in np.flatnonzero(part.charted).tolist():
        name = (part.subjects[row], part.signals[row])
        if name not in known:
            columns.append(name)
    return tuple(columns) if len(columns) <= width else None


def plainly_wired(
    rows: Layout, where: dict[str, tuple[Key, int]], columns: dict[Key, Any]
) -> dict[Key, list[tuple[int, int]]]:
    """Return pairs of row and cell of each batch."""
    out: dict[Key, list[tuple[int, int]]] = {key: [] for key in columns}
    for name, part in rows.parts.items():
        if name in where:
            key, place = where[name]
            own, cells = places(columns[key][place], part)
            pairs = zip(own.tolist(), cells.tolist(), strict=True)
            out[key] += [(r + rows.first[name], c + place * key[0]) for r, c in pairs]
    return out


@given(
    st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=3).map(tuple), min_size=1, max_size=6)
)
def test_wires_are_kept_only_while_nothing_changed(steps: list[tuple[int, ...]]) -> None:
    """Three deployments whose replicas come and go; the third one has no place on odd ticks."""
    wires, key = Wires(), (WIDTH, 0)
    before = layout(())
    every: list[tuple[Name, ...]] = [(), (), ()]
    for tick, replicas in enumerate(steps):
        keys = tuple(
            SeriesKey(deployment=f"n{place}", subject=f"replica:{one}", signal=signal)
            for place, count in enumerate(replicas)
            for one in range(count)
            for signal in SIGNALS
        )
        before = layout(keys, before) if keys != before.keys else before
        where: dict[str, tuple[Key, int]] = {}
        for place in range(3):
            name = f"n{place}"
            part = before.parts.get(name)
            if part is None or (place == 2 and tick % 2):
                continue
            found = seated(every[place], part, WIDTH)
            assert found == plainly_seated(every[place], part, WIDTH)
            if wires.knows(name, part, every[place]):
                assert found == every[place]
            elif found is not None:
                every[place] = found
            assert found is not None  # six replicas of two charted series fit
            where[name] = (key, place)
        rows, cells = wires.of(before, where, {key: tuple(every)})
        pairs = list(zip(rows[key].tolist(), cells[key].tolist(), strict=True))
        assert pairs == plainly_wired(before, where, {key: tuple(every)})[key]
