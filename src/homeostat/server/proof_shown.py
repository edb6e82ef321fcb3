"""One promise as people look at it: in words, and what breaks it step by step and as a picture."""

from typing import Any

from homeostat.proof.verify import Result
from homeostat.report.policy_picture import picture
from homeostat.report.policy_words import clock, sentence


def shown(result: Result) -> dict[str, Any]:
    """Return what is shown of one promise besides its verdict."""
    steps = result.counterexample
    said = {"promise": result.promise, "why": result.why, "outage": result.outage}
    if not steps:
        return said
    title = f"{result.name}: replicas in rotation over time"
    return said | {
        "replayed": result.replayed,
        "steps": [f"{clock(step.drawn.at_ms / 1000)} {sentence(step)}" for step in steps],
        "picture": str(picture(steps, title)),
    }
