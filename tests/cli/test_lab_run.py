"""A comparison of policies: it resumes, keeps nothing that is stale, and writes what it found."""

import csv
import functools
import json
import math
import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import yaml
from pool_by_hand import Inline
from typing_extensions import override

from homeostat.cli import lab_episode, lab_files, lab_run
from homeostat.cli.lab_pool import Pool, WorkerError
from homeostat.cli.lab_run import FailedRunError, Plan, Run
from homeostat.cli.lab_work import Piece, Wanted
from homeostat.lab.metrics_score import score
from homeostat.lab.shards import Options, Shard, to_plain
from homeostat.report.lab_results import from_json
from homeostat.report.strips import strip as drawn

Play = Callable[..., Any]


def scored(play: Play, policy: str, scenario: str, seed: int) -> Any:
    played = play(policy=policy, scenario=scenario, seed=seed)
    hold = play(policy="hold", scenario=scenario, seed=seed)
    return score(played.trace, hold.trace, orders=played.orders)


class Shards(Inline):
    """Plays hand-made episodes, and counts them."""

    def __init__(self, play: Play) -> None:
        super().__init__()
        self.play = play
        self.played: list[str] = []
        self.broken = ""

    @override
    def made(self, item: Piece | Wanted) -> dict[str, Any]:
        return self.shard(item.shard) if isinstance(item, Piece) else self.film(item)

    def shard(self, shard: Shard) -> dict[str, Any]:
        self.played.append(shard.label)
        if self.broken in {shard.policy, shard.label}:
            return {"error": "ValueError: no luck", "trace": "all of it", "seconds": 0.5}
        (seed,) = shard.seeds
        found = to_plain(scored(self.play, shard.policy, shard.scenario.id, seed))
        result = {"digest": shard.digest(), "policy": shard.policy, "scores": found}
        return json.loads(json.dumps({"result": result, "seconds": 1.5}))  # type: ignore[no-any-return]

    def film(self, wanted: Wanted) -> dict[str, Any]:
        self.played.append(f"film {wanted.policy}")
        scores = scored(self.play, wanted.policy, wanted.scenario.id, wanted.seed)
        summary = lab_episode.summary_of(wanted.policy, wanted.scenario, scores)
        return {"title": "a film", "picture": "<svg/>", "summary": summary, "csv": None}


@pytest.fixture
def pool(play: Play, monkeypatch: pytest.MonkeyPatch) -> Shards:
    made = Shards(play)
    monkeypatch.setattr(lab_run, "Pool", made)
    monkeypatch.setattr(lab_run, "Options", lambda **made: Options(width=1, **made))
    return made


@functools.cache
def catalogue() -> lab_files.Catalogue:
    return lab_files.catalogue(()).only(["S07", "S09"])


def plan(out: Path, *, policies: tuple[str, ...] = ("hold", "hpa"), seeds: int = 2) -> Plan:
    return Plan(
        catalogue=catalogue(),
        policies=policies,
        seeds=tuple(range(seeds)),
        out=out,
        jobs=1,
        films=1,
    )


