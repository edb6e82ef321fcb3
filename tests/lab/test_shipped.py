"""The policies that ship: whole, what their manifest says, and everywhere the same choices."""

import hashlib
import re
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

from homeostat.cli import lab_trained
from homeostat.lab import environment_draw
from homeostat.lab.environment_actions import NAMES
from homeostat.lab.environment_seen import NUMBERS, OBSERVATIONS
from homeostat.lab.learned import RECIPES, RULES, network
from homeostat.lab.learned_free import best
from homeostat.lab.policies import LEARNERS, UNSHIPPED, make
from homeostat.learn import ppo_file

pytestmark = pytest.mark.slow

NETWORKS = [name for name in RECIPES if name not in UNSHIPPED]
CHOICES = {"ppo": "7fb5476b5e1f65ff", "ppo_hash": "3d4acf08fb042a63"}
"""Of each policy: a digest of what it chooses in a few hundred places."""
LEAST_MARGIN = 1e-4  # between the best two logits: float32 sums differ by 1e-6 between machines


def manifest(name: str) -> dict[str, Any]:
    return dict(ppo_file.manifest_of(lab_trained.shipped()[name]))


def test_what_ships_is_every_learner_but_those_that_are_to_be_made_first() -> None:
    assert set(lab_trained.shipped()) == set(LEARNERS) - set(UNSHIPPED)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_policy_that_ships_is_made_and_small(name: str) -> None:
    data = lab_trained.shipped()[name]
    assert make(name, trained=lab_trained.shipped()).name == name
    assert len(data) < 300_000
    assert Path(str(resources("homeostat"))) in lab_trained.folder().parents


@pytest.mark.parametrize("name", NETWORKS)
def test_its_manifest_says_what_it_was_made_of_and_by_what(name: str) -> None:
    said = manifest(name)
    assert said["observations"] == list(OBSERVATIONS)
    assert said["actions"] == list(NAMES)
    assert said["rules"] == RULES[name].plain()
    assert said["reward"]["kind"] == {"ppo": "level", "ppo_hash": "hash"}[name]
    assert len(said["seeds"]) == 1
    assert said["seeds"][0] in said["chosen"]["among"]
    made = said["made"]
    assert made["command"].startswith("homeostat train --budget-steps ")
    assert re.fullmatch(r"[0-9a-f]{40}", made["commit"])
    assert set(made["machine"]) == {"cores", "cpu", "jax", "python"}


@pytest.mark.parametrize("name", NETWORKS)
def test_it_was_trained_and_chosen_on_compositions_and_not_on_the_same_ones(name: str) -> None:
    said = manifest(name)
    assert said["episodes"]["from_seed"] == environment_draw.TRAIN
    assert said["chosen"]["by"]["from_seed"] == environment_draw.CHOOSE
    assert re.fullmatch(r"[0-9a-f]{64}", said["episodes"]["never"])  # the catalogue's
    best = int(np.argmax(said["chosen"]["gain_over_hold"]))
    assert said["chosen"]["among"][best] == said["seeds"][0]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_changed_byte_of_its_weights_is_found(name: str) -> None:
    data = bytearray(lab_trained.shipped()[name])
    data[-1] ^= 1
    with pytest.raises(ppo_file.PpoFileError):
        make(name, trained={name: bytes(data)})


@pytest.mark.parametrize("name", NETWORKS)
def test_it_chooses_what_it_chose_when_it_was_shipped(name: str) -> None:
    chance = np.random.default_rng(1)
    known = chance.random((400, len(NUMBERS))) < 0.9
    told = np.concatenate([known * chance.uniform(-1, 1, known.shape), known], axis=1)
    allowed = chance.random((400, len(NAMES))) < 0.3
    allowed[:, 0] = True  # holding still always is
    served = network(name, lab_trained.shipped())
    chosen = best(served, told, allowed).astype(np.uint8)
    liked = np.sort(np.where(allowed, served.logits(told), -np.inf), axis=1)
    clear = np.flatnonzero(liked[:, -1] - liked[:, -2] > LEAST_MARGIN)
    assert len(clear) > 350
    chosen = chosen[clear[:350]]
    assert len(np.unique(chosen)) > 1
    assert hashlib.sha256(chosen.tobytes()).hexdigest()[:16] == CHOICES[name]
