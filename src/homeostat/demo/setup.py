"""The demo's controller: its configuration files, its policy, and where it is found."""

import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from homeostat.base.errors import ConfigError
from homeostat.base.policy import Objective
from homeostat.demo.controller import Controller
from homeostat.demo.place import Place, free_ports
from homeostat.demo.population import sample

CONSOLE_PORT: Final = 7373
OBJECTIVE: Final = Objective(latency_p95_ms=250.0, error_ratio=0.01, accuracy=0.80)
NAME: Final = "credit"
PEOPLE: Final = "people.json"
API_VERSION: Final = "homeostat.dev/v1alpha1"


# What stands in the fit of a minute's recording as hardly known, and is known of this deployment:
# warm spares, on one machine, behind one proxy (docs/explanation/local-deployment.md).
_TWIN_ASSUMES: Final = {
    "provision_s": [0, 1],
    "load_s": [0, 1],
    "warm_s": 0,
    "cold_speed": 1,
    "write_s": [0.05, 1],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinFiles:
    """A fitted twin of the demo's deployment.

    Attributes:
        fit: Written by `homeostat twin fit`.
        check: What `homeostat twin check --output json` printed; None = it is not trusted.
    """

    fit: Path
    check: Path | None = None


def api_access() -> tuple[int, str]:
    """Return a port for the console (7373 if it is free) and a fresh token."""
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", CONSOLE_PORT))
        except OSError:
            return free_ports(1)[0], secrets.token_urlsafe(32)
    return CONSOLE_PORT, secrets.token_urlsafe(32)


def policy_file() -> Path:
    """Return the shipped policy of the demo: the checkout's, else the installed copy.

    Raises:
        ConfigError: Neither is there.
    """
    here = Path(__file__).resolve()
    places = [folder / "examples" / "policies" for folder in here.parents[2:5]]
    places.append(here.parent / "policies")
    for folder in places:
        if (folder / "demo.yaml").is_file():
            return folder / "demo.yaml"
    raise ConfigError("the demo's policy demo.yaml is not there; reinstall homeostat")


def controller(
    place: Place, port: int, token: str, *, evidence_rules: bool, twin: TwinFiles | None = None
) -> Controller:
    """Write the controller's configuration and return it, not yet started."""
    token_file = place.folder / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(token + "\n", encoding="utf-8")
    file = place.folder / "homeostat.yaml"
    model = _model(place, evidence_rules=evidence_rules)
    if twin is not None:
        model["spec"]["twin"] = _twin(twin)
    documents = (model, _controller(port))
    file.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
    return Controller(
        files=(file, policy_file()),
        journal=place.folder / "homeostat.db",
        log=place.folder / "controller.log",
        # Without the evidence rules nothing can be proved; the run shows what holding is worth.
        unproved_by="" if evidence_rules else "whoever starts the paired run",
    )


def banner(place: Place, port: int, token: str) -> dict[str, Any]:
    """Return what is printed at the start: where everything is, and what was granted."""
    policy = yaml.safe_load(policy_file().read_text(encoding="utf-8"))["spec"]
    autonomy = policy["autonomy"]
    console = f"http://127.0.0.1:{port}"
    # Commands ask port 7373 when nothing is said: another controller's, if that is taken.
    ask = "" if port == CONSOLE_PORT else f" --url {console}"
    return {
        "console": console,
        "ask": f"homeostat get decisions{ask}",
        "token": f"{token}  (asked for by every change; also in {place.folder}/token)",
        "policy": f"{policy_file().name}: cooldown {policy['cooldown']}, "
        f"persistence {policy['persistence']} scrapes",
        "granted": f"{', '.join(autonomy['auto'])} (by {autonomy['grantedBy']})",
        "retrain": "two people must say yes; two stand-ins do, and to nothing else",
        "gateway": place.gateway_url,
    }


def not_ready(place: Place) -> ConfigError:
    """Return the error for a controller that never knew what is normal, or never might act."""
    log = place.folder / "controller.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    last = f"; its last words: {lines[-1]}" if lines else ""
    return ConfigError(
        f"the controller learnt no baseline or proved no policy in time{last} (see {log})"
    )


def _model(place: Place, *, evidence_rules: bool) -> dict[str, Any]:
    features = [round(float(value), 6) for value in sample(1, 1).inputs[0]]
    spec: dict[str, Any] = {
        "mode": "auto",
        "interval": "1s",
        "target": {
            "process": {"host": place.host_url},
            "envoy": {"admin": place.envoy_admin, "weights": {"b": "traffic.b"}},
            "pools": {"stable": "a", "fallback": "b"},
        },
        "metrics": {
            "scrape": [
                {
                    "subject": "gateway",
                    "url": f"{place.relay_url}/pages/envoy",
                    "preset": "envoy",
                    "pools": ["a", "b"],
                },
                {
                    "fromReplicas": True,
                    "url": f"{place.relay_url}/pages/{{name}}",
                    "preset": "homeostat_instrument",
                },
            ]
        },
        "probe": {"model": "credit", "features": features, "expectLow": 0.0, "expectHigh": 1.0},
        "labels": {"path": "/predictions"},
        "slo": [
            {
                "name": "latency",
                "latency": {"quantile": 0.95, "below": f"{OBJECTIVE.latency_p95_ms:.0f}ms"},
            },
            {"name": "errors", "errors": {"atMost": f"{OBJECTIVE.error_ratio:.0%}"}},
            {"name": "accuracy", "accuracy": {"atLeast": f"{OBJECTIVE.accuracy:.0%}"}},
        ],
        # Stretches of two seconds, rungs of six: a demo's canary ends within a minute. It begins at
        # three requests a second: a version that fails a third of them is known within seconds, and
        # fails no more than one in a hundred of all.
        "canary": {
            "pool": "b",
            "ramp": [3, 10, 25, 50, 100],
            "bucket": "2s",
            "promoteWhen": {"maxWait": "60s", "onUnproven": "return"},
            "watch": "30s",
        },
        "objective": {"costPerReplicaHour": "2.10 USD"},
        "policy": "demo",
    }
    if place.trains:
        spec["training"] = _training(place)
        spec["canary"]["promoteWhen"]["certify"] = ["answers"]
    if not evidence_rules:
        spec["guardrails"] = {"evidenceRules": False}
    return {
        "apiVersion": API_VERSION,
        "kind": "ManagedModel",
        "metadata": {"name": NAME},
        "spec": spec,
    }


def _twin(files: TwinFiles) -> dict[str, Any]:
    # A minute is longer than any heal here, and an answer within 3 s delays none beyond its goal.
    spec: dict[str, Any] = {"fit": str(files.fit.resolve()), "horizon": "1m", "deadline": "3s"}
    if files.check is not None:
        spec["check"] = str(files.check.resolve())
    return spec | {"assume": _TWIN_ASSUMES}


def _training(place: Place) -> dict[str, Any]:
    # A drift is found in 8 s or more, and two people take 6 to answer: nobody in a window of 12 is
    # from before it, and some six hundred are people whose truth is known.
    orders = f"{place.trainer_url}/orders"
    return {
        "webhook": {
            "url": orders,
            "state": orders,
            "secretFile": place.training_secret.name,
            "allow": [f"127.0.0.1:{place.trainer_port}"],
        },
        "window": "12s",
        "within": "5m",
        "every": "1s",
        "mark": True,
    }


def _controller(port: int) -> dict[str, Any]:
    spec = {
        "api": {"host": "127.0.0.1", "port": port, "tokenFile": "token", "peopleFile": PEOPLE},
        "store": {"path": "homeostat.db"},
        "killFile": "kill",
        "notify": [{"terminal": True}],
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "Controller",
        "metadata": {"name": "controller"},
        "spec": spec,
    }
