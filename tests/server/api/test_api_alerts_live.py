"""A real Alertmanager calls our webhook: what it sends is taken, shown, and ended by it."""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "adapters" / "notify"))
import alertmanager_server as real

from homeostat.base.units import SECOND, TimeNs
from homeostat.server.api.doors import Doors
from homeostat.server.heard import Heard
from homeostat.server.http import serve_app

TOKEN = "alerts-token-of-one-alertmanager"
CONFIG = """
route: {{receiver: homeostat, group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: homeostat
    webhook_configs:
      - url: {url}/v1/alerts
        send_resolved: true
        http_config: {{authorization: {{type: Bearer, credentials_file: {token}}}}}
"""


def said(name: str, ends_in_s: float, **labels: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": "p95 over 2 s"},
        "startsAt": (now - timedelta(minutes=1)).isoformat(),
        "endsAt": (now + timedelta(seconds=ends_in_s)).isoformat(),
    }


async def holds(heard: Heard, **wanted: bool) -> None:
    """Wait until exactly these alerts were heard, firing or not."""
    end = time.monotonic() + 60.0
    while {one.name: one.fires for one in heard.newest()} != wanted:
        assert time.monotonic() < end, heard.newest()
        await asyncio.sleep(0.1)


@pytest.mark.live
@real.needed
async def test_an_alertmanager_is_heard_from_its_first_word_to_its_last(
    bench: Any, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    bench.now = TimeNs(int(time.time()) * SECOND)
    heard = Heard()
    doors = Doors(heard=heard, alerts_token_file=tmp_path / "token")
    async with serve_app(bench.app(doors=doors)) as url:
        config = CONFIG.format(url=url, token=tmp_path / "token")
        manager = real.running(tmp_path, config=config)
        at = await asyncio.to_thread(manager.__enter__)
        try:
            both = (said("Slow", 600, deployment="credit"), said("Own", 600, source="homeostat"))
            await asyncio.to_thread(real.post, at, *both)
            await holds(heard, Slow=True)
            (alert,) = heard.newest()
            assert (alert.deployment, alert.by) == ("credit", "alertmanager")
            assert alert.summary == "p95 over 2 s"
            await asyncio.to_thread(real.post, at, said("Slow", -1, deployment="credit"))
            await holds(heard, Slow=False)
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)
    assert not bench.submitted
