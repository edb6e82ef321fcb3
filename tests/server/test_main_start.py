"""What `homeostat run` refuses, it refuses before it has written anything."""

import socket
from pathlib import Path

import pytest

from homeostat.adapters.stores.anchor import read_anchors
from homeostat.base.errors import ConfigError, StoreError
from homeostat.base.units import TimeNs
from homeostat.server import wiring
from homeostat.server.config import load
from homeostat.server.main import serve
from homeostat.server.planning import plan_of

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


def test_a_journal_whose_anchor_is_gone_is_started_on_only_by_the_word_of_its_error(
    tmp_path: Path,
) -> None:
    file = configured(tmp_path, API)
    opened = wiring.journal(plan_of(load([file])))
    opened.claim_epoch("first", TimeNs(1))
    opened.close()
    anchor = tmp_path / "homeostat.db.anchor"
    anchor.unlink()
    with pytest.raises(StoreError, match=r"spec\.store\.acceptMissingAnchor"):
        wiring.journal(plan_of(load([file])))
    assert not anchor.exists()
    said = "store: {path: homeostat.db, acceptMissingAnchor: true}"
    text = file.read_text(encoding="utf-8").replace("store: {path: homeostat.db}", said)
    file.write_text(text, encoding="utf-8")
    again = wiring.journal(plan_of(load([file])))
    assert again.claim_epoch("second", TimeNs(2)) == 2
    again.close()
    assert 2 in (read_anchors(anchor) or {})


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