def test_a_run_writes_results_that_come_back_and_a_report(pool: Shards, tmp_path: Path) -> None:
    outcome = Run(plan(tmp_path)).go()
    results = from_json((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results == outcome.results
    assert yaml.safe_load(yaml.safe_dump(outcome.plain())) == outcome.plain()  # `-o yaml` writes it
    assert list(results.policies) == ["hold", "hpa"]
    assert list(results.scenarios) == ["S07", "S09"]
    assert results.seeds == 2
    assert results.wall_s == 12.0  # eight shards
    assert results.policies["hpa"].metrics["uptime"].n == 4
    assert results.command == ("homeostat lab run --only S07,S09 --policies hold,hpa --seeds 2")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert results.command in html
    assert pool.played.count("film hpa") == 1


def test_the_table_has_a_row_for_each_policy_with_intervals(pool: Shards, tmp_path: Path) -> None:
    rows = Run(plan(tmp_path)).go().rows()
    assert [row["policy"] for row in rows] == ["hold", "hpa"]
    assert " to " in rows[1]["uptime"]
    assert rows[1]["share_of_oracle"] == "-"  # the oracle did not run


def test_a_run_that_was_broken_off_is_taken_up(pool: Shards, tmp_path: Path) -> None:
    pool.fail_after = 3
    with pytest.raises(KeyboardInterrupt):
        Run(plan(tmp_path)).go()
    assert not (tmp_path / "results.json").exists()
    assert len(list((tmp_path / "shards").iterdir())) == 3
    pool.fail_after = 10**9
    Run(plan(tmp_path)).go()
    shards = [name for name in pool.played if not name.startswith("film")]
    assert len(shards) == len(set(shards)) == 8


def test_one_more_policy_plays_its_own_shards_alone(pool: Shards, tmp_path: Path) -> None:
    Run(plan(tmp_path)).go()
    pool.played.clear()
    found = Run(plan(tmp_path, policies=("hold", "hpa", "threshold"))).go().results
    shards = [name for name in pool.played if not name.startswith("film")]
    assert len(shards) == 4
    assert all(name.endswith("threshold") for name in shards)
    assert list(found.policies) == ["hold", "hpa", "threshold"]


def test_hold_is_played_before_all_else_and_is_in_the_report_only_if_asked_for(
    pool: Shards, tmp_path: Path
) -> None:
    found = Run(plan(tmp_path, policies=("threshold", "hpa"))).go().results
    shards = [name.rpartition(" ")[2] for name in pool.played if not name.startswith("film")]
    assert shards == ["hold"] * 4 + ["threshold", "hpa"] * 4
    assert list(found.policies) == ["threshold", "hpa"]


def test_a_policy_that_fails_names_itself_and_loses_nothing_of_the_others(
    pool: Shards, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool.broken = "S09 1-1 hpa"
    outcome = Run(plan(tmp_path, policies=("hold", "hpa", "threshold"))).go()
    assert list(outcome.results.policies) == ["hold", "threshold"]
    assert outcome.failed == {"hpa": "S09 1-1 hpa: ValueError: no luck"}
    assert "S09 1-1 hpa failed (ValueError: no luck)" in capsys.readouterr().err
    (kept,) = (tmp_path / "shards").glob("S09_1-1_hpa_*.error.txt")
    assert kept.read_text(encoding="utf-8") == "all of it"
    pool.played.clear()
    pool.broken = ""
    again = Run(plan(tmp_path, policies=("hold", "hpa", "threshold"))).go()
    assert [name for name in pool.played if not name.startswith("film")] == ["S09 1-1 hpa"]
    assert list(again.results.policies) == ["hold", "hpa", "threshold"]


def test_a_run_in_which_every_policy_fails_says_how_the_first_did(
    pool: Shards, tmp_path: Path
) -> None:
    pool.broken = "hpa"
    with pytest.raises(FailedRunError, match=r"no policy of hpa .* S07 0-0 hpa: ValueError"):
        Run(plan(tmp_path, policies=("hpa",))).go()
    assert not (tmp_path / "results.json").exists()


def test_a_finished_run_plays_nothing_again(pool: Shards, tmp_path: Path) -> None:
    first = Run(plan(tmp_path)).go().results
    pool.played.clear()
    again = Run(plan(tmp_path)).go().results
    assert pool.played == []
    assert again.policies == first.policies


def test_more_seeds_take_up_the_ones_that_are_there(pool: Shards, tmp_path: Path) -> None:
    Run(plan(tmp_path)).go()
    pool.played.clear()
    Run(plan(tmp_path, seeds=3)).go()
    shards = [name for name in pool.played if not name.startswith("film")]
    assert shards == ["S07 2-2 hold", "S09 2-2 hold", "S07 2-2 hpa", "S09 2-2 hpa"]


def test_what_another_program_computed_is_never_taken_up(
    pool: Shards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Run(plan(tmp_path)).go()
    pool.played.clear()
    monkeypatch.setattr(lab_files, "code_digest", lambda: "another program")
    Run(plan(tmp_path)).go()
    assert len([name for name in pool.played if not name.startswith("film")]) == 8


def test_people_who_are_twice_as_slow_are_another_run_that_says_so(
    pool: Shards, tmp_path: Path
) -> None:
    Run(plan(tmp_path)).go()
    pool.played.clear()
    slower = Run(replace(plan(tmp_path), person_scale=2.0)).go().results
    assert len([name for name in pool.played if not name.startswith("film")]) == 8
    assert slower.command.endswith(" --person-scale 2")


@pytest.mark.slow
def test_a_damaged_shard_is_played_again_however_it_was_damaged(
    pool: Shards, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = plan(tmp_path, seeds=4)
    Run(wanted).go()
    pool.played.clear()
    files = sorted((tmp_path / "shards").glob("S*"))
    plain = json.loads(files[6].read_text(encoding="utf-8"))
    del plain["result"]["scores"]["service"]["usd"]
    lacking = json.dumps(plain)
    for file, text in zip(
        files, ("", "{", '{"result": {}}', '{"seconds": 1}', "[]", "null", lacking), strict=False
    ):
        file.write_text(text, encoding="utf-8")
    Run(wanted).go()
    assert len(pool.played) == 7
    said = capsys.readouterr().err
    assert [file.name for file in files[:7] if file.name not in said] == []


def test_the_program_is_another_one_when_a_room_changes_that_results_rest_on(
    tmp_path: Path,
) -> None:
    for room in ("lab", "twin", "server"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "part.py").write_text("one = 1\n", encoding="utf-8")
    before = lab_files.digest_of(tmp_path)
    (tmp_path / "server" / "part.py").write_text("one = 2\n", encoding="utf-8")
    assert lab_files.digest_of(tmp_path) == before
    (tmp_path / "twin" / "part.py").rename(tmp_path / "twin" / "other.py")
    renamed = lab_files.digest_of(tmp_path)
    (tmp_path / "lab" / "part.py").write_text("one = 2\n", encoding="utf-8")
    assert len({before, renamed, lab_files.digest_of(tmp_path)}) == 3


def test_progress_without_a_terminal_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with lab_run.progress("shards", 40, 10) as advance:
        for number in range(30):
            advance(f"S07 {number}")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 15
    assert said[-1] == "40 of 40 shards: S07 29"


# One episode.


def test_what_a_decision_changed_is_said_in_words(play: Play) -> None:
    played = play()
    assert lab_episode.changes(played, 15) == "replicas 2 1 0 to 4 1 0, restart 2"
    assert lab_episode.changes(played, 20) == "nothing new"
    assert lab_episode.changes(played, 39) == "at the end"


def test_the_picture_shows_fault_action_page_and_code_where_they_were(play: Play) -> None:
    played, hold = play(), play(policy="hold")
    scores = score(played.trace, hold.trace, orders=played.orders)
    strip = lab_episode.strip_of("S07", played, scores)
    assert list(strip.faults) == [(200.0, 400.0)]
    marks = [(m.at_s, m.kind, m.text) for m in strip.marks if m.kind != "code"]
    assert marks == [
        (240.0, "action", "replicas 2 1 0 to 4 1 0, restart 2"),
        (300.0, "person", "a person is told: load"),
    ]
    assert strip.lines["ready"].tolist() == [3.0] * 600
    assert (strip.p99_limit_s, strip.quality_floor, strip.budget_usd_per_hour) == pytest.approx((
        0.5,
        0.85,
        8.0,
    ))


def test_the_trace_has_a_row_for_each_second_and_nothing_where_nothing_is_known(
    play: Play,
) -> None:
    rows = list(csv.DictReader(StringIO(lab_episode.csv_of(play()))))
    assert len(rows) == 600
    assert {"good", "p99_s", "ready_a", "held_canary", "weights_b"} <= set(rows[0])
    assert rows[0]["variant_p99_s_a"] == ""
    assert (rows[199]["good"], rows[200]["good"]) == ("100", "40")
    assert [row["t_s"] for row in rows if row["decision"]] == ["240"]
    assert [row["t_s"] for row in rows if row["person_told"] == "1"] == ["300"]


def test_the_summary_says_how_it_went_and_leaves_open_what_does_not_apply(play: Play) -> None:
    scenario = catalogue().get("S07")
    held = play(policy="hold")
    said = lab_episode.summary_of("hold", scenario, score(held.trace, held.trace))
    assert said["repaired"] is True
    assert said["repair_s"] == pytest.approx(200.0)
    assert said["told_the_right_people_s"] is None
    assert said["good_share"] == pytest.approx(0.8)
    assert said["caused"] == []
    json.dumps(said, allow_nan=False)


def test_stretches_of_truth_are_found_at_both_ends() -> None:
    assert lab_episode.spans(np.array([True, False, True])) == [(0.0, 1.0), (2.0, 3.0)]
    assert lab_episode.spans(np.zeros(5, bool)) == []


def test_an_episode_leaves_its_trace_and_a_picture_with_its_own_colours(
    tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    played, hold = play(), play(policy="hold")
    scores = score(played.trace, hold.trace, orders=played.orders)

    class Given(Shards):
        @override
        def film(self, wanted: Wanted) -> dict[str, Any]:
            assert wanted.trace
            strip = lab_episode.strip_of("S07", played, scores)
            return {
                "picture": str(drawn(strip)),
                "csv": lab_episode.csv_of(played),
                "summary": lab_episode.summary_of("hpa", wanted.scenario, scores),
            }

    monkeypatch.setattr(lab_run, "Pool", Given(play))
    said = lab_run.play_one(catalogue(), "S07", "hpa", 3, tmp_path)
    picture = ET.fromstring(Path(said["picture"]).read_text(encoding="utf-8"))
    assert picture.tag.endswith("svg")
    assert Path(said["trace"]).read_text(encoding="utf-8").startswith("t_s,offered,")


# Processes.


# A worker finds only what it can import, and it cannot import tests.
@pytest.mark.slow
def test_workers_do_all_of_the_work_once(tmp_path: Path) -> None:
    with Pool(2, tmp_path) as pool:
        done = dict(pool.each(operator.neg, range(7)))
    assert done == {n: -n for n in range(7)}


@pytest.mark.slow
def test_a_worker_has_its_core_its_cache_and_no_ear_for_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    with Pool(1, tmp_path) as pool:
        assert dict(pool.each(os.getenv, names)) == dict(
            zip(names, ("cpu", str(tmp_path)), strict=True)
        )
        ((_, cores),) = pool.each(os.sched_getaffinity, [0])
        ((_, heard),) = pool.each(signal.getsignal, [signal.SIGINT])
    assert len(cores) == 1
    assert heard is signal.SIG_IGN


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_run_with_advice(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="fewer --jobs"), Pool(1, tmp_path) as pool:
        list(pool.each(os._exit, [9]))


@pytest.mark.slow
def test_an_error_in_a_worker_is_the_commands_error_and_ends_the_others(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="math domain"), Pool(2, tmp_path) as pool:
        list(pool.each(math.sqrt, [-1.0, 2.0, 3.0]))
    for _ in range(100):  # on a busy machine an end takes a moment
        if not multiprocessing.active_children():
            return
        time.sleep(0.1)
    pytest.fail("a worker outlived the error")


@pytest.mark.slow
def test_workers_end_with_the_command_even_if_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path; from time import sleep\n"
        "from homeostat.cli.lab_pool import Pool\n"
        "if __name__ == '__main__':\n"
        f"    with Pool(1, Path({str(tmp_path)!r})) as pool:\n"
        "        print(next(pool.each(os.getpgid, [0])), flush=True)\n"
        "        import multiprocessing\n"
        "        print(multiprocessing.active_children()[0].pid, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    script = tmp_path / "command.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], check=False, capture_output=True, text=True, timeout=60
    )
    worker = int(done.stdout.split()[-1])
    for _ in range(100):
        if not Path(f"/proc/{worker}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the worker outlived its command")
