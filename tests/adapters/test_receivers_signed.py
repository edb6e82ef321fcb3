"""The example receivers take what is signed and fresh, and answer no to whatever else is sent."""

import hashlib
import hmac
import importlib.util
import time
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = b"0123456789abcdef0123456789abcdef"
BODY = b'{"id": "k"}'


def handler(name: str, folder: Path, headers: dict[str, str]) -> Any:
    """Return a request's handler that nobody is connected to."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    one = object.__new__(module.Handler)
    one.secret, one.headers = folder / "secret", headers
    one.secret.write_bytes(SECRET + b"\n")
    return one


def signed(stamp: str) -> str:
    digest = hmac.new(SECRET, stamp.encode() + b"." + BODY, hashlib.sha256).hexdigest()
    return f"v1={digest}"


@pytest.mark.parametrize("name", ["training_receiver", "webhook_receiver"])
@pytest.mark.parametrize(
    ("stamp", "signature", "good"),
    [
        ("now", "", True),
        ("now", "v1=\u00e9", False),
        ("now", "v1=00", False),
        ("0", "", False),
        ("", "", False),
        ("9" * 13, "", False),
        ("9" * 5_000, "", False),
        ("\u0663", "", False),
        ("-5", "", False),
    ],
)
def test_only_what_is_signed_and_fresh_is_taken(
    tmp_path: Path, name: str, stamp: str, signature: str, *, good: bool
) -> None:
    stamp = str(int(time.time())) if stamp == "now" else stamp
    headers = {
        "x-homeostat-timestamp": stamp,
        "x-homeostat-signature": signature or signed(stamp),
    }
    assert handler(name, tmp_path, headers).is_signed(BODY) is good
