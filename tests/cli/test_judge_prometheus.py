"""`homeostat judge --prometheus`: the same verdicts from the counters that a Prometheus kept."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs

import pytest
from typer.testing import CliRunner, Result
from typing_extensions import override

from homeostat.base.errors import ConfigError
from homeostat.cli.detect_layout import InputError
from homeostat.cli.exits import Exit
from homeostat.cli.judge_prometheus import asked
from homeostat.cli.main import app

STEP = 15
ASKED = re.compile(r'(hits|errors)_total\{pool="([ca])"\}\[(\d+)s\]')


class Prometheus(BaseHTTPRequestHandler):
    """An hour of two pods: 250 answers a scrape each, some of the canary's bad."""

    bad: ClassVar[float] = 2.5
    lost: ClassVar[range] = range(0)

    def do_GET(self) -> None:
        path, _, asked_for = self.path.partition("?")
        form = parse_qs(asked_for)
        assert path == "/api/v1/query", "raw samples: a range query would fill the gaps"
        found = ASKED.fullmatch(form["query"][0])
        status, answer = (200, self._answer(found, float(form["time"][0]))) if found else (400, {})
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, found: re.Match[str], until: float) -> object:
        what, pool, span = found.groups()
        rate = 250.0 if what == "hits" else self.bad if pool == "c" else 2.5
        offset = {"c": 3.7, "a": 9.2}[pool]
        begin = (until - int(span)) // STEP * STEP + STEP
        values = [
            [begin + k * STEP + offset, str(round(rate * k))]
            for k in range(int(span) // STEP - 1)
            if pool == "a" or k not in self.lost
        ]
        metric = {"__name__": f"{what}_total", "job": "m", "instance": f"{pool}-1", "pool": pool}
        result = [{"metric": metric, "values": values}]
        return {"status": "success", "data": {"resultType": "matrix", "result": result}}

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    Prometheus.bad, Prometheus.lost = 2.5, range(0)
    made = ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    thread.join(5)
    made.server_close()


def queries(**more: str) -> list[str]:
    named = {
        f"{arm}_{part}": f'{metric}_total{{pool="{pool}"}}'
        for arm, pool in (("canary", "c"), ("stable", "a"))
        for part, metric in (("total", "hits"), ("bad", "errors"))
    }
    return [f"{name}={selector}" for name, selector in (named | more).items()]


def judge(url: str, *more: str) -> Result:
    options = [word for query in queries() for word in ("--query", query)]
    return CliRunner().invoke(app, ["judge", "--prometheus", url, *options, *more, "-o", "json"])


@pytest.mark.parametrize(
    ("bad", "lost", "verdict", "code"),
    [
        (2.5, range(0), "certified", Exit.OK),
        (15.0, range(0), "harm", Exit.UNHEALTHY),
        # Gone for the last 15 minutes, while stable served: not one of them is counted as well.
        (2.5, range(180, 240), "no_evidence", Exit.NO_DATA),
        # Away for two minutes: a gap, and what stood before and after it counts.
        (15.0, range(100, 108), "harm", Exit.UNHEALTHY),
    ],
)
def test_a_prometheus_gives_the_verdicts_that_a_file_gives(
    url: str, bad: float, lost: range, verdict: str, code: Exit
) -> None:
    Prometheus.bad, Prometheus.lost = bad, lost
    result = judge(url)
    found = json.loads(result.stdout)
    assert (found["verdict"], result.exit_code) == (verdict, code)
    (errors,) = found["metrics"]
    scrapes = 238 - len(lost) - (1 if lost and lost.stop < 240 else 0)
    assert errors["canary"]["total"] == pytest.approx(250.0 * scrapes, rel=0.03)
    assert errors["stable"]["total"] == errors["canary"]["total"], "only what both were seen in"


def test_a_canary_that_prometheus_does_not_know_is_no_data(url: str) -> None:
    Prometheus.lost = range(240)
    result = judge(url)
    assert result.exit_code == Exit.NO_DATA
    assert "canary_total" in result.stderr


def test_what_cannot_be_read_says_which_query(url: str) -> None:
    words = [word for query in queries(canary_bad="rate(x[1m])") for word in ("-q", query)]
    result = CliRunner().invoke(app, ["judge", "--prometheus", url, *words])
    assert isinstance(result.exception, InputError)
    assert "canary_bad=rate(x[1m])" in str(result.exception)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (queries()[:-1], "stable needs stable_total"),
        (queries(canary_good="x"), "one of canary_bad and canary_good"),
        ([*queries(), queries()[0]], "is there twice"),
        ([*queries(), "canary_ms=x"], "needs canary_ms and stable_ms"),
        ([*queries(), "pods=x"], "write canary_total=SELECTOR"),
    ],
)
def test_a_query_too_few_or_too_many_is_named(given: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        asked("http://127.0.0.1:9090", given, 60.0, None)


def test_other_options_that_cannot_be_are_named() -> None:
    with pytest.raises(ConfigError, match="goes with --prometheus"):
        asked(None, queries(), 60.0, None)
    with pytest.raises(ConfigError, match="--minutes"):
        asked("http://127.0.0.1:9090", queries(), 0.0, None)
    with pytest.raises(ConfigError, match="password out of the address"):
        asked("http://me:secret@127.0.0.1:9090", queries(), 60.0, None)
    assert asked(None, [], 60.0, None) is None
