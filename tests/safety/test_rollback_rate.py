"""A pool's first rollback within the hour is free; from the second on it counts like the rest."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.guard import GuardState
from homeostat.safety.facts import facts
from homeostat.safety.guard import compile_rules, guard
from homeostat.safety.rule import EXEMPT, EXEMPTIONS
from homeostat.safety.rules import RULES
from homeostat.safety.sight import look
from homeostat.safety.tree import And, Compare, Const, Or, Ref
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import Bench, Case, label, mutants, past, verdict

BATCH = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=16)
SHED = g.act(ActionKind.SHED_LOAD, names.GATEWAY, gateway_limit=100)
ROLLBACK = g.rollback()
OTHER_POOL = replace(ROLLBACK, subject=names.pool("b"))
FIRST = "its first rollback within the hour"
RATE = next(rule for rule in RULES if label(rule) == "G4 rate")


def with_an_older_version() -> GuardState:
    """Return a bad release before which two versions served well."""
    state = replace(g.scene(), verified=((g.STABLE, "v0"), (g.STABLE, g.OLD)))
    assert state.world is not None
    ancient = replace(state.world.releases[0], version="v0")
    world = replace(state.world, releases=(ancient, *state.world.releases))
    return g.bad_release(replace(state, world=world))


def cases() -> Iterator[Case]:
    rate, bad = "G4 rate", g.bad_release(g.scene())
    yield Case("first rollback", replace(bad, past=past(0.1, times=6)), ROLLBACK)
    once = past(0.1, action=ROLLBACK)
    yield Case("second rollback", replace(bad, past=(*once, *past(0.1, times=4))), ROLLBACK)
    full = (*once, *past(0.1, times=5))
    yield Case("second, full hour", replace(bad, past=full), ROLLBACK, "deny", rate)
    yield Case("its undo", replace(bad, past=full), ROLLBACK, undo=True)
    elsewhere = past(0.1, times=6, action=OTHER_POOL)
    yield Case("rollbacks of the other pool", replace(bad, past=elsewhere), ROLLBACK)
    before = (*past(3600.0, action=ROLLBACK), *past(0.1, times=6))
    yield Case("a rollback an hour ago", replace(bad, past=before), ROLLBACK)
    unproven = replace(with_an_older_version(), past=past(30.0, times=6))
    yield Case("past the last verified", unproven, g.rollback("v0"), "deny", rate)
    busy = replace(g.scene(), past=past(30.0, times=6))
    yield Case("something else", busy, BATCH, "deny", rate)


CASES = tuple(cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_only_the_first_rollback_of_an_hour_is_exempt_from_the_rate(case: Case) -> None:
    answer = guard(case.action, case.state, g.NOW, undo=case.undo)
    assert verdict(answer) == (case.wanted, case.rule)


def test_no_mutant_of_what_makes_a_rollback_free_survives() -> None:
    bench = Bench.of(CASES)
    rest = tuple(one for one in RATE.exempt if one != FIRST)
    survivors = [
        changed
        for changed in mutants(EXEMPTIONS[FIRST])
        if not bench.catches_swap(
            RULES, RATE, replace(RATE, require=Or((RATE.require, changed)), exempt=rest)
        )
    ]
    # Only a rollback has a verified version to go to: that it is one need not be asked twice.
    assert survivors == [
        And((Ref("to_last_verified"), Compare("==", Ref("rollbacks"), Const(0)))),
    ]


BEFORE = compile_rules(
    replace(rule, exempt=EXEMPT) if label(rule) == "G4 rate" else rule for rule in RULES
)
AFTER = compile_rules(RULES)
DONE = st.tuples(
    st.sampled_from([ROLLBACK, OTHER_POOL, BATCH, SHED]),
    st.sampled_from([0.1, 30.0, 3599.0, 3600.0]),
)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(DONE, max_size=9),
    st.sampled_from([ROLLBACK, g.rollback("v0"), BATCH, SHED, g.scale(4), g.restart("a-1")]),
    st.sampled_from([g.bad_release(g.scene()), g.hung(g.scene()), g.scene()]),
    st.booleans(),
)
def test_counting_a_second_rollback_forbids_it_in_a_full_hour_and_changes_nothing_else(
    done: list[tuple[Action, float]],
    action: Action,
    state: GuardState,
    undo: bool,  # noqa: FBT001 - given by hypothesis
) -> None:
    history = tuple(one for what, ago in done for one in past(ago, action=what))
    record = facts(action, look(replace(state, past=history), g.NOW), undo=undo)
    (old, old_asks), (new, new_asks) = BEFORE.judge(record), AFTER.judge(record)
    again = sum(what is ROLLBACK and ago < 3600.0 for what, ago in done)
    full = sum(ago < 3600.0 for _, ago in done) >= state.managed.guard.actions_per_hour
    more = set(new) - set(old)
    assert old_asks == new_asks
    assert set(old) <= set(new)
    assert [reason.partition(":")[0] for reason in more] == (
        ["G4 rate"] if action is ROLLBACK and again and full and not undo else []
    )


def test_what_another_pool_ran_is_no_older_version_of_this_one() -> None:
    state = replace(g.scene(), verified=((g.STABLE, "v0"), (g.STABLE, g.OLD)))
    assert state.world is not None
    elsewhere = replace(state.world.releases[-1], version="v0")
    assert elsewhere.pool == g.FALLBACK
    own = replace(elsewhere, pool=g.STABLE)
    for release, known in ((elsewhere, False), (own, True)):
        world = replace(state.world, releases=(release, *state.world.releases))
        seen = look(replace(state, world=world), g.NOW)
        assert facts(g.rollback("v0"), seen)["to_verified"] is known
