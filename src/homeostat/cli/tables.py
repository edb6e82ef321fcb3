"""What a person sees of the API's answers: a few telling columns instead of every key.

`--output json` and `yaml` print the answers whole; nothing here is for scripts.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from homeostat.cli.output import cell
from homeostat.cli.tables_budgets import budgets
from homeostat.cli.tables_learning import learning
from homeostat.cli.tables_tested import tested

Plain = Mapping[str, Any]
Row = dict[str, Any]

_MEGABYTE: Final = 1 << 20
_SHOWN: Final = 8  # of each history below one deployment


def deployments(rows: Sequence[Plain]) -> list[Row]:
    """Return one line for each deployment."""
    return [
        {
            "deployment": row["deployment"],
            "mode": "frozen" if row["frozen"] else row["mode"],
            "health": row["health"],
            "score": score(row["health_score"]),
            "slo": slo(row["slo_met"]),
            "p95": _number(row, "gateway", "latency_p95_ms", "{:.0f} ms"),
            "errors": _number(row, "gateway", "error_ratio", "{:.2%}"),
            "arrivals": _number(row, "gateway", "arrival_rate", "{:.0f}/s"),
            "accuracy": _number(row, "model", "accuracy", "{:.1%}"),
            "replicas": _replicas(row),
            "incidents": row["incidents_open"],
            "questions": row["pending"],
            "last_decision": _short(row["last_decision"]),
        }
        for row in rows
    ]


def incidents(rows: Sequence[Plain]) -> list[Row]:
    """Return one line for each incident."""
    return [
        {
            "id": row["id"],
            "deployment": row["deployment"],
            "fault": row["family"],
            "subject": row["subject"],
            "state": _incident_state(row),
            "opened": clock(row["opened_at"]),
            "lasted": _lasted(row["opened_at"], row["closed_at"]),
            "tries": row["tries"],
            "person": "told" if row["escalated"] else "-",
            "because": row["because"],
        }
        for row in rows
    ]


def decisions(rows: Sequence[Plain]) -> list[Row]:
    """Return one line for each decision."""
    return [
        {
            "id": row["id"],
            "deployment": row["deployment"],
            "at": clock(row["at"]),
            "choice": row["choice"],
            "action": what(row["action"]),
            "state": row["state"],
            "effect": (row["outcome"] or {}).get("effect"),
            "because": row["because"][:1],
        }
        for row in rows
    ]


def actions(rows: Sequence[Plain]) -> list[Row]:
    """Return one line for each action."""
    return [
        {
            "id": row["id"],
            "deployment": row["deployment"],
            "action": what(row["action"]),
            "state": row["state"],
            "since": clock(row["state_since"]),
            "undoable": row["undoable"],
            "effect": (row["outcome"] or {}).get("effect"),
            "change": row["action"]["change"],
        }
        for row in rows
    ]


def autonomy(rows: Sequence[Plain]) -> list[Row]:
    """Return one line for each kind of action on each deployment."""
    return [
        {
            "deployment": row["deployment"],
            "action": row["kind"],
            "mode": row["mode"],
            "runs_unasked": row["unasked"],
            "helped": f"{row['harmless']} of {row['needed']}",
            "harm_below": f"{row['harm_bound']:.1%}",
            "last_harm": clock(row["harm_at"]),
            "because": row["because"],
        }
        for row in rows
    ]


def deployment(row: Plain) -> dict[str, str | list[str]]:
    """Return everything that matters of one deployment, by name."""
    world, objective = row["world"] or {}, row["objective"] or {}
    return {
        "deployment": str(row["deployment"]),
        "mode": "frozen" if row["frozen"] else cell(row["mode"]),
        "health": str(row["health"]),
        **outlook(row),
        "objectives": [slo(row["slo_met"]), cell(objective)],
        "numbers": [_reading(one) for one in row["numbers"]] or ["-"],
        "replicas": [_replica(one) for one in world.get("replicas", ())] or ["unknown"],
        "levers": cell(world.get("levers")),
        "suspicions": [_suspicion(one) for one in row["suspicions"]] or ["-"],
        "incidents": _lines(
            incidents(row["incidents"][:_SHOWN]), "id", "state", "fault", "subject"
        ),
        "decisions": _lines(decisions(row["decisions"][:_SHOWN]), "id", "at", "choice", "action"),
        "questions": [f"{one['id']} {what(one['action'])}" for one in row["questions"]] or ["-"],
        "kill switch": str(row["kill"]),
        **budgets(row, clock),
        "seen": clock(row["at"]),
    }


def then(row: Plain) -> dict[str, str | list[str]]:
    """Return what was known when a decision was taken, by name."""
    known = row["then"]
    if known is None:
        return {"known then": "kept of the newest decisions alone; the journal has it"}
    return {
        "health score then": [score(known["health_score"]), *map(_part, known["health_parts"])],
        "objectives then": slo(known["slo_met"]),
        "suspected then": [_suspicion(one) for one in known["suspicions"]] or ["-"],
        **tested(known, clock),
        "forecasts then": _outlooks(known["forecasts"]),
    }


def moved(row: Plain) -> dict[str, str | list[str]]:
    """Return the lines that feedback had moved by a decision; nothing where none had moved."""
    lines = [f"{clock(one['at'])} {one['words']}" for one in row.get("moved", ())]
    return {"moved by feedback": lines} if lines else {}


def question(row: Plain) -> dict[str, str | list[str]]:
    """Return what a yes to an open question is bound to, by name; nothing where none is open."""
    asked = row["question"]
    if asked is None:
        return {}
    fields: dict[str, str | list[str]] = {
        "rests on": [f"{one['name']}: {one['words']}" for one in asked["seen"]],
        "changed since": asked["changed"] or ["nothing"],
    }
    if asked["needed"] > 1:
        fields["agreed"] = f"{cell(asked['agreed'])} of {asked['needed']} people"
    if asked["requested_by"]:
        fields["wanted by"] = f"{asked['requested_by']}, who may not approve it"
    return fields


def outlook(row: Plain) -> dict[str, str | list[str]]:
    """Return how a deployment is and what is ahead of it now, by name."""
    return {
        "health score now": [score(row["health_score"]), *map(_part, row["health_parts"])],
        "forecasts now": _outlooks(row["forecasts"]),
        **tested(row, clock),
    }


def incident(row: Plain) -> dict[str, str | list[str]]:
    """Return one incident, by name."""
    (line,) = incidents([row])
    return {name: list(value) if name == "because" else cell(value) for name, value in line.items()}


def _ramp(ramp: Plain | None) -> dict[str, str | list[str]]:
    """Return what each rung of a compared ramp went on from, once for each reason."""
    if ramp is None:
        return {}
    proof = {"": "nothing yet", "asked": "a person is asked"}.get(ramp["proof"], ramp["proof"])
    rungs: list[str] = []
    for one in ramp["rungs"]:
        if not any(one["reason"] in said for said in rungs):
            rungs.append(f"{clock(one['at'])} {one['state']}: {one['reason']}")
    if not ramp["beside"]:
        return {"rungs": rungs or ["-"]}
    return {
        "compared with": f"pool:{ramp['beside']}; promotion rests on: {proof}",
        "rungs": rungs or ["-"],
    }


def action(row: Plain) -> dict[str, str | list[str]]:
    """Return one action with every state it went through, by name."""
    (line,) = actions([row])
    fields: dict[str, str | list[str]] = {name: cell(value) for name, value in line.items()}
    fields["reason"] = cell(row["reason"])
    fields["steps"] = [f"{clock(s['at'])} {s['state']}: {s['reason']}" for s in row["steps"]]
    return fields


def decision(row: Plain) -> dict[str, str | list[str]]:
    """Return one decision with what was permitted, what was refused and why, by name."""
    refused = [f"{one['action']}: {why}" for one in row["refused"] for why in one["reasons"]]
    outcome, answer, chosen = row["outcome"], row["answer"], row["action"]
    fields: dict[str, str | list[str]] = {
        "decision": f"{row['id']} of {row['deployment']}, {clock(row['at'])}",
        "incident": cell(row["incident_id"]),
        "choice": f"{row['choice']} {what(chosen)}",
        "because": list(row["because"]),
    }
    if chosen:
        fields["change"] = cell(chosen["change"])
        fields["undo"] = f"{chosen['undo']}{', can be undone now' if row['undoable'] else ''}"
        fields["state"] = cell(row["state"])
    if outcome:
        fields["effect"] = str(outcome["effect"])
        fields["before"], fields["after"] = cell(outcome["before"]), cell(outcome["after"])
    if answer:
        said = "approved" if answer["approved"] else "rejected"
        fields["answer"] = f"{said} by {answer['by']}: {cell(answer['why'])}"
    if row["pending"]:
        fields["question"] = f"open until {clock(row['expires_at'])}"
    fields |= _ramp(row.get("ramp"))
    fields["considered"] = [
        f"{cell(one['score']):>6}  {one['action']}" for one in row["considered"]
    ] or ["-"]
    fields["permitted"] = list(row["allowed"])
    fields["refused"] = refused or ["-"]
    if row.get("rehearsal"):
        fields |= _rehearsal(row["rehearsal"])
    fields |= learning(row.get("learning"))
    fields["policy"] = f"{row['policy_digest'][:12]}, mode {row['mode']}"
    return fields


def _rehearsal(row: Plain) -> dict[str, str | list[str]]:
    """Return what the twin foresaw, and whether it may be believed."""
    seen = [
        f"{_place(one.get('rank'))}{one['action']}: p95 {_ends(one['foreseen']['latency_ms'])} ms, "
        f"errors {_ends(one['foreseen']['error_ratio'])}, "
        f"objectives missed {_ends(one['foreseen']['breach'])}"
        for one in row["prospects"]
    ]
    fields: dict[str, str | list[str]] = {
        "rehearsed": f"{row['horizon_s']:g} s ahead in {row['draws']} draws",
        "foreseen": seen or ["nothing"],
        "trusted": row["distrust"] or ["yes"],
    }
    return fields | ({"noted": row["notes"]} if row["notes"] else {})


def _place(rank: int | None) -> str:
    """Return a prospect's place among what is permitted; nothing where it has none."""
    return "" if rank is None else f"{rank}. "


