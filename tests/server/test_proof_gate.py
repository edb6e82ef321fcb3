"""Nothing acts before its policy is proved, and a proof is of one policy only."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from homeostat.base.policy import Managed, Mode
from homeostat.server import proof_gate, proving
from homeostat.server.config import Config, load
from homeostat.server.proof_gate import NO_SOLVER, WAITING, ProofGate, from_bytes, to_bytes

ROOT = Path(__file__).parents[2]
PROVED = {"bounds": "proved", "floor": "proved"}


class Solver:
    """Answers at once, and remembers what it was asked."""

    def __init__(self, verdicts: Mapping[str, str] | Exception) -> None:
        self.verdicts = verdicts
        self.asked: list[proving.Subject] = []

    async def __call__(self, subject: proving.Subject) -> Mapping[str, str]:
        self.asked.append(subject)
        if isinstance(self.verdicts, Exception):
            raise self.verdicts
        return self.verdicts


def config(folder: Path, policy: str = "demo.yaml", **guardrails: object) -> Config:
    """Return the example's deployment in mode auto under a shipped policy."""
    model = yaml.safe_load((ROOT / "examples" / "managed-model.yaml").read_text().split("---")[0])
    rails = yaml.safe_load((ROOT / "examples" / "policies" / policy).read_text())
    model["spec"] |= {"mode": "auto", "policy": rails["metadata"]["name"]}
    model["spec"]["guardrails"] = guardrails
    file = folder / "one.yaml"
    file.write_text(yaml.safe_dump_all([model, rails], sort_keys=False), encoding="utf-8")
    return load([file])


def judged(gate: ProofGate, said: Config) -> Managed:
    (managed,) = said.managed(None)
    return gate.judged(managed)


async def worked(gate: ProofGate) -> None:
    """Let the gate prove what waits."""
    work = asyncio.create_task(gate.work())
    await asyncio.sleep(0.05)
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


async def test_it_is_a_shadow_until_the_proof_is_there(tmp_path: Path) -> None:
    said = config(tmp_path)
    gate = ProofGate(said.deployments, folder=tmp_path / "kept", prove=Solver(PROVED))
    before = judged(gate, said)
    assert (before.mode, before.acts, before.guard.unproved) == (Mode.AUTO, False, WAITING)
    await worked(gate)
    assert judged(gate, said) == said.managed(None)[0]
    assert judged(gate, said).acts


@pytest.mark.parametrize(
    ("verdicts", "why"),
    [
        ({"bounds": "proved", "floor": "refuted"}, "refuted: floor"),
        ({"bounds": "unknown", "floor": "proved"}, "not decided: bounds"),
        ({}, "not decided: no promise was asked about"),
        (RuntimeError("killed"), "not decided: RuntimeError: killed"),
    ],
)
async def test_anything_but_a_proof_of_everything_keeps_it_one(
    tmp_path: Path, verdicts: Mapping[str, str] | Exception, why: str
) -> None:
    said = config(tmp_path)
    gate = ProofGate(said.deployments, folder=tmp_path / "kept", prove=Solver(verdicts))
    await worked(gate)
    assert judged(gate, said).guard.unproved == why
    assert not judged(gate, said).acts


async def test_a_proof_is_kept_and_what_is_undecided_is_not(tmp_path: Path) -> None:
    said, kept = config(tmp_path), tmp_path / "kept"
    undecided = Solver({"bounds": "unknown"})
    await worked(ProofGate(said.deployments, folder=kept, prove=undecided))
    first = Solver(PROVED)
    await worked(ProofGate(said.deployments, folder=kept, prove=first))
    again = Solver(PROVED)
    gate = ProofGate(said.deployments, folder=kept, prove=again)
    assert judged(gate, said).acts
    await worked(gate)
    assert (len(first.asked), len(again.asked)) == (1, 0)


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "[]", "1", '{"key": "other", "verdicts": {"bounds": "proved"}}']
)
async def test_a_spoilt_proof_is_none(tmp_path: Path, text: str) -> None:
    said, kept = config(tmp_path), tmp_path / "kept"
    await worked(ProofGate(said.deployments, folder=kept, prove=Solver(PROVED)))
    (file,) = kept.iterdir()
    file.write_text(text, encoding="utf-8")
    gate = ProofGate(said.deployments, folder=kept, prove=Solver(PROVED))
    assert not judged(gate, said).acts
    await worked(gate)
    assert judged(gate, said).acts


async def test_what_was_refuted_in_an_earlier_life_is_said_again(tmp_path: Path) -> None:
    said, kept = config(tmp_path), tmp_path / "kept"
    refuted = Solver({"floor": "refuted"})
    await worked(ProofGate(said.deployments, folder=kept, prove=refuted))
    with capture_logs() as lines:
        await worked(ProofGate(said.deployments, folder=kept, prove=refuted))
    assert [(line["effect"], line["why"]) for line in lines] == [("a shadow", "refuted: floor")]
    assert len(refuted.asked) == 1


