"""A refit is better on rows that nobody was fitted on, or it is no version."""

from pathlib import Path

import numpy as np
import pytest

from homeostat.demo import artefact
from homeostat.demo.artefact import Model, build_artefacts, load
from homeostat.demo.population import People, sample
from homeostat.demo.refit import (
    FIT_MIN,
    HELD_MIN,
    Comparison,
    Made,
    Refused,
    Rows,
    refit,
    version_of,
)

AFTER = 24_680  # seed of the people after a shift


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("artefacts")
    build_artefacts(made, 7)
    return made


@pytest.fixture(scope="module")
def serving(folder: Path) -> Model:
    return load(folder, "v2")


def rows(people: People, begin: float = 1_000.0) -> Rows:
    at = begin + np.arange(len(people.defaulted)) / 60.0
    return Rows(inputs=people.inputs, labels=people.defaulted, at=at)


def drifted(count: int, shift: float = 2.5, seed: int = AFTER) -> Rows:
    return rows(sample(count, seed, shift))


@pytest.mark.parametrize("shift", [2.0, 2.5, 3.0])
def test_a_windows_rows_after_a_shift_make_a_version_that_is_right_again(
    serving: Model, folder: Path, shift: float
) -> None:
    done = refit(drifted(900, shift), serving)
    assert isinstance(done, Made), done
    artefact.write(folder, f"r-{shift}", done.tensors)
    people = sample(20_000, 13_579, shift)
    new, old = (
        float(((model.predict(people.inputs) >= 0.5) == people.defaulted).mean())
        for model in (load(folder, f"r-{shift}"), serving)
    )
    assert new > 0.88
    assert old < 0.80 < new, "what serves misses the objective, what comes of it meets it"


def test_a_version_is_compared_on_the_newest_rows_alone(serving: Model) -> None:
    """Old people among the fitted ones do not decide, and are not what it is asked about."""
    mixed = drifted(600)
    done = refit(mixed.part(np.random.default_rng(3).permutation(600)), serving)
    straight = refit(mixed, serving)
    assert isinstance(done, Made)
    assert isinstance(straight, Made)
    assert done.comparison == straight.comparison, "the order in which rows came is of no account"
    assert (straight.comparison.fitted, straight.comparison.held) == (360, 240)


def test_without_a_shift_there_is_nothing_to_gain_and_no_version(serving: Model) -> None:
    done = refit(drifted(600, 0.0), serving)
    assert isinstance(done, Refused)
    assert done.comparison is not None
    assert "no better than what serves" in done.why
    assert "v2" in done.why


@pytest.mark.slow
def test_labels_that_are_chance_make_a_version_no_more_often_than_is_said(serving: Model) -> None:
    made = 0
    for seed in range(20):
        noise = np.random.default_rng(seed).integers(0, 2, 400)
        people = People(inputs=sample(400, AFTER + seed).inputs, defaulted=noise)
        made += isinstance(refit(rows(people), serving), Made)
    assert made <= 4, "of 20 at 5 %: more than 4 come by chance once in 300"


def test_too_few_rows_of_either_part_are_a_refusal_that_counts_them(serving: Model) -> None:
    done = refit(drifted(FIT_MIN), serving)
    assert isinstance(done, Refused)
    assert f"at least {FIT_MIN}" in done.why
    done = refit(drifted(FIT_MIN + HELD_MIN - 1), serving)
    assert isinstance(done, Refused)
    assert isinstance(refit(drifted(0), serving), Refused)


def test_one_class_alone_is_a_refusal(serving: Model) -> None:
    some = drifted(400)
    flat = Rows(inputs=some.inputs, labels=np.ones(400, dtype=np.int64), at=some.at)
    done = refit(flat, serving)
    assert isinstance(done, Refused)
    assert "rarer label" in done.why
    late = np.where(np.arange(400) >= 240, 1, some.labels)  # in the newest rows alone
    done = refit(Rows(inputs=some.inputs, labels=late, at=some.at), serving)
    assert isinstance(done, Refused)
    assert "to compare on" in done.why


def test_whoever_was_fitted_on_is_not_asked_about_again(serving: Model) -> None:
    some = drifted(240)
    again = np.concatenate([np.arange(240), np.arange(160)])
    at = np.arange(400.0)
    done = refit(Rows(inputs=some.inputs[again], labels=some.labels[again], at=at), serving)
    assert isinstance(done, Refused), "the newer ones are all known"
    assert done.why.startswith("0 labelled rows to compare on")


def test_answers_that_are_no_numbers_are_wrong_answers(folder: Path) -> None:
    done = refit(drifted(400), load(folder, "v3-garbage"))
    assert isinstance(done, Made)
    assert done.comparison.old_right == 0


def test_the_edges_of_the_histograms_are_those_of_the_parent(serving: Model) -> None:
    done = refit(drifted(400), serving)
    assert isinstance(done, Made)
    assert (done.tensors["feature_edges"] == serving.feature_edges).all()


def test_a_difference_that_chance_explains_is_none() -> None:
    def of(gained: int, lost: int, least: float | None) -> Comparison:
        return Comparison(
            parent="v2", fitted=300, held=100, new_right=60 + gained, old_right=60 + lost,
            gained=gained, lost=lost, least=least,
        )  # fmt: skip

    assert not of(0, 0, None).is_better
    assert not of(6, 3, 0.5).is_better
    assert of(9, 1, 0.51).is_better
    assert "answer alike" in of(0, 0, None).words
    assert "in 9 of 10" in of(9, 1, 0.51).words


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"inputs": np.full((4, 16), np.nan)}, "finite"),
        ({"at": np.array([1.0, np.inf, 2.0, 3.0])}, "finite"),
        ({"labels": np.array([0, 1, 2, 0])}, "neither 0 nor 1"),
        ({"labels": np.array([0, 1, 1])}, "3 labels"),
        ({"inputs": np.zeros(4)}, "row, feature"),
    ],
)
def test_a_table_that_is_none_is_refused(change: dict[str, np.ndarray], match: str) -> None:
    good = {"inputs": np.zeros((4, 16)), "labels": np.array([0, 1, 0, 1]), "at": np.arange(4.0)}
    with pytest.raises(ValueError, match=match):
        Rows(**(good | change))


def test_rows_of_another_model_are_refused(serving: Model) -> None:
    with pytest.raises(ValueError, match="3 features"):
        refit(Rows(inputs=np.zeros((4, 3)), labels=np.zeros(4, np.int64), at=np.zeros(4)), serving)


@pytest.mark.parametrize("key", ["credit-d-0001-1800000000", "A" * 128, "a_b", "a.b", "A_B"])
def test_a_versions_name_is_one_that_an_artefact_may_have(key: str, folder: Path) -> None:
    with pytest.raises(artefact.ArtefactError, match="cannot be read"):  # and not: no such name
        load(folder, version_of(key))
    assert version_of(key).startswith("r-")


def test_two_keys_are_two_versions() -> None:
    keys = ["a_b", "a-b", "A-B", "A" * 100, "A" * 101]
    assert len({version_of(key) for key in keys}) == len(keys)
