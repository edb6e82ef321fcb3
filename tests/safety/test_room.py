"""Room: a batch grows only under the promise, a pool shrinks only below its recent peak."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.guard import Allow, Deny, GuardAnswer, GuardState
from homeostat.base.policy import Objective
from homeostat.safety.facts import facts
from homeostat.safety.guard import guard
from homeostat.safety.sight import look
from homeostat.testing import guard_scene as g

TIMES = st.lists(st.integers(1, 200), min_size=3, max_size=3)


def timed(times: list[int], promised_ms: float = 250.0) -> GuardState:
    """Return three replicas whose batches take so long, in ms."""
    state = g.scene()
    objective = Objective(latency_p95_ms=promised_ms, error_ratio=0.01)
    state = replace(state, managed=replace(state.managed, objective=objective))
    told = [
        g.reading(names.replica(f"a-{number}"), names.DEVICE_TIME, float(time))
        for number, time in enumerate(times, 1)
    ]
    # The fallback pool has a replica too, whose 40 ms are never the slowest here.
    return g.told(state, *told, g.reading("replica:b-1", names.DEVICE_TIME, 1.0))


def grown(state: GuardState, size: int) -> GuardAnswer:
    return guard(g.act(ActionKind.BATCH_UP, "pool:a", batch_max=size), state, g.NOW)


def refused(answer: GuardAnswer, rule: str) -> bool:
    reasons = answer.reasons if isinstance(answer, Deny) else ()
    return any(reason.startswith(rule) for reason in reasons)


@given(times=TIMES, size=st.integers(9, 16), promised=st.integers(50, 500))
def test_a_batch_grows_only_if_two_of_the_slowest_replicas_fit_the_promise(
    times: list[int], size: int, promised: int
) -> None:
    # From 8, in proportion; a fraction of a millisecond too much is too much.
    most = 2 * math.ceil(1000 * max(times) * size / 8) / 1000
    answer = grown(timed(times, promised), size)
    assert refused(answer, "G7 room for the batch") == (math.ceil(most) > promised)
    assert isinstance(answer, Allow) == (math.ceil(most) <= promised)


@given(times=TIMES, size=st.integers(9, 16), slower=st.integers(0, 2), by=st.integers(0, 100))
def test_a_replica_that_gets_slower_never_makes_room(
    times: list[int], size: int, slower: int, by: int
) -> None:
    later = [time + by * (number == slower) for number, time in enumerate(times)]
    if isinstance(grown(timed(later), size), Allow):
        assert isinstance(grown(timed(times), size), Allow)


def test_the_replica_that_shares_its_processor_leaves_no_room() -> None:
    # Forced replays of a noisy neighbour: one of four replicas took 65 ms a batch where 139 ms were
    # promised, one of three 185 where 184 were; larger batches took them below demand.
    for times, promised in (([18, 65, 17], 139.0), ([27, 26, 185], 184.0)):
        assert refused(grown(timed(times, promised), 16), "G7 room for the batch")


def test_batches_that_are_not_full_do_not_grow_although_there_is_room() -> None:
    # Forced replays of heavier requests: 3.8 of 8 requests in a batch, the promise kept; the larger
    # limit was a shortage minutes later, when they came.
    state = timed([36, 34, 34])
    few = [g.reading(f"replica:a-{n}", names.BATCH_FULL_SHARE, 0.05) for n in (1, 2, 3)]
    answer = grown(g.told(state, *few), 16)
    assert refused(answer, "G0 full batches")
    assert not refused(answer, "G7")


@given(now=st.integers(0, 900), peak=st.integers(0, 4000))
def test_what_stays_can_carry_the_peak_of_the_watch_with_one_more_lost(now: int, peak: int) -> None:
    state = g.told(g.scene(5), g.reading("pool:a", names.UTILISATION, now / 1000))
    answer = guard(
        g.scale(4, ActionKind.SCALE_DOWN),
        replace(state, loads=g.watched(240.0, peak)),
        g.NOW,
    )
    assert refused(answer, "G7 one to spare") == (max(5 * now, peak) > 800 * 3)


def test_missing_what_was_watched_never_permits_more() -> None:
    for loads in ((), g.watched(1.0), g.watched(240.0)[1:], g.watched(-1.0)):
        answer = guard(g.scale(2, ActionKind.SCALE_DOWN), replace(g.scene(), loads=loads), g.NOW)
        assert refused(answer, "G7 watched")


def test_a_live_batch_of_nothing_says_nothing_of_a_larger_one() -> None:
    larger = g.act(ActionKind.BATCH_UP, "pool:a", batch_max=16)
    for live, known in ((8, True), (0, False), (-1, False)):
        sight = look(g.with_levers(timed([10, 10, 10]), batch_max=live), g.NOW)
        assert (facts(larger, sight)["batch_ms"] is not None) is known, live
