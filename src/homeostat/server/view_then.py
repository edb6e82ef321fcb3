"""What was known when a decision was taken, as plain values: kept with it, for it is not of now."""

from typing import Any

from homeostat.base.evidence import Evidence
from homeostat.server import view_plain
from homeostat.server.view_drift import drift
from homeostat.server.view_health import fleetwide, forecast, health, part, promise


def then(evidence: Evidence) -> dict[str, Any]:
    """Return the health, the findings and the outlook that a decision was taken with."""
    return {
        "at": view_plain.when(evidence.at),
        "slo_met": evidence.slo_met,
        "numbers": view_plain.headline(evidence),
        "suspicions": [view_plain.suspicion(one) for one in evidence.suspicions],
        "health_score": health(evidence.health),
        "health_parts": [part(one) for one in evidence.health.parts] if evidence.health else [],
        "forecasts": [forecast(one) for one in evidence.forecasts],
        "promises": [promise(one) for one in evidence.promises],
        "fleetwide": fleetwide(evidence.fleetwide),
        "drifts": [drift(one) for one in evidence.drifts],
    }
