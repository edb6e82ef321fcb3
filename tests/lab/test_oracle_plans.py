"""What the oracle may try keeps within the levers, and edits only what it names."""

from typing import Any

import numpy as np
import pytest

from homeostat.lab import oracle_plans as plans
from homeostat.lab.baselines.levers import standing
from homeostat.lab.types import Episode
from homeostat.twin import params as p
from homeostat.twin.faults import Faults
from homeostat.twin.orders import Orders
from homeostat.twin.shapes import FAULTS, Cure, Phase

SLOTS, ROWS, CAP = 8, 40, 7.0


def group(kind: Any, **values: Any) -> Any:
    return kind(**(dict.fromkeys(kind.__dataclass_fields__, np.float32(0)) | values))


def episode(hit: tuple[int, ...] = (), *, uncured: bool = False) -> Episode:
    slots = np.ones((FAULTS, SLOTS), bool)
    start = np.full(FAULTS, 600.0 if uncured else np.inf)
    cure = Cure.NONE if uncured else Cure.RESTART
    if hit:
        slots[0] = np.isin(np.arange(SLOTS), hit)
        start[0] = 600.0
    params = group(
        p.Params,
        service=group(
            p.Service, batch_max=np.full(3, 8.0), batch_limit=np.float32(64), concurrency=64.0
        ),
        demand=group(p.Demand, knots_rps=np.full(257, 100.0)),
        quality=group(p.Quality, retrain_s=np.float32(300)),
        money=group(p.Money, hard_cap=np.float32(CAP)),
        replicas=np.array([4.0, 1.0, 0.0]),
        weights=np.array([1.0, 0.0, 0.0]),
    )
    return Episode(
        scenario="S13",
        seed=0,
        family="serving",
        length_s=3600,
        onset_s=600.0,
        recoverable=True,
        benign=False,
        slots=SLOTS,
        params=params,
        faults=group(Faults, slots=slots, start_s=start, cure=np.full(FAULTS, int(cure))),
    )


def begin(of: Episode) -> tuple[Orders, Orders]:
    """The episode's orders at the start, and the plan that keeps them."""
    one = Orders(**{name: np.asarray(value)[0] for name, value in vars(standing([of])).items()})
    return one, plans.level(one, ROWS)


def all_edits(of: Episode, *, finer: bool = False) -> dict[str, plans.Edit]:
    one, _ = begin(of)
    phase = np.where(np.arange(SLOTS) < 5, Phase.READY, Phase.EMPTY)
    quick = plans.edits(of, one, phase, np.where(np.arange(SLOTS) < 4, 0, 1), finer=finer)
    return dict([*plans.slow_edits(of, one), *quick])


def test_every_edit_keeps_the_levers_legal_even_when_applied_again_and_again() -> None:
    of = episode(hit=(1, 2))
    _, plan = begin(of)
    for name, edit in all_edits(of, finer=True).items():
        new = edit(edit(edit(plan)))
        replicas = np.asarray(new.replicas)
        assert replicas.sum(axis=1).max() <= CAP, name
        assert replicas[:, 0].min() >= 1, name
        np.testing.assert_allclose(np.asarray(new.weights).sum(axis=1), 1.0, err_msg=name)
        assert np.asarray(new.batch_max).min() >= 1, name
        assert np.asarray(new.batch_max).max() <= 64, name
        held = np.asarray(new.concurrency)
        assert held.min() >= 1, name
        assert (held == np.round(held)).all(), name
        assert not np.asarray(new.retrain_ungated).any(), name
        assert len(np.asarray(new.admit_rps)) == ROWS, name


def test_no_edit_changes_the_plan_that_it_is_given() -> None:
    of = episode(hit=(1,))
    _, plan = begin(of)
    before = {name: np.array(value) for name, value in vars(plan).items()}
    for edit in all_edits(of, finer=True).values():
        edit(plan)
    for name, value in vars(plan).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_a_finer_search_tries_all_that_the_ordinary_one_does_and_half_as_much_again() -> None:
    of = episode(hit=(1, 2))
    _, plan = begin(of)
    usual, finer = all_edits(of), all_edits(of, finer=True)
    assert set(usual) < set(finer)
    assert len(finer) >= 1.5 * len(usual)
    for name, edit in usual.items():
        for field, value in vars(edit(plan)).items():
            again = getattr(finer[name](plan), field)
            np.testing.assert_array_equal(np.asarray(again), np.asarray(value), err_msg=name)


def test_fewer_of_a_pool_without_replicas_are_none() -> None:
    of = episode()
    _, plan = begin(of)
    edits = all_edits(of, finer=True)
    less = edits["a replica of B less"]
    assert np.asarray(less(less(plan)).replicas)[:, 1].tolist() == [1.0] * ROWS
    empty = plans._with(plan, replicas=np.asarray(plan.replicas) * np.array([1.0, 0.0, 0.0]))
    assert np.asarray(less(empty).replicas)[:, 1].tolist() == [0.0] * ROWS
    assert np.asarray(edits["a replica of B more"](empty).replicas)[:, 1].tolist() == [1.0] * ROWS


def test_concurrency_is_halved_and_doubled_and_never_below_one() -> None:
    of = episode()
    _, plan = begin(of)
    edits = all_edits(of)
    assert np.asarray(edits["concurrency x 2"](plan).concurrency).tolist() == [128.0] * ROWS
    less = edits["concurrency x 0.5"]
    assert np.asarray(less(plan).concurrency).tolist() == [32.0] * ROWS
    for _ in range(9):
        plan = less(plan)
    assert np.asarray(plan.concurrency).tolist() == [1.0] * ROWS


