"""Nothing acts under a policy that is not proved: until then a deployment is a shadow.

What is to be proved is proved in a process of its own, one policy after the other, while the
controller watches and learns. A proof is kept by the digest of everything it depends on (the
settings, the rules, the prover, the solver), so the same policy is proved once on a machine.
What is refuted, or not decided in time, stays a shadow and is said loudly.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Final

import structlog

from homeostat.base import codec
from homeostat.base.policy import Managed
from homeostat.base.units import MILLISECOND
from homeostat.server import compiled, proving
from homeostat.server.config import Deployment
from homeostat.server.config.guardrails import Guardrails
from homeostat.server.config.rulings import Never
from homeostat.server.plan import ControllerPlan

log = structlog.get_logger()

Verdicts = Mapping[str, str]


class Told(dict[str, str]):
    """Verdicts by promise, and what is shown of each besides."""

    def __init__(self, verdicts: Verdicts, shown: Mapping[str, Any]) -> None:
        super().__init__(verdicts)
        self.shown = dict(shown)


WAITING: Final = "its proof is on its way"
NO_SOLVER: Final = "there is no solver; pip install 'homeostat[proof]'"
_EMPTY: Final = {
    "promise": "", "why": "", "outage": "", "replayed": False, "steps": [], "picture": "",
}  # fmt: skip
_ROOMS: Final = ("base", "safety", "proof")
_AGAIN_S: Final = 600.0  # what was not decided in time is tried again: the machine may be idle then


class ProofGate:
    """Keeps deployments from acting until their policies are proved."""

    def __init__(
        self,
        entries: Iterable[Deployment],
        *,
        folder: Path | None = None,
        prove: Callable[[proving.Subject], Awaitable[Verdicts]] | None = None,
        accepted_by: str = "",
    ) -> None:
        """Look up what is proved already.

        Args:
            entries: The deployments.
            folder: Where proofs are kept; None = the person's own cache.
            prove: Proves one policy: verdicts by promise. None = with the solver, in another
                process, if it is installed.
            accepted_by: Who answers for acting unproved, for test runs in pairs; empty = nobody.
        """
        self._folder = proofs_folder() if folder is None else folder
        self._able = prove is not None or proving.installed()
        self._prove = prove or prove_apart
        self._accepted_by = accepted_by
        self._found: dict[str, str] = {}
        self._told: set[str] = set()
        self._keys: dict[str, str] = {}
        self._subjects: dict[str, proving.Subject] = {}
        self.heed(entries)

    def heed(self, entries: Iterable[Deployment]) -> None:
        """Take over deployments as the files say them now."""
        self._keys, self._subjects = {}, {}
        for entry in entries:
            subject = proving.subject_of(entry)
            key = digest(subject)
            self._keys[entry.name] = key
            self._subjects[key] = subject
            if key not in self._found and (kept := self._kept(key)) is not None:
                self._found[key] = why_not(kept)

    def judged(self, managed: Managed) -> Managed:
        """Return a deployment as a shadow if its policy is not proved."""
        key = self._keys.get(managed.name, "")
        why = NO_SOLVER if not self._able else self._found.get(key, WAITING)
        if why and self._accepted_by:
            self._tell(f"accepted {key}", effect="acts unproved", accepted_by=self._accepted_by)
            why = ""
        return replace(managed, guard=replace(managed.guard, unproved=why))

    def shown(self, name: str) -> dict[str, Any] | None:
        """Return how a deployment's proof stands, promise by promise; None for one not known."""
        key = self._keys.get(name)
        if key is None:
            return None
        why = NO_SOLVER if not self._able else self._found.get(key, WAITING)
        kept = self._kept(key)
        told = kept.shown if isinstance(kept, Told) else {}
        promises = [
            {"name": promise, "verdict": verdict, **_EMPTY, **told.get(promise, {})}
            for promise, verdict in (kept or {}).items()
        ]
        return {"why": why, "accepted_by": self._accepted_by, "promises": promises}

    def planned(self, plan: ControllerPlan) -> ControllerPlan:
        """Return a plan in which every deployment is as `judged` says."""
        entries = tuple(
            replace(entry, managed=self.judged(entry.managed)) for entry in plan.deployments
        )
        return replace(plan, deployments=entries)

    async def work(self) -> None:
        """Prove what is not proved, until cancelled."""
        if not self._able:
            self._tell(NO_SOLVER, effect="nothing is changed before it is proved", why=NO_SOLVER)
            return
        if self._accepted_by:
            return  # nobody waits for it
        undecided: set[str] = set()
        while True:
            self._tell_refused()
            waiting = [key for key in self._subjects if key not in self._found]
            if not waiting:
                await asyncio.sleep(1.0)
                continue
            for key in waiting:
                await self._one(key, self._subjects.get(key))
                if self._found.get(key, "").startswith(UNDECIDED):
                    undecided.add(key)
            if undecided:
                asyncio.get_running_loop().call_later(_AGAIN_S, self._forget, frozenset(undecided))
                undecided.clear()

    def _forget(self, keys: frozenset[str]) -> None:
        for key in keys:
            if self._found.get(key, "").startswith(UNDECIDED):
                del self._found[key]

    async def _one(self, key: str, subject: proving.Subject | None) -> None:
        if subject is None:
            return
        try:
            verdicts = await self._prove(subject)
        except Exception as error:  # noqa: BLE001  # whatever goes wrong, it is not proved
            self._found[key] = f"{UNDECIDED} {type(error).__name__}: {error}"
        else:
            self._found[key] = why_not(verdicts)
            if not self._found[key].startswith(UNDECIDED):
                self._keep(key, verdicts)
        if not self._found[key]:
            log.info("policy", effect="proved", deployment=subject.name)

    def _tell_refused(self) -> None:
        """Name every policy that is not proved, also one that was refuted in an earlier life."""
        for key, subject in self._subjects.items():
            if why := self._found.get(key, ""):
                self._tell(key, effect="a shadow", deployment=subject.name, why=why,
                           see="homeostat policy verify")  # fmt: skip

    def _tell(self, about: str, **words: str) -> None:
        if about not in self._told:
            self._told.add(about)
            log.warning("policy", **words)

    def _kept(self, key: str) -> Verdicts | None:
        # Whatever lies there instead of a proof is none, and is made anew.
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            found = json.loads(self._file(key).read_text(encoding="utf-8"))
            if found["key"] == key and isinstance(found["verdicts"], dict) and found["verdicts"]:
                return Told(found["verdicts"], found.get("shown") or {})
        return None

    def _keep(self, key: str, verdicts: Verdicts) -> None:
        file = self._file(key)
        part = file.with_name(f".{file.name}.{os.getpid()}.part")
        with suppress(OSError):  # it is proved again next time
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            kept = {"key": key, "verdicts": dict(verdicts)}
            kept |= {"shown": verdicts.shown} if isinstance(verdicts, Told) else {}
            part.write_text(json.dumps(kept), encoding="utf-8")
            part.replace(file)

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"


