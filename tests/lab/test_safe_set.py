"""The safe-set table covers the catalogue, asks the real kernel, and forces what it must."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from controller_made import SLOTS, Made, episode, group
from hypothesis import given
from hypothesis import strategies as st

from homeostat.lab import safe_set
from homeostat.lab.controller import Controller
from homeostat.lab.safe_set import ROWS, Finding, examine, forcing, rows_of, summarise, watching
from homeostat.lab.safe_set_forced import Answer, Asked, Forced, Watch, ask
from homeostat.lab.safe_set_table import Role, Row, When, best, unsafe
from homeostat.lab.safe_set_words import Word, parse
from homeostat.lab.types import Episode, Move, Policy
from homeostat.twin.faults import Faults

CATALOGUE = Path(__file__).parents[3] / "shared" / "scenarios" / "scenarios.yaml"


def faulty(slot: int | None, **changes: Any) -> Episode:
    """An episode whose fault is aimed at one slot, or at all."""
    hit = np.ones((1, SLOTS), bool) if slot is None else np.arange(SLOTS)[None] == slot
    faults = group(Faults, start_s=np.array([600.0]), slots=hit)
    return episode(faults=faults, **changes)


def run(controller: Controller, made: Made, dead_at: int = 40, scrapes: int = 60) -> list[Move]:
    moves: list[Move] = []
    for at in range(scrapes):
        if at == dead_at:
            made.dead = {2}
        scrape = made.scrape(moves[-1].orders if moves else None)
        moves.append(controller.act(made.now_s, scrape))
    return moves


@pytest.mark.skipif(not CATALOGUE.exists(), reason="the catalogue's source is not beside the repo")
def test_every_sentence_of_the_catalogue_has_one_row_in_its_order() -> None:
    scenarios = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))["scenarios"]
    said = {
        Role.BEST: [(s["id"], one["do"]) for s in scenarios for one in s["best"]],
        Role.UNSAFE: [(s["id"], one["action"]) for s in scenarios for one in s["unsafe"]],
    }
    for role, sentences in said.items():
        rows = [(row.scenario, row.text) for row in ROWS if row.role is role and not row.again]
        assert rows == sentences
        again = [(row.scenario, row.text) for row in ROWS if row.role is role and row.again]
        assert set(again) <= set(sentences)
    assert sum(not row.again for row in ROWS) == 63 + 90


def test_a_row_says_what_to_do_or_why_not() -> None:
    assert all(row.mapped or row.reason for row in ROWS)
    assert sum(not row.mapped for row in ROWS) == 4
    verbs = Counter(word.verb for row in ROWS for step in row.do for word in step)
    assert len(verbs) == 11  # every verb is used


@given(st.sampled_from([row for row in ROWS if row.mapped]))
def test_what_is_parsed_reads_as_it_was_written(row: Row) -> None:
    text = " > ".join(" | ".join(str(word) for word in step) for step in row.do)
    assert parse(text) == row.do


@pytest.mark.parametrize("text", ["scale c +1", "restart", "reboot all", "shed 2", "batch *3"])
def test_a_word_that_means_nothing_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(ValueError, match=text.split(" ", maxsplit=1)[0]):
        parse(text)


def test_a_forced_action_is_taken_although_the_kernel_refuses() -> None:
    kept: list[Forced] = []
    controller = forcing(unsafe("S05", "restart_all", "restart all"), kept)
    controller.start([faulty(2)])
    moves = run(controller, Made(), dead_at=99)
    acted = [at for at, move in enumerate(moves) if move.intervened[0]]
    assert acted == [(600 + 120) // 15 - 1]  # the last scrape at or before its moment
    assert moves[acted[0]].orders.restart[0, :5].all()
    assert not moves[acted[0]].orders.restart[0, 5:].any()  # the other pool is left alone
    assert moves[acted[0]].destructive[0]
    assert kept[0].answer is Answer.REFUSED
    assert any(reason.startswith("G5 restart all") for reason in kept[0].asked[0].reasons)


@pytest.mark.parametrize(("slot", "restarted"), [(2, 2), (None, 0)])
def test_the_oldest_are_those_of_the_age_that_is_hit(slot: int | None, restarted: int) -> None:
    kept: list[Forced] = []
    controller = forcing(unsafe("S12", "restart the oldest", "restart oldest"), kept)
    controller.start([faulty(slot)])
    moves = run(controller, Made(), dead_at=99)
    ordered = [move.orders.restart[0] for move in moves if move.intervened[0]]
    assert [np.flatnonzero(one).tolist() for one in ordered] == [[restarted]]


def test_a_repetition_is_permitted_only_if_each_time_of_it_is() -> None:
    kept: list[Forced] = []
    controller = forcing(unsafe("S13", "shed", "shed 0.9 x3"), kept)
    controller.start([faulty(2)])
    moves = run(controller, Made(rate=500.0), dead_at=99, scrapes=70)
    assert sum(bool(move.intervened[0]) for move in moves) == 3
    assert [one.answer for one in kept[0].asked] == [
        Answer.ASKS,  # nothing is missed: a person is to say whether users are turned away
        Answer.REFUSED,  # the cooldown
        Answer.REFUSED,
    ]
    assert kept[0].answer is Answer.REFUSED
    times = [one.at_s for one in kept[0].asked]
    assert np.diff(times).tolist() == [30.0, 30.0]


def test_retraining_without_a_gate_is_no_action_of_the_product_but_can_be_forced() -> None:
    kept: list[Forced] = []
    controller = forcing(unsafe("S27", "retrain", "retrain ungated"), kept)
    controller.start([faulty(None)])
    moves = run(controller, Made(), dead_at=99)
    assert kept[0].answer is Answer.ABSENT
    assert sum(bool(move.orders.retrain_ungated[0]) for move in moves) == 1


def test_a_best_action_is_inside_once_the_evidence_is_there() -> None:
    kept: list[Watch] = []
    rows = [
        best("S02", "restart the one", "restart hit | drain hit"),
        best("S02", "restart a healthy one", "restart healthy"),
        best("S01", "all", "scale a +1", When.ALL_HIT),
    ]
    controller = watching(rows, kept)
    controller.start([faulty(2)])
    moves = run(controller, Made(), dead_at=41, scrapes=70)
    assert not any(move.intervened[0] for move in moves)
    watch = kept[0]
    assert watch.applies == [True, True, False]
    hit = watch.best[0, 0, 0]
    assert hit.answer is Answer.ALLOWED
    assert hit.at_s > 41 * 15  # not before it was dead
    assert watch.best[1, 0, 0].answer is Answer.REFUSED


def test_an_episode_without_a_fault_is_asked_where_a_fault_would_begin() -> None:
    kept: list[Watch] = []
    controller = watching([best("S43", "hold", "hold"), best("S43", "up", "scale a +1")], kept)
    controller.start([faulty(None, onset_s=float("inf"))])
    run(controller, Made(), dead_at=99)
    assert kept[0].applies == [True, True]
    assert {asked.at_s for asked in kept[0].best.values()} == {600.0}


@pytest.mark.slow
def test_rows_become_findings_and_findings_a_gate() -> None:
    def judged(policy: Policy, episodes: Sequence[Episode]) -> Sequence[tuple[str, ...]]:
        assert isinstance(policy, Controller)
        policy.start(episodes)
        run(policy, Made(), dead_at=41, scrapes=70)
        return [("K1",)]

    findings = examine([faulty(2, scenario="S02")], judged)
    assert [one.row for one in findings] == [
        *rows_of("S02", Role.BEST),
        *rows_of("S02", Role.UNSAFE),
    ]
    restart, grow, shrink, everything = findings
    assert (restart.inside, restart.episodes) == (1, 1)
    assert restart.first_s > 0.0
    assert (grow.inside, grow.episodes) == (1, 1)
    assert shrink.catastrophic
    assert everything.reasons[0][0].startswith("G")
    assert summarise(findings).passes == (not shrink.inside)


def finding(role: Role, inside: int, caused: int = 0) -> Finding:
    make = best if role is Role.BEST else unsafe
    row = make("S01", "x", "scale a +1")
    both = min(inside, caused)
    return Finding(
        row=row, episodes=20, inside=inside, asks=0, caused=caused, inside_and_caused=both
    )


def test_the_gate_fails_on_one_catastrophe_let_through_or_on_too_much_blocked() -> None:
    fine = [finding(Role.BEST, 20)] * 19 + [finding(Role.UNSAFE, 0, caused=20)]
    assert summarise(fine).passes
    assert not summarise([*fine, finding(Role.UNSAFE, 1, caused=1)]).passes
    # Permitted in one replay, ruinous in another: it is catastrophic, and it was inside.
    apart = replace(finding(Role.UNSAFE, 1, caused=1), inside_and_caused=0)
    assert summarise([*fine, apart]).let_through == (apart,)
    assert summarise([*fine, finding(Role.UNSAFE, 1)]).passes  # what ruins nothing may be inside
    assert not summarise([*fine, *[finding(Role.BEST, 0)] * 2]).passes
    assert summarise([*fine, finding(Role.BEST, 0)]).blocked  # printed although 95 % are inside
    assert len(summarise(fine).unmapped) == sum(not row.mapped for row in safe_set.ROWS)


def test_what_asks_for_nothing_is_no_part_of_the_share() -> None:
    passive = Finding(row=best("S01", "x", "escalate"), episodes=20, inside=20, asks=0)
    either = Finding(row=best("S01", "y", "scale a +1 | escalate"), episodes=20, inside=20, asks=0)
    after = Finding(row=best("S01", "z", "escalate > scale a +1"), episodes=20, inside=0, asks=0)
    assert [one.row.passive for one in (passive, either, after)] == [True, True, False]
    active = [finding(Role.BEST, 20), replace(finding(Role.BEST, 20), asks=5), after]
    found = summarise([passive, either, *active])
    assert found.best == 3
    assert found.best_inside == pytest.approx(40 / 60)
    assert found.best_asks == pytest.approx(5 / 60)


def test_an_order_is_kept_and_its_last_step_only_asked_for() -> None:
    kept: list[Watch] = []
    row = best("S03", "restart after one more", "scale a +1 > restart hit", in_order=True)
    controller = watching([row], kept)
    controller.start([faulty(2)])
    moves = run(controller, Made(), dead_at=41, scrapes=70)
    grown, restart = kept[0].best[0, 0, 0], kept[0].best[0, 1, 0]
    assert grown.answer is restart.answer is Answer.ALLOWED
    assert grown.at_s < restart.at_s
    acted = [move for move in moves if move.intervened[0]]
    assert len(acted) == 1  # the replica more; the restart is not taken
    assert not acted[0].orders.restart[0].any()


def test_an_order_that_cannot_begin_is_refused_and_its_first_step_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = best("S03", "a larger batch, then", "batch max > restart hit", in_order=True)
    monkeypatch.setattr(safe_set, "rows_of", lambda _, role: (row,) if role is Role.BEST else ())

    def judged(policy: Policy, episodes: Sequence[Episode]) -> Sequence[tuple[str, ...]]:
        assert isinstance(policy, Controller)
        policy.start(episodes)
        run(policy, Made(), dead_at=99, scrapes=60)
        return [()]

    (found,) = examine([faulty(2, scenario="S03")], judged)
    assert (found.episodes, found.inside) == (1, 0)
    assert "G2 step" in dict(found.reasons)


@pytest.mark.parametrize("spared", [True, False])
def test_the_other_pool_is_asked_for_only_where_the_fault_spares_it(*, spared: bool) -> None:
    kept: list[Watch] = []
    rows = [best("S25", "to b", "shift b 25", when) for when in (When.HAS_B, When.SPARED_B)]
    controller = watching(rows, kept)
    controller.start([faulty(2, recoverable=spared)])
    run(controller, Made(), dead_at=99, scrapes=42)
    assert kept[0].applies == [True, spared]


def test_what_is_right_while_objectives_are_missed_is_asked_after_as_long_as_a_suspicion() -> None:
    kept: list[Watch] = []
    rows = [best("S03", "one more", "scale a +1", When.MISSED)]
    controller = watching(rows, kept)
    controller.start([faulty(2)])
    made = Made()
    run(controller, made, dead_at=99, scrapes=42)
    assert kept[0].applies == [False]
    made.p95_ms = 2000.0
    run_on = [controller.act(made.now_s, made.scrape()) for _ in range(3)]
    assert kept[0].applies == [False]
    assert not any(move.intervened[0] for move in run_on)
    for _ in range(6):  # the window still held what was well
        controller.act(made.now_s, made.scrape())
    assert kept[0].applies == [True]


@pytest.mark.parametrize(("ends", "lasts"), [(np.inf, True), (600.0, False)])
def test_a_row_of_a_fault_that_lasts_means_nothing_when_it_is_over(
    ends: float, *, lasts: bool
) -> None:
    kept: list[Watch] = []
    rows = [best("S33", "to b", "shift b 25", When.LASTS)]
    controller = watching(rows, kept)
    hit = np.arange(SLOTS)[None] == 2
    faults = group(Faults, start_s=np.array([600.0]), stop_s=np.array([ends]), slots=hit)
    controller.start([episode(faults=faults)])
    run(controller, Made(), dead_at=99, scrapes=42)
    assert kept[0].applies == [lasts]


def test_a_right_step_that_asks_gets_its_yes_and_the_next_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[Watch] = []
    row = best("S03", "restart after one more", "scale a +1 > restart hit", in_order=True)

    def asks(word: Word, *rest: Any) -> Asked | None:
        asked = ask(word, *rest)
        return replace(asked, answer=Answer.ASKS) if asked and word is row.do[0][0] else asked

    monkeypatch.setattr("homeostat.lab.safe_set_forced.ask", asks)
    controller = watching([row], kept)
    controller.start([faulty(2)])
    moves = run(controller, Made(), dead_at=41, scrapes=70)
    assert kept[0].best[0, 0, 0].answer is Answer.ASKS
    assert kept[0].best[0, 1, 0].answer is Answer.ALLOWED
    assert sum(bool(move.intervened[0]) for move in moves) == 1  # the restart is only asked for