def _ends(ends: Sequence[float | None]) -> str:
    low, mid, high = (cell(None if end is None else round(end, 4)) for end in ends)
    return f"{mid} ({low} to {high})"


def what(chosen: Plain | None) -> str:
    """Return an action as people name it."""
    return f"{chosen['kind']} {chosen['subject']}" if chosen else "-"


def slo(met: bool | None) -> str:
    """Return whether the objectives are met, in a word."""
    return "unknown" if met is None else ("met" if met else "missed")


def score(health: Plain | None) -> str:
    """Return the health score in words: what is not known is said, never a number alone.

    >>> score({"score": 70.0, "low": 30.0, "high": 100.0, "verdict": "unknown"})
    'unknown, 30 to 100'
    """
    if health is None or health["score"] is None:
        return "unknown"
    if health["verdict"] == "unknown":
        return f"unknown, {health['low']:.0f} to {health['high']:.0f}"
    return f"{health['score']:.0f}"


def clock(at: float | None) -> str:
    """Return a time on this machine's clock; with the date when that is not today's."""
    if at is None:
        return "-"
    then, now = datetime.fromtimestamp(at).astimezone(), datetime.now().astimezone()
    return then.strftime("%H:%M:%S" if then.date() == now.date() else "%Y-%m-%d %H:%M:%S")


