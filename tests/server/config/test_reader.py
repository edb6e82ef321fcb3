import contextlib
import math
import time
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homeostat.base.errors import ConfigError
from homeostat.server.config.reader import MAX_BYTES, MAX_DEPTH, read


def value(text: str) -> Any:
    (document,) = read(text.encode(), "f.yaml")
    return document.value


def refusal(data: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        read(data.encode() if isinstance(data, str) else data, "f.yaml")
    return str(caught.value)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "f.yaml:1: anchors"),
        ("a: 1\nb: *a\n", "f.yaml:2: aliases"),
        ("a: !!python/object/apply:os.system [ls]\n", "f.yaml:1: tags"),
        ("a: !!str 1\n", "f.yaml:1: tags"),
        ("a: {b: 1}\nc:\n  <<: {d: 1}\n", "f.yaml:3: merge keys"),
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: key 'a' twice (first on line 1)"),
        ("a:\n  x: 1\n  x: 1\n", "f.yaml:3: key 'x' twice (first on line 2)"),
        ("[" * 200, "nested deeper than"),
        ("[" * 100_000, "nested deeper than"),
        ("a: " + "{b: " * 5_000, "nested deeper than"),
        ("- " * 5_000 + "x", "nested deeper than"),
        ("? [a, b]\n: 1\n", "f.yaml:1: a key must be a word"),
        ("a: ${HOME}\n", "f.yaml:1: variables"),
        ("a: 'b\n", "f.yaml:"),
        ("a: b: c\n", "f.yaml:1: "),
        ("\tb: 1\n", "f.yaml:1: "),
        ("%YAML 3.0\n---\na: 1\n", "f.yaml"),
        ("[" + "1," * 30_000 + "]", "more than 20000 values"),
        ("--- 1\n" * 1_500, "more than 1000 documents"),
        ("\x00", "f.yaml"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_not_allowed_is_refused_with_its_place(text: str, message: str) -> None:
    assert message in refusal(text)


def test_a_large_file_is_refused_unread() -> None:
    assert f"at most {MAX_BYTES}" in refusal(b"a" * (MAX_BYTES + 1))


def test_other_encodings_are_refused() -> None:
    assert "save it as UTF-8" in refusal("a: ü".encode("latin-1"))


def test_the_worst_permitted_file_is_read_in_seconds() -> None:
    began = time.monotonic()
    for text in ("[" * (MAX_DEPTH - 1) + "x," * 15_000, "a" * MAX_BYTES, "- a: '" + "\\" * 200_000):
        with contextlib.suppress(ConfigError):
            read(text.encode()[:MAX_BYTES], "f.yaml")
    assert time.monotonic() - began < 20.0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("off", "off"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("True", "True"),
        ("12:30", "12:30"),
        ("010", 10),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("2026-01-01", "2026-01-01"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("-3", -3),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ("'1'", "1"),
        ("9" * 40, "9" * 40),
        ("1e999", math.inf),
    ],
)
def test_text_is_text_unless_it_is_plainly_something_else(text: str, wanted: Any) -> None:
    found = value(f"a: {text}")["a"]
    assert (found, type(found)) == (wanted, type(wanted))


def test_lines_are_known_for_every_key_and_item() -> None:
    (document,) = read(b"a:\n  - b: 1\n  - c: 2\n", "f.yaml")
    assert document.line(("a", 1, "c")) == 3
    assert document.line(("a", 1, "missing", "deeper")) == 3
    assert document.line(("nothing",)) == 1


def test_documents_are_separate_and_empty_ones_are_left_out() -> None:
    assert [one.value for one in read(b"---\na: 1\n---\n---\nb: 2\n", "f.yaml")] == [
        {"a": 1},
        {"b": 2},
    ]
    assert read(b"# nothing\n", "f.yaml") == ()


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=8),
    lambda of: st.lists(of, max_size=4) | st.dictionaries(st.text(max_size=6), of, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=6), PLAIN, min_size=1, max_size=4))
def test_what_yaml_writes_is_read_back_or_refused(tree: dict[str, Any]) -> None:
    text = yaml.safe_dump(tree, default_flow_style=None, allow_unicode=True, default_style='"')
    try:
        (document,) = read(text.encode(), "f.yaml")
    except ConfigError as error:
        # The writer marks quoted scalars that are no strings with tags, and shares by alias.
        assert any(word in str(error) for word in ("tags", "anchors", "${", "merge"))  # noqa: PT017 - one of two right answers
    else:
        assert document.value == tree


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbfa: 1")
@example(b"a: !\n")
@example(b"? ")
@example(b"- - - -\n?")
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        read(data, "f.yaml")
    except ConfigError as error:
        assert str(error).startswith("f.yaml")  # noqa: PT017 - any other exception fails the test


YAMLISH = st.text(alphabet="ab:-[]{}#&*!|>'\"%@`?, \n\t0.~<$", max_size=60)


@settings(max_examples=600, deadline=None)
@given(YAMLISH)
def test_no_punctuation_crashes_the_reader(text: str) -> None:
    try:
        read(text.encode(), "f.yaml")
    except ConfigError as error:
        assert str(error).startswith("f.yaml")  # noqa: PT017 - any other exception fails the test