async def test_a_changed_policy_waits_for_a_proof_of_its_own(tmp_path: Path) -> None:
    said = config(tmp_path)
    gate = ProofGate(said.deployments, folder=tmp_path / "kept", prove=Solver(PROVED))
    await worked(gate)
    changed = config(tmp_path, cooldown="6 scrapes")
    gate.heed(changed.deployments)
    assert judged(gate, changed).guard.unproved == WAITING
    await worked(gate)
    assert judged(gate, changed).acts


async def test_a_freeze_or_a_mode_is_no_other_policy(tmp_path: Path) -> None:
    said = config(tmp_path)
    solver = Solver(PROVED)
    gate = ProofGate(said.deployments, folder=tmp_path / "kept", prove=solver)
    await worked(gate)
    (entry,) = said.deployments
    frozen = replace(entry.managed.guard, frozen=True)
    gate.heed([replace(entry, managed=replace(entry.managed, mode=Mode.APPROVE, guard=frozen))])
    await worked(gate)
    assert len(solver.asked) == 1


async def test_without_a_solver_nothing_acts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "installed", lambda: False)
    said = config(tmp_path)
    gate = ProofGate(said.deployments, folder=tmp_path / "kept")
    await worked(gate)
    assert judged(gate, said).guard.unproved == NO_SOLVER


async def test_a_person_may_answer_for_a_test_run(tmp_path: Path) -> None:
    said = config(tmp_path, evidenceRules=False)
    refuted = Solver({"blind": "refuted"})
    gate = ProofGate(said.deployments, folder=tmp_path, prove=refuted, accepted_by="ann")
    await worked(gate)
    assert judged(gate, said).acts


@pytest.mark.parametrize("policy", ["demo.yaml", "good/two-an-hour.yaml", "bad/trap.yaml"])
def test_the_prover_is_told_the_very_policy(tmp_path: Path, policy: str) -> None:
    (entry,) = config(tmp_path, policy).deployments
    subject = proving.subject_of(entry)
    told = from_bytes(to_bytes(subject))
    assert told == replace(subject, rails=told.rails)
    assert (told.rails.never or ()) == (subject.rails.never or ())
    assert proof_gate.digest(told) == proof_gate.digest(subject)


@pytest.mark.slow
async def test_the_demos_policy_is_proved_in_a_process_of_its_own(tmp_path: Path) -> None:
    (entry,) = config(tmp_path).deployments
    verdicts = await proof_gate.prove_apart(proving.subject_of(entry))
    assert len(verdicts) > 20
    assert set(verdicts.values()) == {"proved"}


@pytest.mark.slow
async def test_a_prover_that_is_no_longer_wanted_is_ended(tmp_path: Path) -> None:
    (entry,) = config(tmp_path).deployments
    work = asyncio.create_task(proof_gate.prove_apart(proving.subject_of(entry)))
    await asyncio.sleep(0.3)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(work, 10.0)


@pytest.mark.slow
async def test_what_breaks_a_policy_is_kept_with_its_picture(tmp_path: Path) -> None:
    said, kept = config(tmp_path, "bad/one-by-one.yaml"), tmp_path / "kept"
    gate = ProofGate(said.deployments, folder=kept)
    (entry,) = said.deployments
    waiting = gate.shown(entry.name)
    assert waiting == {"why": WAITING, "accepted_by": "", "promises": []}
    work = asyncio.create_task(gate.work())
    while (gate.shown(entry.name) or {})["why"] == WAITING:  # noqa: ASYNC110 - a process, no flag
        await asyncio.sleep(0.05)
    work.cancel()
    for shower in (gate, ProofGate(said.deployments, folder=kept)):  # and after a restart
        found = shower.shown(entry.name)
        assert found is not None
        assert found["why"].startswith("refuted")
        broken = [one for one in found["promises"] if one["verdict"] == "refuted"]
        assert broken
        for one in broken:
            assert one["replayed"]
            assert one["steps"]
            assert one["picture"].startswith("<svg ")
            assert one["promise"]


@pytest.mark.slow
def test_a_prover_ends_with_who_asked(tmp_path: Path) -> None:
    """Whoever is killed closes its pipes; a proof that nobody waits for burns no processor."""
    (entry,) = config(tmp_path).deployments
    done = subprocess.run(
        [sys.executable, "-m", "homeostat.server.proof_child"],
        input=to_bytes(proving.subject_of(entry)) + b"\n",
        stdout=subprocess.PIPE,
        timeout=60.0,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")
