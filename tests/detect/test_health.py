import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.evidence import Family, Suspicion, Verdict
from homeostat.base.units import HOUR, MINUTE
from homeostat.detect import health_parts as made
from homeostat.detect.breach_time import TimeLeft
from homeostat.detect.health import Concern, Losses, Part, health

LOSSES = Losses()
MINUTES = (5.0, 15.0, 60.0)
LEVELS = (0.05, 0.5, 0.95)
CHANCE = st.floats(0.0, 1.0)


def promise(value: float | None, limit: float = 100.0) -> Part:
    return made.objective("gateway", "latency_p95_ms", value, limit, losses=LOSSES)


def coming(*chances: float | None) -> Part:
    return made.breach("gateway", "latency_p95_ms", chances, MINUTES, LOSSES)


def left(*at: int | None) -> TimeLeft:
    return TimeLeft(levels=LEVELS, at_ns=at, in_sight=1.0)


def climbing(*at: int | None) -> Part:
    return made.time_left("replica:a", "memory_share", left(*at), LOSSES)


def rare(score: float | None, *, alarms: bool = True) -> Part:
    return made.alarm("replica:a", "cpu_share", score, LOSSES, alarms=alarms)


def suspected(confidence: float) -> Part:
    one = Suspicion(family=Family.MEMORY, subject="a", confidence=confidence, because=("climbs",))
    return made.suspicion(one, LOSSES)


WELL = (promise(20.0), coming(0.0, 0.0, 0.0), climbing(None, None, None), rare(0.5, alarms=False))
UNKNOWN = (
    promise(None),
    coming(None, None, None),
    made.time_left("replica:a", "memory_share", None, LOSSES),
    rare(None),
)


def test_all_well_is_a_hundred_and_healthy() -> None:
    said = health(WELL)
    assert (said.score, said.low, said.high, said.verdict) == (100, 100, 100, Verdict.HEALTHY)
    assert said.unknown == ()


def test_a_missed_objective_is_zero_whatever_else_is_well() -> None:
    said = health([*WELL, promise(101.0)])
    assert (said.score, said.verdict) == (0.0, Verdict.ANOMALOUS)
    assert said.parts[0].because == "101, promised at most 100"


@pytest.mark.parametrize("at", range(4))
def test_unknown_is_never_healthy_and_never_good(at: int) -> None:
    parts = [*WELL[:at], UNKNOWN[at], *WELL[at + 1 :]]
    said = health(parts)
    assert said.verdict is Verdict.UNKNOWN
    assert said.low < said.score < said.high == 100.0 or said.score == said.low == 0.0
    assert said.score <= 90.0
    assert said.unknown == (UNKNOWN[at],)


@pytest.mark.parametrize("at", range(4))
def test_losing_sight_of_something_bad_never_raises_the_worst_case(at: int) -> None:
    bad = (promise(200.0), coming(1.0, 1.0, 1.0), climbing(0, 0, 0), rare(300.0))
    seen, blind = health([bad[at]]), health([UNKNOWN[at]])
    assert blind.low <= seen.low
    assert blind.high >= seen.high


def test_an_unseen_promise_is_no_better_than_a_missed_one() -> None:
    assert health([promise(None)]).score == health([promise(math.inf)]).score == 0.0


def test_nothing_looked_at_is_unknown() -> None:
    said = health([])
    assert (said.score, said.low, said.high, said.verdict) == (0.0, 0.0, 100.0, Verdict.UNKNOWN)


@given(st.lists(CHANCE, min_size=3, max_size=3), st.lists(CHANCE, min_size=3, max_size=3))
def test_a_more_probable_breach_never_scores_more(first: list[float], second: list[float]) -> None:
    low = [min(a, b) for a, b in zip(first, second, strict=True)]
    high = [max(a, b) for a, b in zip(first, second, strict=True)]
    low, high = [max(low[: i + 1]) for i in range(3)], [max(high[: i + 1]) for i in range(3)]
    assert health([coming(*high)]).score <= health([coming(*low)]).score + 1e-9


def test_the_same_breach_is_worse_the_sooner_it_comes() -> None:
    scores = [health([coming(*p)]).score for p in ((0, 0, 0.8), (0, 0.8, 0.8), (0.8, 0.8, 0.8))]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 3


def test_a_sure_breach_soon_is_not_hidden_by_an_unknown_later_one() -> None:
    part = coming(0.9, None, None)
    assert part.verdict is Verdict.ANOMALOUS
    assert part.loss == pytest.approx(0.81)
    assert part.worst == pytest.approx(0.81 + 0.07)
    assert coming(0.1, None, None).verdict is Verdict.UNKNOWN