@pytest.mark.parametrize(("pool", "variant"), [("A", 0), ("B", 1)])
def test_each_pool_is_rolled_back_alone(pool: str, variant: int) -> None:
    of = episode()
    _, plan = begin(of)
    rollback = np.asarray(all_edits(of)[f"roll {pool} back"](plan).rollback)
    assert [tuple(at) for at in np.argwhere(rollback)] == [(0, variant)]


def test_impulses_come_once_and_restarts_one_by_one_leave_time_between() -> None:
    of = episode(hit=(1, 2))
    _, plan = begin(of)
    edits = all_edits(of)
    restart = np.asarray(edits["restart those hit one by one"](plan).restart)
    assert [tuple(at) for at in np.argwhere(restart)] == [(0, 1), (plans.STAGGER, 2)]
    together = np.asarray(edits["restart those hit at once"](plan).restart)
    assert [tuple(at) for at in np.argwhere(together)] == [(0, 1), (0, 2)]
    rollback = np.asarray(edits["roll A back"](plan).rollback)
    assert [tuple(at) for at in np.argwhere(rollback)] == [(0, 0)]


def test_only_replicas_that_serve_and_are_singled_out_are_restarted() -> None:
    assert "restart those hit at once" not in all_edits(episode())
    assert "restart those hit at once" not in all_edits(episode(hit=(7,))), "slot 7 is empty"
    drained = np.asarray(all_edits(episode(hit=(3,)))["drain those hit"](begin(episode())[1]).drain)
    assert drained.all(axis=0).tolist() == [False, False, False, True] + [False] * 4


def test_retraining_moves_traffic_only_when_it_is_done_and_replicas_wait_there() -> None:
    of = episode()
    _, plan = begin(of)
    new = all_edits(of)["retrain, gated, and move there when it is done"](plan)
    moved = np.asarray(new.weights)[:, 2] == 1.0
    assert np.asarray(new.retrain).tolist() == [True] + [False] * (ROWS - 1)
    first = int(moved.argmax())
    assert first * 15 > 300
    assert moved[first:].all()
    assert (np.asarray(new.replicas)[first:, 2] == 2).all(), "as many as the cap leaves room for"


def test_a_retraining_that_would_end_after_the_episode_is_not_tried() -> None:
    of = episode()
    one, _ = begin(of)
    short = plans.level(one, 10)
    assert all_edits(of)["retrain, gated, and move there when it is done"](short) is short


def test_as_at_the_start_takes_back_every_lever() -> None:
    of = episode(hit=(1,))
    _, plan = begin(of)
    edits = all_edits(of)
    changed = edits["batch x 2"](edits["one replica more"](edits["drain those hit"](plan)))
    back = edits["as at the start"](changed)
    for name, value in vars(plan).items():
        np.testing.assert_array_equal(np.asarray(getattr(back, name)), value, err_msg=name)


def moving(of: Episode) -> Orders:
    """A plan that retrains and moves all traffic to the canary later."""
    one, plan = begin(of)
    return dict(plans.slow_edits(of, one))["retrain, gated, and move there when it is done"](plan)


def test_edits_of_a_short_look_leave_what_is_planned_for_later() -> None:
    of = episode()
    later = moving(of)
    assert plans.moves_later(later)
    at = plans.later_from(later)
    more = plans._with(later, batch_max=np.asarray(later.batch_max) * 2.0)
    back = all_edits(of)["as at the start"](more)
    for name in ("weights", "replicas", "retrain", "batch_max"):
        expected = np.asarray(getattr(later, name))
        np.testing.assert_array_equal(np.asarray(getattr(back, name)), expected, err_msg=name)
    weights = np.asarray(all_edits(of)["0.5 of the traffic to B"](later).weights)
    assert (weights[:at] == [0.5, 0.5, 0.0]).all()
    assert (weights[at:] == [0.0, 0.0, 1.0]).all()
    one, _ = begin(of)
    whole = dict(plans.slow_edits(of, one))["0.5 of the traffic to B"](later)
    assert (np.asarray(whole.weights) == [0.5, 0.5, 0.0]).all(), "a long look may give it up"


def test_what_is_planned_for_later_is_weighed_against_cures_at_the_onset() -> None:
    of = episode()
    one, plan = begin(of)
    later = moving(of)
    instead = dict(plans.instead_of_later(one, all_edits(of).items(), 7))
    for name, value in vars(instead["nothing later"](later)).items():
        np.testing.assert_array_equal(np.asarray(value), getattr(plan, name), err_msg=name)
    cured = instead["roll A back, at the onset"](later)
    assert [tuple(at) for at in np.argwhere(np.asarray(cured.rollback))] == [(7, 0)]
    assert not plans.moves_later(cured)
    struck = dict(plans.instead_of_later(one, all_edits(of).items(), 0))
    assert set(struck) == {"nothing later"}
    far = dict(plans.instead_of_later(one, all_edits(of).items(), ROWS))
    assert not np.asarray(far["roll A back, at the onset"](later).rollback).any()


@pytest.mark.parametrize("share", ["0.4", "0.7", "0.95"])
def test_shedding_lets_in_a_share_of_the_usual_load(share: str) -> None:
    of = episode()
    _, plan = begin(of)
    edits = all_edits(of)
    limited = edits[f"let in {share} of the usual load"](plan)
    assert np.asarray(limited.admit_rps).tolist() == [100.0 * float(share)] * ROWS
    assert np.isinf(np.asarray(edits["let all in"](limited).admit_rps)).all()


def test_a_fault_without_a_cure_by_restart_that_hits_all_singles_none_out() -> None:
    edits = all_edits(episode(uncured=True))
    assert "drain those hit" not in edits
    assert "restart those hit at once" not in edits
