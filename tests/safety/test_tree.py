from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.safety.closures import compile_tree
from homeostat.safety.tree import (
    Add,
    And,
    Compare,
    Const,
    Expr,
    Max,
    Member,
    Min,
    Not,
    Or,
    Ref,
    Scale,
    Sub,
    Type,
    Value,
    compare,
    evaluate,
    fields_of,
    type_of,
)
from homeostat.safety.wire import from_wire, to_wire

FIELDS: dict[str, Type] = {
    "p": "bool",
    "q": "bool",
    "m": "int",
    "n": "int",
    "s": "str",
    "t": "str",
}
VALUES: dict[Type, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int": st.integers(-5, 5) | st.integers(),
    "str": st.sampled_from(["x", "y", ""]),
}


def refs(kind: Type) -> st.SearchStrategy[Expr]:
    return st.sampled_from([Ref(name) for name, of in FIELDS.items() if of == kind])


def leaves(kind: Type) -> st.SearchStrategy[Expr]:
    return refs(kind) | VALUES[kind].map(Const)


def several(of: st.SearchStrategy[Expr]) -> st.SearchStrategy[tuple[Expr, ...]]:
    return st.lists(of, min_size=1, max_size=4).map(tuple)


def numbers() -> st.SearchStrategy[Expr]:
    return st.recursive(
        leaves("int"),
        lambda of: st.one_of(
            st.builds(Add, of, of),
            st.builds(Sub, of, of),
            st.builds(Scale, st.integers(-4, 4), of),
            several(of).map(Min),
            several(of).map(Max),
        ),
        max_leaves=5,
    )


def conditions() -> st.SearchStrategy[Expr]:
    order = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    same = st.sampled_from(["==", "!="])
    base = st.one_of(
        leaves("bool"),
        st.builds(Compare, order, numbers(), numbers()),
        st.builds(Compare, same, leaves("str"), leaves("str")),
        st.builds(Compare, same, leaves("bool"), leaves("bool")),
        st.builds(Member, refs("str"), st.lists(VALUES["str"], min_size=1).map(tuple)),
        st.builds(Member, numbers(), st.lists(VALUES["int"], min_size=1).map(tuple)),
    )
    return st.recursive(
        base,
        lambda of: st.one_of(several(of).map(And), several(of).map(Or), st.builds(Not, of)),
        max_leaves=8,
    )


FACTS = st.fixed_dictionaries({name: st.none() | VALUES[kind] for name, kind in FIELDS.items()})


@settings(max_examples=200, deadline=None)
@given(conditions(), FACTS)
def test_a_closure_means_what_its_tree_means(tree: Expr, facts: dict[str, Value]) -> None:
    assert compile_tree(tree)(facts) is evaluate(tree, facts)


@settings(max_examples=200, deadline=None)
@given(numbers(), FACTS)
def test_a_closure_counts_what_its_tree_counts(tree: Expr, facts: dict[str, Value]) -> None:
    assert compile_tree(tree)(facts) == evaluate(tree, facts)


@settings(max_examples=200, deadline=None)
@given(conditions(), FACTS, st.sets(st.sampled_from(sorted(FIELDS))))
def test_forgetting_a_field_can_only_turn_an_answer_into_unknown(
    tree: Expr, facts: dict[str, Value], forgotten: set[str]
) -> None:
    before = evaluate(tree, facts)
    after = evaluate(tree, {name: None if name in forgotten else v for name, v in facts.items()})
    assert after is None or after is before


@settings(max_examples=200, deadline=None)
@given(conditions())
def test_every_well_typed_tree_is_a_condition_over_declared_fields(tree: Expr) -> None:
    assert type_of(tree, FIELDS) == "bool"
    assert set(fields_of(tree)) <= set(FIELDS)


@pytest.mark.parametrize(
    ("left", "right", "both", "either"),
    [
        (True, True, True, True),
        (True, False, False, True),
        (True, None, None, True),
        (False, False, False, False),
        (False, None, False, None),
        (None, None, None, None),
    ],
)
def test_the_truth_tables_are_kleenes(
    left: Value, right: Value, both: Value, either: Value
) -> None:
    for p, q in ((left, right), (right, left)):
        facts: dict[str, Value] = {"p": p, "q": q}
        terms: tuple[Expr, ...] = (Ref("p"), Ref("q"))
        for tree, wanted in ((And(terms), both), (Or(terms), either)):
            assert evaluate(tree, facts) is wanted
            assert compile_tree(tree)(facts) is wanted
        # Three terms take another path through the closures.
        assert compile_tree(And((*terms, Const(value=True))))(facts) is both
        assert compile_tree(Or((*terms, Const(value=False))))(facts) is either


@pytest.mark.parametrize(
    "tree",
    [
        Ref("nothing"),
        And(()),
        And((Const(1),)),
        Or((Const("x"), Ref("p"))),
        Not(Ref("n")),
        Add(Ref("n"), Ref("p")),
        Sub(Ref("s"), Ref("n")),
        Scale(2, Ref("p")),
        Min((Ref("s"),)),
        Compare("<", Ref("s"), Ref("t")),
        Compare("==", Ref("s"), Ref("n")),
        Compare("==", Ref("p"), Const(1)),
        Member(Ref("s"), ()),
        Member(Ref("s"), (1,)),
        Member(Ref("n"), (True,)),
        Const(0.5),  # type: ignore[arg-type]  # a float is no literal
    ],
    ids=repr,
)
def test_an_ill_typed_tree_is_refused(tree: Expr) -> None:
    with pytest.raises(TypeError):
        type_of(tree, FIELDS)


def test_strings_have_no_order() -> None:
    with pytest.raises(TypeError, match="integers"):
        compare("<", "x", "y")


def test_a_field_that_the_facts_lack_is_unknown() -> None:
    assert evaluate(Ref("p"), {}) is None


@pytest.mark.parametrize("op", ["==", "!=", "<", "<=", ">", ">="])
def test_every_comparison_is_read_back_as_it_was_written(op: Any) -> None:
    tree = Compare(op, Ref("added"), Const(2))
    assert from_wire(to_wire(tree)) == tree
