"""What a real Alertmanager makes of our alerts: one for each label set, fires, ends."""

import time
from dataclasses import replace
from pathlib import Path

import alertmanager_server as real
import pytest

from homeostat.adapters.notify.alertmanager import AlertmanagerSettings, build
from homeostat.base.bulletin import Bulletin, Question
from homeostat.base.decisions import Urgency
from homeostat.base.units import SECOND, TimeNs
from homeostat.testing.notifier import NASTY, NOTICES

pytestmark = [pytest.mark.live, real.needed]


def incident() -> Bulletin:
    at = TimeNs(int(time.time() - 60.0) * SECOND)
    return Bulletin(
        key="i-0001",
        deployment="credit",
        since=at,
        at=at,
        urgency=Urgency.INFO,
        title="replica at replica:a-2",
        because=("it is slow",),
        lasting=True,
    )


def held(url: str) -> dict[str, dict[str, str]]:
    return {one["labels"]["alertname"]: one for one in real.alerts(url)}


async def test_an_incident_fires_is_asked_and_ends_as_the_alerts_that_it_began(
    tmp_path: Path,
) -> None:
    with real.running(tmp_path) as url:
        settings = AlertmanagerSettings(
            url=url, allow=(url.removeprefix("http://"),), least=Urgency.INFO, timeout_s=60.0
        )
        made = build(settings)
        first = incident()
        question = Question(
            decision_id="d-0001", words="w", asked_at=first.at, expires_at=TimeNs(first.at + SECOND)
        )
        await made.show(first)
        (alert,) = real.alerts(url)
        assert alert["labels"]["incident"] == "i-0001"
        assert alert["annotations"]["summary"] == "replica at replica:a-2"
        assert alert["status"]["state"] == "active"
        began = alert["startsAt"]
        await made.show(replace(first, title="load at pool:a", question=question))
        await made.show(first)
        found = held(url)
        assert list(found) == ["HomeostatIncident"]  # the question ended; it is listed no more
        assert found["HomeostatIncident"]["startsAt"] == began
        assert len({one["fingerprint"] for one in real.alerts(url)}) == 1
        await made.show(replace(first, over_at=first.at))
        real.until(lambda: not real.alerts(url))
        await made.close()


async def test_what_the_kit_says_is_taken_whatever_is_in_it(tmp_path: Path) -> None:
    with real.running(tmp_path) as url:
        made = build(AlertmanagerSettings(url=url, allow=(url.removeprefix("http://"),)))
        now = TimeNs(int(time.time()) * SECOND)
        for notice in NOTICES:
            await made.notify(replace(notice, at=now))
        found = real.alerts(url)
        await made.close()
    assert {one["labels"]["incident"] for one in found} == {
        "i-0001",
        "".join(c if c.isprintable() else "?" for c in NASTY),
    }
