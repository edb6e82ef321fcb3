"""Reads for whoever answers for the controller: the policies in force, and the record."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from homeostat.server.api.deps import Deps
from homeostat.server.api.reads import NameQuery, find
from homeostat.server.api.schemas import Body
from homeostat.server.view_policy import built_in, policy

Text = Annotated[str, Query(max_length=100)]


class LimitOut(Body):
    """Bounds of one lever."""

    lever: str
    low: float
    high: float
    step_up: float
    step_down: float


class SettingOut(Body):
    """One setting of the guards."""

    name: str
    value: bool | int | float | None
    default: bool


class RuleOut(Body):
    """One rule: it can only forbid, or ask."""

    id: str = Field(description="`G0` to `G15`, or `own` for one of the policy's own.")
    name: str
    words: str
    require: str = Field(description="In the guard language.")
    otherwise: str
    exempt: list[str]
    kinds: list[str]


class PromiseOut(Body):
    """What became of one promise."""

    name: str
    verdict: Literal["proved", "refuted", "unknown"]
    promise: str
    why: str = Field(description="For an unknown verdict.")
    outage: str = Field(description="What one would live through, if refuted.")
    replayed: bool = Field(description="The real guards answered as the counterexample says.")
    steps: list[str]
    picture: str = Field(description="The counterexample as SVG; empty unless refuted.")


class ProofOut(Body):
    """How a policy's proof stands."""

    why: str = Field(description="Why it is not proved; empty where it is.")
    accepted_by: str = Field(description="Who answers for acting unproved; empty: nobody.")
    promises: list[PromiseOut]


class PolicyOut(Body):
    """One deployment's policy."""

    deployment: str
    mode: Literal["shadow", "approve", "auto"]
    digest: str
    granted_by: str
    auto: list[str]
    earn: list[str]
    limits: list[LimitOut]
    settings: list[SettingOut]
    rules: list[RuleOut] = Field(description="The policy's own.")
    proof: ProofOut | None = Field(description="Null where nobody proves.")


class PoliciesOut(Body):
    """Every policy in force."""

    policies: list[PolicyOut]
    built_in: list[RuleOut] = Field(description="What holds under every policy.")


class ChainOut(Body):
    """The state of the hash chain."""

    state: Literal["whole", "broken", "unknown"]
    entries: int = Field(description="The number of the last entry that was walked.")
    head: str = Field(description="Its digest.")
    problem: str


class AuditLineOut(Body):
    """One entry of the record."""

    seq: int
    at: float
    deployment: str
    kind: Literal["person", "decision", "action", "controller"]
    who: str
    what: str
    why: str
    origin: str
    digest: str


class AuditOut(Body):
    """The newest entries that were asked for."""

    chain: ChainOut
    entries: list[AuditLineOut]


def router(deps: Deps) -> APIRouter:
    """Return the routes."""
    routes = APIRouter()

    @routes.get("/v1/policies", response_model=PoliciesOut)
    async def policies(name: NameQuery = None) -> dict[str, Any]:
        """What every action must pass, by deployment: rules, settings, and who granted what."""
        states = [find(deps, name)] if name else deps.view.deployments()
        found = [
            policy(s.managed) | {"proof": deps.proofs(s.name)}
            for s in states
            if s.managed is not None
        ]
        return {"policies": found, "built_in": list(built_in())}

    @routes.get("/v1/audit", response_model=AuditOut)
    async def audit(
        name: NameQuery = None,
        kind: Literal["", "person", "decision", "action", "controller"] = "",
        words: Text = "",
        before: Annotated[int, Query(ge=0, le=2**53)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """Who did what, when, from where and why, newest first; and whether the record is whole."""
        sought = words.casefold()

        def wanted(line: dict[str, Any]) -> bool:
            return (
                (name is None or line["deployment"] == name)
                and (not kind or line["kind"] == kind)
                and sought in f"{line['who']} {line['what']} {line['why']}".casefold()
            )

        if deps.audit is None:
            nothing = {"state": "unknown", "entries": 0, "head": "", "problem": "no journal here"}
            return {"chain": nothing, "entries": []}
        return await deps.audit.read(wanted=wanted, before=before, limit=limit)

    return routes
