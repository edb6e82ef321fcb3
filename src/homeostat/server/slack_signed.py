"""Whether a request is Slack's: the `v0` signature over its time and its raw body.

Pure: the time is an argument. An old request is refused, so that one that was recorded cannot be
sent again later; within the window an answer that is repeated does nothing (see `loop.approving`).
Source: docs.slack.dev/authentication/verifying-requests-from-slack.
"""

import hashlib
import hmac
import re
from typing import Final

WINDOW_S: Final = 300
"""How old, or how far ahead, a request's time may be. Slack's own advice."""
_STAMP: Final = re.compile(r"[0-9]{1,12}")
_SIGNATURE: Final = re.compile(r"v0=[0-9a-f]{64}")


def signature(secret: bytes, stamp: str, body: bytes) -> str:
    """Return what Slack signs a request with.

    >>> signature(b"8f742231b10e8888abcd99yyyzzz85a5", "1531420618", b"token=x")[:6]
    'v0=3ee'
    """
    signed = b"v0:" + stamp.encode("ascii") + b":" + body
    return "v0=" + hmac.new(secret, signed, hashlib.sha256).hexdigest()


def refusal(secret: bytes, *, stamp: str, said: str, body: bytes, now_s: float) -> str:
    """Return why a request is not taken for Slack's; empty if it is.

    Args:
        secret: The app's signing secret.
        stamp: `X-Slack-Request-Timestamp`, seconds.
        said: `X-Slack-Signature`.
        body: As it came, not a byte changed.
        now_s: The machine's time, seconds.
    """
    if _STAMP.fullmatch(stamp) is None or _SIGNATURE.fullmatch(said) is None:
        return "it carries no signature of Slack's"
    if abs(now_s - int(stamp)) > WINDOW_S:
        return f"its time is more than {WINDOW_S} s from ours"
    if not hmac.compare_digest(signature(secret, stamp, body).encode(), said.encode()):
        return "the signature is not made with our signing secret"
    return ""
