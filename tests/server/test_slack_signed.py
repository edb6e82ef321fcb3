"""Slack's signature, against the example in Slack's own documentation."""

import pytest

from homeostat.server.slack_signed import WINDOW_S, refusal, signature

# docs.slack.dev/authentication/verifying-requests-from-slack
SECRET = b"8f742231b10e8888abcd99yyyzzz85a5"
STAMP = "1531420618"
BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
    b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SAID = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
NOW = 1531420618.0


def why(**other: object) -> str:
    good = {"stamp": STAMP, "said": SAID, "body": BODY, "now_s": NOW}
    return refusal(SECRET, **(good | other))  # type: ignore[arg-type]


def test_slacks_own_example_is_slacks() -> None:
    assert signature(SECRET, STAMP, BODY) == SAID
    assert why() == ""


@pytest.mark.parametrize("moved", [-WINDOW_S, WINDOW_S])
def test_a_time_at_the_edge_of_the_window_is_good_and_beyond_it_is_not(moved: int) -> None:
    assert why(now_s=NOW + moved) == ""
    assert "from ours" in why(now_s=NOW + moved + (1 if moved > 0 else -1))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"body": BODY + b"&"}, "not made with our signing secret"),
        ({"body": b""}, "not made with our signing secret"),
        ({"stamp": "1531420619"}, "not made with our signing secret"),
        ({"said": SAID[:-1] + "4"}, "not made with our signing secret"),
        ({"said": ""}, "no signature"),
        ({"said": SAID.upper()}, "no signature"),
        ({"said": SAID[3:]}, "no signature"),
        ({"said": "v1" + SAID[2:]}, "no signature"),
        ({"said": SAID + "\n"}, "no signature"),
        ({"stamp": ""}, "no signature"),
        ({"stamp": "-1531420618"}, "no signature"),
        ({"stamp": "1531420618.0"}, "no signature"),
        ({"stamp": "١٥٣١٤٢٠٦١٨"}, "no signature"),
        ({"stamp": "9" * 400}, "no signature"),
    ],
)
def test_what_is_changed_by_a_byte_is_not_slacks(other: dict[str, object], words: str) -> None:
    assert words in why(**other)


def test_another_secret_is_not_ours() -> None:
    said = signature(b"another-secret-of-32-characters!", STAMP, BODY)
    assert "not made with our signing secret" in why(said=said)
