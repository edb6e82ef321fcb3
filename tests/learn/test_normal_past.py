"""What teaches a model what is normal: calm ticks, and what people and outcomes said of others."""

from dataclasses import replace

import numpy as np
import pytest

from homeostat.base.evidence import Evidence, Family, Suspicion
from homeostat.base.units import SECOND, TimeNs
from homeostat.learn.feedback import PATIENCE
from homeostat.learn.feedback_words import Source, Word
from homeostat.learn.normal_past import NormalPast, Spoken, normal_past
from homeostat.testing import build

AFTER = 5
DOUBT = Suspicion(family=Family.LOAD, subject="model", confidence=0.8, because=("much",))
YES, NO = (Word(source=Source.PERSON, trouble=one) for one in (True, False))
HELPED = Word(source=Source.OUTCOME, trouble=True)


def at(tick: int) -> TimeNs:
    return TimeNs(build.START + tick * SECOND)


def ticks(count: int, *suspected: int, missed: tuple[int, ...] = ()) -> list[Evidence]:
    return [
        replace(
            build.evidence(at(tick), tick, values={}),
            suspicions=(DOUBT,) if tick in suspected else (),
            slo_met=tick not in missed,
        )
        for tick in range(count)
    ]


def said(first: int, last: int, *words: Word) -> Spoken:
    return Spoken(name=f"i-{first}", since=at(first), until=at(last), words=words)


def past(seen: list[Evidence], *spoken: Spoken, acted: tuple[int, int] | None = None) -> NormalPast:
    doing = () if acted is None else ((at(acted[0]), at(acted[1])),)
    return normal_past(seen, spoken, doing, belongs=AFTER)


def lost(found: NormalPast) -> list[int]:
    return np.flatnonzero(~found.calm).tolist()


def test_trouble_and_what_follows_it_teaches_nothing() -> None:
    assert lost(past(ticks(30, 10))) == list(range(10, 15))
    assert lost(past(ticks(30, missed=(10,)))) == list(range(10, 15))
    assert not lost(past(ticks(30)))


def test_what_our_own_actions_touched_teaches_nothing() -> None:
    found = past(ticks(30), acted=(10, 12))
    assert lost(found) == list(range(10, 17))
    assert np.flatnonzero(found.touched).tolist() == [10, 11, 12]


def test_what_people_called_nothing_teaches_although_a_rule_saw_something() -> None:
    found = past(ticks(30, 10, 11, 20), said(9, 12, NO))
    assert lost(found) == list(range(20, 25))
    assert np.flatnonzero(found.sure).tolist() == [9, 10, 11, 12]


def test_confirmed_trouble_teaches_nothing_from_its_first_tick_to_its_last() -> None:
    assert lost(past(ticks(40, 10), said(9, 20, YES))) == list(range(9, 25))
    assert lost(past(ticks(40, 10), said(9, 20, HELPED))) == list(range(9, 25))


def test_people_outweigh_outcomes_and_objectives_outweigh_people() -> None:
    assert past(ticks(40, 10), said(9, 12, NO, HELPED)).sure.any()
    one = past(ticks(40, missed=tuple(range(10, 10 + PATIENCE))), said(9, 30, NO))
    assert not one.sure.any()
    assert one.stretches[0].trouble is True
    assert lost(one) == list(range(9, 35))
    # A short miss is no verdict, and teaches nothing itself.
    two = past(ticks(40, missed=(10,)), said(9, 30, NO))
    assert lost(two) == list(range(10, 15))


def test_words_that_contradict_each_other_and_touched_stretches_teach_nothing() -> None:
    both = past(ticks(40, 10), said(9, 12, NO, YES))
    assert both.stretches[0].trouble is None
    assert lost(both) == list(range(9, 17))
    ours = past(ticks(40), said(9, 12, NO), acted=(10, 10))
    assert not ours.sure.any()
    assert set(range(9, 15)) <= set(lost(ours))


def test_trouble_wins_where_stretches_overlap() -> None:
    found = past(ticks(40, 10), said(5, 15, NO), said(12, 14, YES))
    assert lost(found) == list(range(12, 19))
    assert not (found.sure & ~found.calm).any()


def test_what_was_not_seen_is_in_no_stretch() -> None:
    assert past(ticks(5), said(50, 60, NO)).stretches == ()
    assert len(past([], said(0, 1, NO)).calm) == 0
    with pytest.raises(ValueError, match="at least 1 tick belongs to trouble, got 0"):
        normal_past(ticks(3), (), (), belongs=0)


def test_what_was_not_ready_teaches_nothing() -> None:
    seen = [replace(one, ready=tick > 3) for tick, one in enumerate(ticks(10))]
    assert lost(past(seen)) == [0, 1, 2, 3]
