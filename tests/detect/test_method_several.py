"""Several methods as one: what each says stands apart, and together they are told once."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect.method import incidents, said_of, told
from homeostat.detect.method_several import Several
from homeostat.detect.stack import Said

NAN = float("nan")


class Script:
    """A method that says what was written down for it, of one entity with two columns."""

    least_columns = 1
    names: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None

    def __init__(self, evidence: list[float], loud: list[int]) -> None:
        self.config = (tuple(evidence), tuple(loud))
        self.evidence, self.loud = evidence, loud

    def init(self, columns: int, *, entities: int = 1) -> Any:
        """Return the tick, and an incident."""
        return (np.zeros(1, dtype=np.int64), incidents(entities))

    def step(self, state: Any, values: Any, learn: Any, start: Any = None) -> tuple[Any, Said]:
        """Read the next line."""
        tick = int(state[0][0])
        evidence = np.array([self.evidence[tick]])
        heard = told(state[1], np.array([bool(self.loud[tick])]), np.isnan(evidence))
        shares = np.array([[1.0, 0.0]] if tick % 2 else [[0.0, 1.0]])
        return (state[0] + 1, heard.incident), said_of(evidence, heard, shares)


def played(*methods: Script) -> list[Said]:
    several = Several({f"m{k}": one for k, one in enumerate(methods)})
    state, out = several.init(2), []
    for _ in methods[0].evidence:
        state, said = several.step(state, np.zeros((1, 2)), learn=True)
        out.append(said)
    return out


def test_the_strongest_evidence_counts_and_is_paid_for_by_how_many_could_judge() -> None:
    said = played(Script([4.0, NAN, NAN, 0.1], [0] * 4), Script([1.0, 4.0, NAN, 0.2], [0] * 4))
    evidence = [float(one.neg_log10_p[0]) for one in said]
    half = float(np.log10(2.0))
    assert evidence == pytest.approx([4.0 - half, 4.0, NAN, 0.0], nan_ok=True)
    assert [bool(one.unknown[0]) for one in said] == [False, False, True, False]


def test_an_incident_of_one_while_another_has_one_is_no_second_alarm() -> None:
    first, second = [0, 1, 1] + [0] * 40, [0, 0, 1] + [0] * 39 + [1]
    said = played(Script([2.0] * 43, first), Script([2.0] * 43, second))
    assert [tick for tick, one in enumerate(said) if one.alarm[0]] == [1, 42]
    each = np.array([one.each[0, :, 2] for one in said])
    assert np.flatnonzero(each[:, 0]).tolist() == [1]
    assert np.flatnonzero(each[:, 1]).tolist() == [2, 42]
    score = np.array([one.anomaly_score[0] for one in said])
    assert np.flatnonzero(score >= 0.5).tolist() == [1, 42]


def test_contributions_are_weighed_by_evidence() -> None:
    said = played(Script([3.0], [1]), Script([1.0], [0]))[0]
    assert said.contributions[0].tolist() == [0.0, 1.0]
    silent = played(Script([0.0], [0]), Script([NAN], [0]))[0]
    assert np.isnan(silent.contributions).all()


def test_one_method_is_not_several_and_models_must_be_of_the_same_columns() -> None:
    with pytest.raises(ValueError, match="need two or more, got a"):
        Several({"a": Script([], [])})
    one, other = Script([], []), Script([], [])
    one.columns, other.columns = ("x", "y"), ("y", "x")
    with pytest.raises(ValueError, match="different columns"):
        Several({"a": one, "b": other})
    other.columns = None
    assert Several({"a": one, "b": other}).columns == ("x", "y")


def test_a_level_of_evidence_is_refused_and_not_ignored() -> None:
    several = Several({"a": Script([1.0], [0]), "b": Script([1.0], [0])})
    with pytest.raises(ValueError, match="a level of evidence is for the stack"):
        several.step(several.init(2), np.zeros((1, 2)), learn=True, start=5.0)
