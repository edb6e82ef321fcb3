"""The autoencoder in the loop: either score wakes the policy, unless a rule knows better."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from homeostat.base import names
from homeostat.base.evidence import (
    UNLIKE_ITSELF,
    Evidence,
    Family,
    Quality,
    Reading,
    Suspicion,
    Verdict,
)
from homeostat.base.units import SECOND, TimeNs
from homeostat.detect import vae_file
from homeostat.detect.encoded import CONFIDENCE, SIGNALS, STATE_CLASSES, Encoded, EncodedState
from homeostat.detect.fused import BELONGS
from homeostat.detect.portrait import portrait
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_file import Loaded
from homeostat.detect.vae_model import fit
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.testing import build

COLUMNS = ("gateway arrival_rate", "replicas cpu_share mean", "replicas device_time_ms most")
FINE = frozenset({"m"})
ERROR, DIVERGENCE = SIGNALS


def past(seed: int, count: int) -> np.ndarray:
    """Return columns that one load moves."""
    rng = np.random.default_rng(seed)
    load = 100.0 + 10.0 * rng.standard_normal(count)
    noise = rng.standard_normal((count, 3))
    return np.asarray(np.stack([load, load / 200.0, 0.4 * load], axis=1) + noise * [1, 0.005, 0.4])


@cache
def model() -> Loaded:
    config = Config(rounds=0, components=8, latent=2, window=2, spacing=2, run_length=1e3)
    fitted = fit(config, past(1, 3000), np.ones(3000, dtype=bool))
    return vae_file.load(vae_file.save(fitted, config, COLUMNS))


def tick(number: int, row: np.ndarray, **changes: object) -> Evidence:
    rate, cpu, device = row.tolist()
    values: dict[tuple[str, str], float | None] = {(names.GATEWAY, names.ARRIVAL_RATE): rate}
    for slot in ("a-1", "a-2", "a-3", "b-1"):
        values[names.replica(slot), names.CPU_SHARE] = cpu
        values[names.replica(slot), names.DEVICE_TIME] = device
    at = TimeNs(build.START + number * SECOND)
    return build.evidence(at, number, values=values, **changes)


class Loop:
    """Feeds one deployment."""

    def __init__(self) -> None:
        self.part = Encoded({"m": model()})
        self.state, self.number = self.part.init(), 0

    def see(
        self, rows: np.ndarray, busy: frozenset[str] = frozenset(), **changes: object
    ) -> list[Evidence]:
        """Feed rows and return the evidence with the scores."""
        out: list[Evidence] = []
        for row in rows:
            self.number += 1
            seen = (tick(self.number, row, **changes),)
            self.state, after = self.part.step(self.state, seen, FINE - busy, busy)
            out += after
        return out


def reading(one: Evidence, signal: str) -> Reading:
    (found,) = [each for each in one.readings if each.signal == signal]
    return found


def broken(seed: int, count: int) -> np.ndarray:
    """Return rows in which the processors no longer follow the load."""
    rows = past(seed, count)
    rows[:, 1] = 0.5 - (rows[:, 1] - 0.5)
    return rows


def elsewhere(seed: int, count: int) -> np.ndarray:
    """Return rows in which all is as it belongs together, at a load never seen."""
    return past(seed, count) * 1.8


def test_a_healthy_deployment_has_two_healthy_scores_and_wakes_nobody() -> None:
    seen = Loop().see(past(2, 60))
    for one in seen[2:]:
        for signal in SIGNALS:
            found = reading(one, signal)
            assert found.verdict is Verdict.HEALTHY
            assert found.subject == names.MODEL
        assert one.suspicions == ()
        assert one.anomalies == ()
        order = [(each.subject, each.signal) for each in one.readings]
        assert order == sorted(order)


@pytest.mark.parametrize(("rows", "signal"), [(broken, ERROR), (elsewhere, DIVERGENCE)])
def test_either_score_wakes_the_policy(rows: object, signal: str) -> None:
    loop = Loop()
    loop.see(past(3, BELONGS + 10))
    seen = loop.see(rows(4, 30))  # type: ignore[operator]
    woken = [one for one in seen if one.suspicions]
    assert woken
    first = woken[0].suspicions[0]
    assert (first.family, first.subject) == (Family.UNCLEAR, names.MODEL)
    assert first.confidence == CONFIDENCE > UNLIKE_ITSELF
    claims = {each.signal for one in woken for each in one.anomalies if each.detector == "vae"}
    assert signal in claims
    words = " ".join(woken[-1].suspicions[0].because)
    assert signal.replace("_", " ") in words
    assert "no rule says why" in words


def test_of_two_scores_each_has_its_own_verdict() -> None:
    loop = Loop()
    loop.see(past(3, 40))
    seen = loop.see(broken(4, 30))
    lasts = [reading(one, ERROR).verdict for one in seen]
    other = [reading(one, DIVERGENCE).verdict for one in seen]
    assert Verdict.ANOMALOUS in lasts
    assert lasts != other


def test_what_a_rule_knows_is_not_said_again_and_what_follows_it_belongs_to_it() -> None:
    known = Suspicion(family=Family.LOAD, subject="gateway", confidence=0.8, because=("much",))
    loop = Loop()
    loop.see(past(3, BELONGS + 10))
    seen = loop.see(elsewhere(4, 30), suspicions=(known,))
    assert all(one.suspicions == (known,) for one in seen)
    assert loop.see(elsewhere(5, 10))[-1].suspicions == ()
    again = Loop()
    again.see(past(3, BELONGS + 10))
    again.see(past(6, 2), busy=FINE)
    assert all(one.suspicions == () for one in again.see(elsewhere(4, BELONGS - 3)))


def test_a_weaker_suspicion_of_the_score_alone_does_not_silence_it() -> None:
    faint = Suspicion(
        family=Family.UNCLEAR, subject="model", confidence=UNLIKE_ITSELF, because=("odd",)
    )
    loop = Loop()
    loop.see(past(3, BELONGS + 10))
    seen = loop.see(elsewhere(4, 30), suspicions=(faint,), slo_met=True)
    assert [one.confidence for one in seen[-1].suspicions] == [CONFIDENCE, UNLIKE_ITSELF]


def test_what_is_not_known_is_unknown_and_a_stranger_is_left_alone() -> None:
    loop = Loop()
    loop.see(past(3, 40))
    one = tick(99, past(4, 1)[0])
    gone = tuple(each for each in one.readings if each.signal != names.CPU_SHARE)
    stranger = replace(one, deployment="n")
    _, (said, other) = loop.part.step(
        loop.state, (replace(one, readings=gone), stranger), FINE, frozenset()
    )
    assert other == stranger
    for signal in SIGNALS:
        found = reading(said, signal)
        assert (found.verdict, found.quality, found.value) == (
            Verdict.UNKNOWN, Quality.MISSING, None,
        )  # fmt: skip
    assert said.suspicions == ()
    assert portrait(()) == {}


def test_its_state_goes_on_bit_for_bit() -> None:
    whole, half = Loop(), Loop()
    rows = np.concatenate([past(3, 50), elsewhere(4, 20)])
    expected = whole.see(rows)[40:]
    half.see(rows[:40])
    kept = from_bytes(to_bytes(half.state), STATE_CLASSES)
    assert isinstance(kept, EncodedState)
    rest = Loop()
    rest.state, rest.number = kept, 40
    assert rest.see(rows[40:]) == expected
