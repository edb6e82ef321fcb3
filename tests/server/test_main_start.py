"""What `homeostat run` refuses, it refuses before it has written anything."""

import socket
from pathlib import Path

import pytest

from homeostat.base.errors import ConfigError
from homeostat.server.main import serve

EXAMPLE = Path(__file__).parents[2] / "examples" / "managed-model.yaml"
API = "api: {host: 127.0.0.1, port: 7373, tokenFile: homeostat.token}"


def configured(folder: Path, api: str) -> Path:
    """Write the example with another API, and its state in the same folder."""
    text = EXAMPLE.read_text(encoding="utf-8")
    assert API in text
    file = folder / "one.yaml"
    file.write_text(text.replace(API, api), encoding="utf-8")
    return file


@pytest.mark.parametrize("host", ["0.0.0.0", '"::"', "10.1.2.3", "example.org"])
def test_an_address_that_is_refused_leaves_nothing_behind(tmp_path: Path, host: str) -> None:
    file = configured(tmp_path, f"api: {{host: {host}, port: 0, tokenFile: homeostat.token}}")
    with pytest.raises(ConfigError, match=r"one\.yaml:\d+: spec\.api\.host.*write 127\.0\.0\.1"):
        serve((file,), once=True, quiet=True)
    assert list(tmp_path.iterdir()) == [file]


def test_a_loopback_that_the_machine_lacks_is_a_sentence_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = configured(tmp_path, 'api: {host: "::1", port: 0, tokenFile: homeostat.token}')

    def none(*_: object) -> None:
        raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr(socket.socket, "bind", none)
    with pytest.raises(ConfigError, match=r"cannot serve on ::1 .*set spec\.api\.host"):
        serve((file,), once=True, quiet=True)
    assert list(tmp_path.iterdir()) == [file]
