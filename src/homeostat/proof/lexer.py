"""Cuts the text of a guard rule into words that know where they stand.

The words are CEL's (Common Expression Language), as far as the guard language goes: names,
integers, strings in quotes, `true` and `false`, operators, brackets. Nothing is interpreted here.
"""

import re
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from homeostat.base.errors import HomeostatError

MOST_CHARACTERS: Final = 4000  # of one rule: the longest built-in one has 300
_WORD: Final = re.compile(
    r"""
    (?P<space>[ \t\r\n]+|//[^\n]*)
    |(?P<fraction>\d+\.\d+|\.\d+|\d+[eE][+-]?\d+)
    |(?P<quantity>\d+(?:%|[A-Za-z_]\w*))
    |(?P<number>\d+)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<operator>\|\||&&|==|!=|<=|>=|[<>!+\-*(),\[\]])
    """,
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
# What people write who know other languages, and how it is said here.
_MEANT: Final = {
    "=": "compare with ==",
    "&": "say && for and",
    "|": "say || for or",
    "?": "there is no ? : here; say (a && b) || (!a && c)",
    ".": "a fact has a plain name, without dots",
    "/": "there is no division; multiply the other side: 2 * left >= peak",
    "%": "shares are thousandths: 80 % is 800",
}


class GuardTextError(HomeostatError):
    """The text of a rule cannot be used.

    Attributes:
        line: Where, from 1.
        column: Where in the line, from 1.
        fact: What is wrong and what to write instead.
    """

    def __init__(self, fact: str, *, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {fact}")
        self.fact, self.line, self.column = fact, line, column


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word of a rule.

    Attributes:
        kind: `name`, `number`, `string`, `operator` or `end`.
        text: As written; of a string what it says, without quotes.
        line: Where, from 1.
        column: Where in the line, from 1.
    """

    kind: str
    text: str
    line: int
    column: int

    def error(self, fact: str) -> GuardTextError:
        """Return an error at this word."""
        return GuardTextError(fact, line=self.line, column=self.column)

    @override
    def __str__(self) -> str:
        """Return the word as an error message shows it."""
        return "the end of the rule" if self.kind == "end" else repr(self.text)


def words(text: str) -> tuple[Word, ...]:
    """Return the words of a rule, the last one of kind `end`.

    Raises:
        GuardTextError: A character or a number that the language does not have.

    >>> [word.text for word in words("2 * left >= peak")]
    ['2', '*', 'left', '>=', 'peak', '']
    """
    found: list[Word] = []
    at, line, start = 0, 1, 0
    if len(text) > MOST_CHARACTERS:
        raise GuardTextError(
            f"{len(text)} characters; a rule has at most {MOST_CHARACTERS}, make two of it",
            line=1,
            column=1,
        )
    while at < len(text):
        match = _WORD.match(text, at)
        column = at - start + 1
        if match is None:
            raise GuardTextError(_strange(text[at]), line=line, column=column)
        kind, said = str(match.lastgroup), match.group()
        if kind != "space":
            word = Word(kind=kind, text=said, line=line, column=column)
            found.append(_checked(word))
        line += said.count("\n")
        start = at + said.rindex("\n") + 1 if "\n" in said else start
        at = match.end()
    end = Word(kind="end", text="", line=line, column=at - start + 1)
    return (*found, end)


def _strange(character: str) -> str:
    if character in {'"', "'"}:
        return f"a string that does not end; close it with {character}"
    hint = _MEANT.get(character, "see the guard language for what may be written")
    return f"{character!r} means nothing here; {hint}"


def _checked(word: Word) -> Word:
    if word.kind == "fraction":
        raise word.error(f"{word.text} is no integer; write thousandths: 0.8 is 800")
    if word.kind == "quantity":
        raise word.error(
            f"{word.text} has a unit; write milliseconds (5 min is 300000) or thousandths "
            "(80 % is 800)"
        )
    if word.kind != "string":
        return word
    return Word(kind="string", text=_unquoted(word), line=word.line, column=word.column)


def _unquoted(word: Word) -> str:
    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        if len(code) > 1:
            return chr(int(code[1:], 16))
        if code not in _ESCAPES:
            raise word.error(f"\\{code} is no escape; known: \\n \\t \\r \\\\ \\\" \\' \\uXXXX")
        return _ESCAPES[code]

    return _ESCAPE.sub(one, word.text[1:-1])