UNDECIDED: Final = "not decided:"


def why_not(verdicts: Verdicts) -> str:
    """Return why verdicts are no proof; empty if they are one.

    >>> why_not({"bounds": "proved", "floor": "refuted"}), why_not({"bounds": "proved"})
    ('refuted: floor', '')
    """
    if not verdicts:
        return f"{UNDECIDED} no promise was asked about"
    refuted = [name for name, verdict in verdicts.items() if verdict == "refuted"]
    if refuted:
        return f"refuted: {', '.join(refuted)}"
    open_ = [name for name, verdict in verdicts.items() if verdict != "proved"]
    return f"{UNDECIDED} {', '.join(open_)}" if open_ else ""


def digest(subject: proving.Subject) -> str:
    """Return the SHA-256 of all that a proof depends on; the deployment's name is not among it."""
    package = Path(str(resources("homeostat")))
    try:
        solver = version("z3-solver")
    except PackageNotFoundError:
        solver = ""
    asked = [one.model_dump_json() for one in subject.rails.never or ()]
    parts = (
        codec.encode(subject.policy).hex(), subject.scrape_ns, subject.price_milli,
        subject.dearest_milli, asked, compiled.digest_of(package, _ROOMS), solver,
    )  # fmt: skip
    return sha256(repr(parts).encode()).hexdigest()


def proofs_folder() -> Path:
    """Return where proofs are kept: the person's own cache."""
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(caches) / "homeostat" / "proofs"


async def prove_apart(subject: proving.Subject) -> Verdicts:
    """Prove in a process of its own: a solver that crashes or leaks takes nothing with it.

    Raises:
        RuntimeError: It ended without an answer.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "homeostat.server.proof_child", stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    assert child.stdin is not None and child.stdout is not None  # noqa: PT018, S101 - pipes
    assert child.stderr is not None  # noqa: S101 - a pipe
    try:
        # Its input stays open: where it ends, this process is gone, and so is who wants to know.
        with suppress(ConnectionError):
            child.stdin.write(to_bytes(subject) + b"\n")
            await child.stdin.drain()
        out, talk = await asyncio.gather(child.stdout.read(), child.stderr.read())
        await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        last = (talk.decode(errors="replace").strip().splitlines() or ["nothing was said"])[-1]
        raise RuntimeError(f"the prover ended with {child.returncode}: {last}")
    found = json.loads(out)
    verdicts = {str(name): str(verdict) for name, (verdict, _) in found.items()}
    return Told(verdicts, {str(name): said for name, (_, said) in found.items()})


def to_bytes(subject: proving.Subject) -> bytes:
    """Return what the prover's process needs of a subject."""
    return json.dumps({
        "name": subject.name,
        "policy": codec.encode(subject.policy).decode(),
        "never": [_never(one) for one in subject.rails.never or ()],
        "scrape_ns": subject.scrape_ns,
        "price_milli": subject.price_milli,
        "dearest_milli": subject.dearest_milli,
    }).encode()


def from_bytes(data: bytes) -> proving.Subject:
    """Return the subject of which `to_bytes` made these."""
    said = json.loads(data)
    return proving.Subject(
        name=said["name"],
        rails=Guardrails.model_validate({"never": said["never"]}),
        policy=codec.decode(said["policy"].encode()),
        scrape_ns=said["scrape_ns"],
        price_milli=said["price_milli"],
        dearest_milli=said["dearest_milli"],
    )


def _never(one: Never) -> dict[str, object]:
    """Return a property as people write it, with its time in whole milliseconds."""
    kinds = [kind.value for kind in one.kinds]
    said: dict[str, object] = {"name": one.name, "when": one.when, "kinds": kinds}
    if one.within is not None:
        said |= {"times": one.times, "within": f"{one.within // MILLISECOND}ms"}
    return said
