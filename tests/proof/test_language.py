import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.proof.lexer import MOST_CHARACTERS, GuardTextError, words
from homeostat.proof.parse import parse
from homeostat.proof.spelling import plain, spell
from homeostat.safety.fields import FIELDS as FACTS
from homeostat.safety.fields import TYPES
from homeostat.safety.rule import EXEMPTIONS, Rule
from homeostat.safety.rules import RULES
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
    type_of,
)
from homeostat.testing.guard_cases import label

FIELDS: dict[str, Type] = {"p": "bool", "q": "bool", "m": "int", "n": "int", "s": "str"}
INTEGERS = st.integers(-(10**15), 10**15)
VALUES: dict[Type, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int": INTEGERS,
    "str": st.text(max_size=6),
}


def leaves(kind: Type) -> st.SearchStrategy[Expr]:
    named = st.sampled_from([Ref(name) for name, of in FIELDS.items() if of == kind])
    return named | VALUES[kind].map(Const)


def several(of: st.SearchStrategy[Expr], least: int = 1) -> st.SearchStrategy[tuple[Expr, ...]]:
    return st.lists(of, min_size=least, max_size=3).map(tuple)


NUMBERS = st.recursive(
    leaves("int"),
    lambda of: st.one_of(
        st.builds(Add, of, of),
        st.builds(Sub, of, of),
        st.builds(Scale, st.integers(-9, 9), of),
        several(of).map(Min),
        several(of).map(Max),
    ),
    max_leaves=5,
)
CONDITIONS = st.recursive(
    st.one_of(
        leaves("bool"),
        st.builds(Compare, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), NUMBERS, NUMBERS),
        st.builds(Compare, st.sampled_from(["==", "!="]), leaves("str"), leaves("str")),
        st.builds(
            Member, leaves("str"), st.lists(VALUES["str"], min_size=1, max_size=3).map(tuple)
        ),
        st.builds(Member, NUMBERS, st.lists(INTEGERS, min_size=1, max_size=3).map(tuple)),
    ),
    lambda of: st.one_of(
        several(of).map(And),
        several(of).map(Or),
        st.builds(Not, of),
        st.builds(Compare, st.sampled_from(["==", "!="]), of, of),
    ),
    max_leaves=8,
)


@settings(max_examples=120, deadline=None)
@given(CONDITIONS)
def test_what_is_spelt_is_read_as_the_same_tree(tree: Expr) -> None:
    assert parse(spell(tree), FIELDS) == plain(tree)


@pytest.mark.parametrize("rule", RULES, ids=label)
def test_the_text_of_a_built_in_guard_is_its_tree(rule: Rule) -> None:
    assert parse(spell(rule.require), TYPES) == plain(rule.require) == rule.require


@pytest.mark.parametrize("name", EXEMPTIONS)
def test_the_text_of_an_exemption_is_its_tree(name: str) -> None:
    assert parse(spell(EXEMPTIONS[name]), TYPES) == plain(EXEMPTIONS[name])


def test_a_rule_reads_as_it_is_meant() -> None:
    text = "!p || m - 2 * n <= min(m, -3) && s in ['x', \"y\"] // why"
    assert parse(text, FIELDS) == Or((
        Not(Ref("p")),
        And((
            Compare("<=", Sub(Ref("m"), Scale(2, Ref("n"))), Min((Ref("m"), Const(-3)))),
            Member(Ref("s"), ("x", "y")),
        )),
    ))


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("", 1, 1, "found the end of the rule"),
        ("p &&", 1, 5, "expected a fact, a number or a bracket, found the end"),
        ("m", 1, 1, "this is an integer, true or false is needed; compare it"),
        ("p && m", 1, 6, "true or false is needed"),
        ("p + 1 == 2", 1, 1, "an integer is needed"),
        ("s < 'x'", 1, 1, "this is a string, an integer is needed"),
        ("s == 3", 1, 6, "this is an integer, a string is needed"),
        ("pp", 1, 1, "did you mean p?"),
        ("zebra", 1, 1, "see the list of facts"),
        ("m <= 0.8", 1, 6, "write thousandths: 0.8 is 800"),
        ("m <= 5m", 1, 6, "5 min is 300000"),
        ("m <= 80%", 1, 6, "80 % is 800"),
        ("m = 3", 1, 3, "compare with =="),
        ("p & q", 1, 3, "&& for and"),
        ("p ? q : p", 1, 3, "(a && b) || (!a && c)"),
        ("m / 2 > n", 1, 3, "multiply the other side"),
        ("m * n > 0", 1, 3, "two facts multiplied"),
        ("0 < m < n", 1, 7, "write a < b && b < c"),
        ("(p", 1, 3, "expected ')'"),
        ("p q", 1, 3, "after a complete condition"),
        ("m in [n]", 1, 7, "literals only"),
        ("m in []", 1, 7, "expected a fact"),
        ("s == 'x", 1, 6, "a string that does not end"),
        ("s == '\\x'", 1, 6, "is no escape"),
        ("p &&\n  // so\n  zz", 3, 3, "no fact is called 'zz'"),
        ("m > 9999999999999999", 1, 5, "too large"),
        ("!" * 60 + "p", 1, 41, "levels of brackets"),
        ("p" * (MOST_CHARACTERS + 1), 1, 1, "make two of it"),
    ],
)
def test_an_error_says_where_and_what_to_write(
    text: str, line: int, column: int, says: str
) -> None:
    with pytest.raises(GuardTextError, match=re.escape(says)) as caught:
        parse(text, FIELDS)
    assert (caught.value.line, caught.value.column) == (line, column)


@settings(max_examples=120, deadline=None)
@given(st.text(alphabet=" pqmns()[]!&|<>=+-*,0123'\"\\\n", max_size=30) | st.text(max_size=20))
def test_any_text_is_a_condition_or_an_error_with_a_place(text: str) -> None:
    try:
        tree = parse(text, FIELDS)
    except GuardTextError as error:
        wrong = error
    else:
        assert type_of(tree, FIELDS) == "bool"
        assert parse(spell(tree), FIELDS) == tree
        return
    assert (wrong.line, wrong.column) >= (1, 1)


def test_words_know_where_they_stand() -> None:
    assert [(word.line, word.column) for word in words("a\n  bb")] == [(1, 1), (2, 3), (2, 5)]


PAGE = Path(__file__).parents[2] / "docs" / "reference" / "guard-language.md"


@pytest.mark.parametrize("name", FACTS)
def test_the_page_explains_every_fact(name: str) -> None:
    fact = FACTS[name]
    row = f"| `{name}` | {fact.type} | {fact.unit} | {fact.meaning} |"
    assert row in PAGE.read_text(encoding="utf-8").splitlines()
