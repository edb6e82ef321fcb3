"""What a seat of the lab has learnt, as a file: whole, its own, learnt with its own settings."""

import json
from dataclasses import replace
from typing import Any

import pytest

from homeostat.base.learning import TRAINED, Payoff, Pick
from homeostat.base.units import TimeNs
from homeostat.lab import seat_file
from homeostat.lab.learned import UntrainedError
from homeostat.lab.policies import make
from homeostat.lab.seat_file import SEATS, taught, to_bytes
from homeostat.policy import seat_learn
from homeostat.policy.seat_context import ENCODER


def learnt(name: str = "safe_canary", **changes: Any) -> str:
    pick = Pick(
        id="d-0001", at=TimeNs(1), features=tuple(ENCODER.encode({}).tolist()), arm=1,
        fraction=1.0, propensity=1.0, foreseen=(0.0, 0.0, 0.0),
    )  # fmt: skip
    payoff = Payoff(
        pick_id="d-0001", reward=-0.2, base_reward=-0.3, costs=(0.1, 0.0), base_costs=(0.2, 0.0)
    )
    return seat_learn.learn("", replace(SEATS[name], **changes), pick, payoff)


@pytest.mark.parametrize("name", SEATS)
def test_what_was_learnt_comes_back_as_it_was(name: str) -> None:
    data = to_bytes(name, learnt(name), {"episodes": 3})
    found = taught(name, {name: data})
    assert (found.learnt, found.said) == (learnt(name), {"episodes": 3})
    assert learnt(name)
    assert make(name, trained={name: data}).name == name


@pytest.mark.parametrize("name", SEATS)
def test_without_its_file_a_policy_is_refused_and_says_how_to_make_one(name: str) -> None:
    with pytest.raises(UntrainedError, match=f"homeostat lab learn {name} --out {name}.json"):
        make(name)


def spoilt(**changes: Any) -> bytes:
    plain = json.loads(to_bytes("safe_canary", learnt(), {}))
    return json.dumps(plain | changes).encode()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "none of `lab learn`"),
        (b"[]", "none of `lab learn`"),
        (b"{}", "none of `lab learn`"),
        (b'"text"', "none of `lab learn`"),
        (b"\xff\xfe", "none of `lab learn`"),
        (b'{"sha256": NaN}', "none of `lab learn`"),
        (spoilt(learnt=""), "damaged, or of another version"),
        (spoilt(format="homeostat.lab-seat/9"), "damaged, or of another version"),
        (spoilt(sha256="0" * 64), "damaged, or of another version"),
        (to_bytes("bandit", "", {}), "its file is of bandit"),
        (to_bytes("safe_canary", "homeostat.seat/2 {}", {}), "other arms, numbers or costs"),
        (to_bytes("safe_canary", "text", {}), "other arms, numbers or costs"),
        (to_bytes("safe_canary", learnt()[1:], {}), "other arms, numbers or costs"),
        (
            to_bytes("safe_canary", learnt(arms=("hold", "twin", TRAINED)), {}),
            "other arms, numbers or costs",
        ),
    ],
)
def test_what_is_no_file_of_this_seat_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(UntrainedError, match=said):
        taught("safe_canary", {"safe_canary": data})


def test_a_changed_letter_anywhere_is_found() -> None:
    data = to_bytes("safe_canary", learnt(), {"episodes": 3})
    for at in range(0, len(data) - 2, 97):
        changed = bytearray(data)
        changed[at] = ord("7") if data[at] != ord("7") else ord("8")
        try:
            found = taught("safe_canary", {"safe_canary": bytes(changed)})
        except UntrainedError:
            continue
        pytest.fail(f"byte {at} was changed, and {found} came back")


def test_the_seat_that_is_kept_safe_has_the_limits_of_the_product_and_the_other_none() -> None:
    assert seat_file.SEATS["safe_canary"].missed == 0.1
    assert seat_file.SEATS["safe_canary"].failed == 0.02
    assert min(seat_file.SEATS["bandit"].missed, seat_file.SEATS["bandit"].failed) > 1e6
