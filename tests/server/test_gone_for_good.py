"""The only controller is gone for good in a canary: models serve on, and people are called.

Real parts: Envoy, process host, model servers, load, the controller, and a Prometheus with the
rules as `homeostat export rules` writes them, waits and all. Only the scrapes are quicker.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "sources"))
from prometheus_server import Server, ask, needed

from homeostat.base import codec
from homeostat.base.errors import ConfigError
from homeostat.base.events import Record
from homeostat.base.intent import ActionRecord
from homeostat.demo import faults, setup
from homeostat.demo.controller import Controller
from homeostat.demo.envoy import find_envoy
from homeostat.demo.place import Place
from homeostat.server.replaying import Kept, open_read_only

pytestmark = [
    pytest.mark.live,
    pytest.mark.long,
    pytest.mark.alone,
    pytest.mark.timeout(1200),
    needed,
]
SCRAPE_S = 5
READY_S, CALLED_S, ENDED_S = 180.0, 300.0, 120.0
MAX_WAIT = "10m"  # of the ramp; four hours unless somebody says otherwise
MAX_WAIT_S = 600.0
CALLS = {"HomeostatSilent", "HomeostatLeftInTheMiddle"}


def until(holds: Callable[[], bool], within_s: float, what: str) -> float:
    """Wait until something holds and return when it did, epoch seconds."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, f"not within {within_s:g} s: {what}"
        time.sleep(0.25)
    return time.time()


@dataclass(slots=True, kw_only=True)
class Scene:
    """A deployment, its controller, and who watches that."""

    place: Place
    controller: Controller
    prometheus: Server

    def firing(self) -> dict[str, dict[str, str]]:
        """Return the labels of what fires, by the alert's name."""
        alerts = ask(self.prometheus.url, "/api/v1/alerts")["alerts"]
        fires = [one["labels"] for one in alerts if one["state"] == "firing"]
        return {labels["alertname"]: labels for labels in fires}

    def learnt(self) -> bool:
        assert self.controller.running(), self.controller.log.read_text(encoding="utf-8")
        for _ in self.controller.news():
            pass
        return self.controller.ready

    def record(self) -> ActionRecord:
        """Return the newest version of the newest action on record."""
        opened = open_read_only(Kept(place=str(self.controller.journal)))
        try:
            facts = [codec.decode(entry.body) for entry in opened.read(kinds=("command",))]
        finally:
            opened.close()
        records = [one.fact for one in facts if isinstance(one, Record)]
        return [one for one in records if isinstance(one, ActionRecord)][-1]


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    port, token = setup.api_access()
    place = Place(folder=folder / "place", seed=1)
    place.labels_url, place.labels_token = f"http://127.0.0.1:{port}", token
    with ExitStack() as stack:
        stack.callback(place.stop)
        place.start(lambda _: None)
        controller = setup.controller(place, port, token, evidence_rules=True)
        controller.unproved_by = "a test"  # a proof would take a minute and show nothing here
        _be_patient(controller.files[0])
        controller.start()
        stack.callback(controller.stop)
        prometheus = Server(folder, _watching(folder, port))
        stack.callback(prometheus.kill)
        prometheus.start()
        yield Scene(place=place, controller=controller, prometheus=prometheus)


def _be_patient(file: Path) -> None:
    documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    documents[0]["spec"]["canary"]["promoteWhen"]["maxWait"] = MAX_WAIT
    file.write_text(yaml.safe_dump_all(documents), encoding="utf-8")


def _watching(folder: Path, port: int) -> dict[str, Any]:
    rules = subprocess.run(
        [sys.executable, "-m", "homeostat", "export", "rules"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    (folder / "rules.yml").write_text(rules.stdout, encoding="utf-8")
    every = f"{SCRAPE_S}s"
    target = {"targets": [f"127.0.0.1:{port}"]}
    return {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": [{"job_name": "homeostat", "static_configs": [target]}],
    }


def test_without_a_controller_the_share_stands_the_models_serve_and_people_are_called_in_time(
    tmp_path: Path,
) -> None:
    try:
        find_envoy()
    except ConfigError as error:
        pytest.skip(str(error))
    with scene(tmp_path) as made:
        place = made.place
        until(made.learnt, READY_S, "a controller that knows what is normal")
        heard = lambda: set(made.firing()) == {"HomeostatHeartbeat"}  # noqa: E731
        until(heard, READY_S, "a heartbeat and nothing else")
        began = time.time()
        faults.canary(place, "v2")  # what serves already: a version that does no harm
        inflight = {"query": 'homeostat_actions_inflight{deployment="credit"} == 1'}
        scraped = lambda: bool(  # noqa: E731
            ask(made.prometheus.url, "/api/v1/query", **inflight)["result"]
        )
        until(scraped, READY_S, "a Prometheus that has seen the canary")
        made.controller.kill()
        gone, share, record = time.time(), place.weight("b"), made.record()
        assert 0 < share < 100, share
        assert not record.state.is_terminal, record
        before = place.users().failed(before=gone)

        called = until(lambda: set(made.firing()) >= CALLS, CALLED_S, "somebody is called")
        firing = made.firing()
        assert "HomeostatHeartbeat" not in firing, "who listens for it is called as well"
        assert firing["HomeostatLeftInTheMiddle"]["deployment"] == "credit"
        assert {firing[name]["severity"] for name in CALLS} == {"critical"}
        assert called < began + MAX_WAIT_S, "before the ramp's time is over"
        assert place.weight("b") == share, "nobody moved it"
        log = place.users()
        lost = log.failed(after=gone)
        served = sum(log.bucket(second).answered for second in range(int(gone) + 1, int(called)))
        assert served > 1000, "nobody asked: this proves nothing"
        assert len(lost) <= 0.01 * served, (len(lost), served)

        made.controller.start()  # what the page says: start one on the same journal
        over = until(lambda: made.record().state.is_terminal, ENDED_S, "an end of the ramp")
        until(lambda: not set(made.firing()) & CALLS, ENDED_S, "all is well again")
        end = made.record()
        assert end.id == record.id
        assert place.weight("b") in {0, 100}, (place.weight("b"), end.reason)
    print(
        f"gone at {share} %; called after {called - gone:.0f} s; meanwhile {served} answered, "
        f"{len(lost)} failed ({len(before)} before); started again it ended {end.state.value} "
        f"after {over - called:.0f} s"
    )
