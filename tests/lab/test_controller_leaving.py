"""How a process that is to be replaced leaves: its work done, or its time over."""

from dataclasses import replace
from typing import Any

import numpy as np
from controller_made import Made, episode

from homeostat.base import names
from homeostat.lab.baselines.levers import quiet, standing
from homeostat.lab.controller_leaving import Leaving
from homeostat.twin import signals
from homeostat.twin.shapes import Phase

SLOT = 1
PATIENCE_S = 30.0


def seen(**values: float) -> Any:
    """Return a scrape of one deployment in which one slot shows these values."""
    scrape = Made().scrape()
    slot, phase = np.array(scrape.slot, dtype=float), np.array(scrape.phase)
    phase[0, SLOT] = values.pop("phase", Phase.READY)
    for name, value in values.items():
        slot[0, SLOT, signals.SLOT_SIGNALS.index(name)] = value
    changes: Any = {"slot": slot, "phase": phase}
    return replace(scrape, **changes)


BUSY: Any = {
    signals.IN_FLIGHT: 400.0, names.DEVICE_TIME: 100.0, names.BATCH_SIZE: 8.0,
}  # fmt: skip
IDLE: Any = BUSY | {signals.IN_FLIGHT: 0.0}


def deployment() -> Any:
    """Return an episode whose platform gives a process time to finish."""
    made = episode(0)
    provision: Any = replace(made.params.provision, drain_s=np.float32(PATIENCE_S))  # type: ignore[arg-type]  # arrays are arrays
    return replace(made, params=replace(made.params, provision=provision))


def ended(*scrapes: Any) -> tuple[list[bool], list[bool], list[bool]]:
    """Ask for the end after the first scrape; return restart, drain and ours after each."""
    leaving, orders, said = Leaving([deployment()]), standing([deployment()]), []
    for number, scrape in enumerate(scrapes):
        orders = quiet(orders)
        leaving.see(scrape, orders)
        if number == 0:
            leaving.end(0, SLOT, orders)
        row = (orders.restart[0, SLOT], orders.drain[0, SLOT], orders.by_us[0])
        said.append(tuple(bool(one) for one in row))
    restart, drain, ours = zip(*said, strict=True)
    return list(restart), list(drain), list(ours)


def test_a_busy_process_is_out_of_rotation_until_it_holds_nothing() -> None:
    out = BUSY | {"phase": Phase.DRAINING}
    restart, drain, ours = ended(seen(**BUSY), seen(**out), seen(**out | IDLE), seen(**IDLE))
    assert restart == [False, False, True, False]
    assert drain == [True, True, False, False]
    assert ours[2], "what its end does is ours"


def test_its_time_to_drain_ends() -> None:
    out = seen(**BUSY, phase=Phase.DRAINING)
    restart, _, _ = ended(seen(**BUSY), *[out] * 20)
    assert restart.index(True) == PATIENCE_S / 15.0
    assert sum(restart) == 1


def test_one_that_is_done_within_a_second_ends_at_once() -> None:
    little = BUSY | {signals.IN_FLIGHT: 8.0}
    restart, drain, _ = ended(seen(**little))
    assert (restart, drain) == ([True], [False])


def test_one_that_hangs_is_killed() -> None:
    hangs = BUSY | {names.DEVICE_TIME: np.nan, names.BATCH_SIZE: np.nan, names.PROBE_INFERENCE: 0.0}
    assert ended(seen(**hangs))[0] == [True]


def test_one_of_which_nothing_is_heard_may_have_work() -> None:
    unheard = BUSY | {signals.IN_FLIGHT: np.nan, names.PROBE_INFERENCE: np.nan}
    assert ended(seen(**unheard))[:2] == ([False], [True])


def test_one_that_was_replaced_meanwhile_is_not_ended_again() -> None:
    restart, drain, _ = ended(seen(**BUSY), seen(**IDLE, phase=Phase.LOADING), seen(**IDLE))
    assert restart == [False, False, False]
    assert drain == [True, False, False]


def test_a_platform_that_gives_no_time_ends_it_at_once() -> None:
    leaving, orders = Leaving([episode(0)]), standing([episode(0)])
    leaving.see(seen(**BUSY), orders)
    leaving.end(0, SLOT, orders)
    assert bool(orders.restart[0, SLOT])
    assert not bool(orders.drain[0, SLOT])