def test_a_possible_breach_lowers_the_score_and_is_no_finding() -> None:
    said = health([*WELL[:1], coming(0.05, 0.1, 0.3)])
    assert said.verdict is Verdict.HEALTHY
    assert 80.0 < said.score < 90.0


@given(st.integers(0, 2 * HOUR), st.integers(0, 2 * HOUR))
def test_less_time_left_never_scores_more(first: int, second: int) -> None:
    soon, late = sorted((first, second))
    a, b = (health([climbing(at, at, at)]).score for at in (soon, late))
    assert a <= b


def test_only_time_within_reach_takes_away() -> None:
    assert climbing(2 * HOUR, None, None).loss == 0.0
    assert climbing(0, MINUTE, 5 * MINUTE).loss == pytest.approx(LOSSES.urgency[0])
    early = climbing(30 * MINUTE, None, None)
    assert 0.0 < early.loss < 0.2
    assert early.verdict is Verdict.HEALTHY
    assert climbing(20 * MINUTE, 40 * MINUTE, None).verdict is Verdict.ANOMALOUS


@given(st.floats(0.0, 400.0), st.floats(0.0, 400.0))
def test_a_rarer_alarm_never_scores_more(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert rare(high).loss >= rare(low).loss
    assert rare(high).loss <= LOSSES.alarm


@given(st.floats(-50.0, 300.0), st.floats(-50.0, 300.0))
def test_a_value_nearer_to_its_limit_never_scores_more(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert promise(high).loss >= promise(low).loss
    falls = [
        made.objective("model", "accuracy", value, 0.9, at_least=True, losses=LOSSES).loss
        for value in (low / 100.0, high / 100.0)
    ]
    assert falls[0] >= falls[1]


def test_many_replicas_weigh_no_more_than_the_worst() -> None:
    assert health([rare(10.0)] * 40).score == health([rare(10.0)]).score
    assert health([rare(10.0), rare(200.0)]).score == health([rare(200.0)]).score


def test_different_concerns_add_up() -> None:
    alone = [health([part]).score for part in (rare(10.0), suspected(0.8), coming(0.1, 0.2, 0.3))]
    together = health([rare(10.0), suspected(0.8), coming(0.1, 0.2, 0.3)]).score
    assert together < min(alone)
    assert together == pytest.approx(100.0 * math.prod(one / 100.0 for one in alone))


def test_parts_come_worst_first_and_their_order_does_not_matter() -> None:
    parts = [*WELL, suspected(0.9), rare(5.0), UNKNOWN[1]]
    said, other = health(parts), health(parts[::-1])
    assert said == other
    assert [part.loss for part in said.parts] == sorted((part.loss for part in parts), reverse=True)
    assert said.parts[0].concern is Concern.SUSPICION


@given(st.sampled_from(range(6)), CHANCE)
def test_a_larger_loss_never_raises_the_score(at: int, loss: float) -> None:
    parts = [*WELL, suspected(0.5), rare(3.0)]
    worse = [*parts]
    worse[at] = parts[at]._replace(loss=max(loss, parts[at].loss), worst=1.0)
    assert health(worse).score <= health(parts).score
    assert health(worse).low <= health(parts).low


PART = st.builds(
    Part,
    concern=st.sampled_from(Concern),
    subject=st.sampled_from(("gateway", "replica:a-1")),
    signal=st.just("latency"),
    verdict=st.sampled_from(Verdict),
    loss=CHANCE | st.sampled_from((0.0, 0.3, 1.0)),
    worst=CHANCE,
    because=st.just(""),
)


def leaves(losses: list[tuple[Concern, float]]) -> float:
    """What the worst loss of each concern leaves, concern by concern."""
    share = 1.0
    for concern in Concern:
        share *= 1.0 - max([0.0, *(loss for whose, loss in losses if whose is concern)])
    return 100.0 * share


@given(st.lists(PART, min_size=1, max_size=12))
def test_the_scores_are_those_of_each_concern_by_itself(parts: list[Part]) -> None:
    found = health(parts)
    assert found.score == leaves([(one.concern, one.loss) for one in parts])
    assert found.low == leaves([(one.concern, one.worst) for one in parts])
    assert found.high == leaves([(one.concern, one.loss) for one in parts if one.known])


WRONG: list[tuple[str, Callable[[], object]]] = [
    ("alarm", lambda: Losses(alarm=0.0)),
    ("unknown_forecast", lambda: Losses(unknown_forecast=1.5)),
    ("urgency", lambda: Losses(urgency=(0.5, 0.7))),
    ("soon_ns", lambda: Losses(soon_ns=HOUR, reach_ns=HOUR)),
    ("horizons", lambda: coming(0.1, 0.2)),
]


@pytest.mark.parametrize(("what", "build"), WRONG)
def test_losses_that_would_flatter_are_refused(what: str, build: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=what):
        build()