def _number(row: Plain, subject: str, signal: str, form: str) -> str:
    found = next(
        (one for one in row["numbers"] if (one["subject"], one["signal"]) == (subject, signal)),
        None,
    )
    return "-" if found is None or found["value"] is None else form.format(found["value"])


def _replicas(row: Plain) -> str:
    ready, total = row["replicas_ready"], row["replicas_total"]
    return "unknown" if ready is None else f"{ready}/{total}"


def _short(last: Plain | None) -> str:
    if last is None:
        return "-"
    return f"{last['id']} {last['choice']} {last['kind']} {last['subject']}"


def _incident_state(row: Plain) -> str:
    if not row["open"]:
        return "closed"
    return "suspected" if row["confirmed_at"] is None else "open"


def _lasted(opened_at: float, closed_at: float | None) -> str:
    return "-" if closed_at is None else f"{closed_at - opened_at:.0f} s"


def _reading(one: Plain) -> str:
    expected = f", expected {cell(one['low'])} to {cell(one['high'])}" if one["low"] else ""
    why = f" ({one['quality']})" if one["verdict"] == "unknown" else ""
    name = f"{one['subject']} {one['signal']}"
    return f"{name:<28} {cell(one['value']):>8}  {one['verdict']}{why}{expected}"


def _replica(one: Plain) -> str:
    used, limit = one["memory_bytes"], one["memory_limit_bytes"]
    memory = "-" if used is None else f"{used / _MEGABYTE:.0f} MB"
    memory += "" if limit is None else f" of {limit / _MEGABYTE:.0f}"
    name, version = one["name"], cell(one["version"])
    return f"{name:<8} {one['state']:<9} {version:<10} restart {one['incarnation'] - 1}  {memory}"


def _part(one: Plain) -> str:
    name = f"{one['concern']} {one['subject']} {one['signal']}"
    return f"-{one['loss']:.0%} {name}: {one['because']}"


def _ahead(one: Plain) -> str:
    """Return what a series is about to do: "gateway latency_p95_ms: 3% in 5 min, ..."."""
    chances = ", ".join(
        f"{'unknown' if chance is None else f'{chance:.0%}'} in {at / 60:.0f} min"
        for at, chance in zip(one["horizons_s"], one["chances"], strict=True)
    )
    limit = "limit unknown" if one["limit"] is None else f"beyond {cell(one['limit'])}"
    likely = "" if one["likely_s"] is None else f", as likely as not in {one['likely_s']:.0f} s"
    return f"{one['subject']} {one['signal']} {limit}: {chances}{likely}"


def _outlooks(forecasts: Sequence[Plain]) -> list[str]:
    """Return what is told of forecasts: chances, and shares whose limit is in sight."""
    said = [_ahead(one) for one in forecasts if one["chances"]]
    left = [one for one in forecasts if any(at is not None for at in one["left_s"])]
    return [*said, *map(_left, left)] or ["-"]


def _left(one: Plain) -> str:
    """Return when a share is full: "replica:a memory_share full: 5% in 3 min, ..."."""
    times = ", ".join(
        f"{level} {'not in sight' if at is None else f'in {at / 60:.0f} min'}"
        for level, at in zip(("5%", "50%", "95%"), one["left_s"], strict=True)
    )
    return f"{one['subject']} {one['signal']} full: {times}"


def _suspicion(one: Plain) -> str:
    return f"{one['family']} at {one['subject']}: {cell(one['because'])}"


def _lines(rows: Sequence[Row], *names: str) -> list[str]:
    return ["  ".join(cell(row[name]) for name in names) for row in rows] or ["-"]
