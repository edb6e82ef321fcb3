"""Every source there is keeps its promises while its target is gone, silent or rude."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from homeostat import plugins
from homeostat.base.evidence import Quality
from homeostat.base.units import TimeNs
from homeostat.testing.hostile import Respond, always, hostile_server, never, response
from homeostat.testing.source import check_source

NOW = TimeNs(1_800_000_000_000_000_000)
TIMEOUT_S = 0.2
_COMMON = {"name": "s", "deployment": "credit", "timeout_s": TIMEOUT_S}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "scrape": _COMMON | {"subject": "gateway", "mapping": "envoy", "pools": ("a", "b")},
    "prometheus": _COMMON | {"subject": "gateway", "select": (("job", "envoy"),)},
    "probe": _COMMON | {"subject": "replica:a-1", "model": "credit", "features": (1.0,)},
}


async def _hang_up(_request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


TARGETS: Mapping[str, Respond] = {
    "silent": never,
    "html": always(response(b"<html>", content_type="text/html")),
    "broken": always(response(b"", status=500)),
    "elsewhere": always(response(b"", status=302, extra="location: http://127.0.0.1/\r\n")),
    "no http": always(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "hangs up": _hang_up,
    "binary": always(response(bytes(range(256)) * 50, content_type="application/octet-stream")),
}


@pytest.mark.parametrize("name", sorted(plugins.parts("source")))
@pytest.mark.parametrize("target", sorted(TARGETS))
async def test_a_source_reports_and_never_raises(name: str, target: str) -> None:
    part = plugins.part("source", name)
    assert name in SETTINGS, f"give the source {name!r} settings in SETTINGS, so that it is checked"
    async with hostile_server(TARGETS[target]) as server:
        settings = part.config(**SETTINGS[name], url=server.url("/metrics"))
        report = await check_source(lambda: part.build(settings), now=NOW, within_s=TIMEOUT_S)
    believed = [o.value for o in report.observations if o.key.signal.startswith("probe_i")]
    assert report.quality is not Quality.GOOD or believed == [0.0]


@pytest.mark.parametrize("name", sorted(plugins.parts("source")))
async def test_equal_settings_are_equal_and_hashable(name: str) -> None:
    part = plugins.part("source", name)
    one, other = (part.config(**SETTINGS[name], url="http://127.0.0.1:1/") for _ in range(2))
    assert {one: 1}[other] == 1
