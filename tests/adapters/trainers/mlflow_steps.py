"""Calls of MLflow's REST API as they were recorded, played again to compare what is answered."""

import json
import sys
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))
from mlflow_pipeline import call

RECORDED: Final = Path(__file__).parent / "recorded" / "mlflow-3.17.2.json"
# Ids and times, and names that a server makes up.
_DIFFERS: Final = frozenset({
    "artifact_location", "artifact_uri", "creation_time", "creation_timestamp", "last_update_time",
    "last_updated_timestamp", "run_id", "run_name", "run_uuid", "source", "user_id",
})  # fmt: skip
# What somebody reads here: where the real server says it, the stand-in must.
_READ: Final = (
    "error_code", "registered_model", "tags", "aliases", "model_version", "model_versions", "name",
    "version", "status", "run_id", "experiment", "experiment_id", "runs", "info", "data",
    "start_time", "key", "value", "alias", "next_page_token",
)  # fmt: skip


def recorded() -> list[dict[str, Any]]:
    """Return the calls and what the real server answered, on a store that was just made."""
    steps: list[dict[str, Any]] = json.loads(RECORDED.read_text(encoding="utf-8"))["steps"]
    return steps


def play(base: str) -> list[str]:
    """Return where a fresh server answers otherwise than was recorded; empty is as it should be."""
    run, found = "", []
    for step in recorded():
        said = json.loads(json.dumps(step["said"]).replace("{run}", run))
        status, answer = call(base, step["method"], step["path"], said)
        if step["path"] == "runs/create":
            run = answer["run"]["info"]["run_id"]
        mine, real = {"status": status, "answer": answer}, {"status": step["status"]}
        found += differences(mine, real | {"answer": step["answer"]}, step["path"])
    return found


def differences(mine: Any, real: Any, where: str = "") -> list[str]:
    """Return where an answer is not what the real server answered.

    A stand-in may say less, of what nobody reads here; never more, and never otherwise.
    """
    if isinstance(mine, dict) and isinstance(real, dict):
        more = [f"{where}.{key}: only the stand-in has it" for key in mine if key not in real]
        less = [f"{where}.{key}: missing" for key in _READ if key in real and key not in mine]
        both = [key for key in mine if key in real and key not in _DIFFERS]
        inside = [
            one for key in both for one in differences(mine[key], real[key], f"{where}.{key}")
        ]
        return [*more, *less, *inside]
    if isinstance(mine, list) and isinstance(real, list):
        if where.endswith(".tags"):  # of a run, the server adds some of its own
            mine, real = (
                [one for one in tags if not one["key"].startswith("mlflow.")]
                for tags in (mine, real)
            )
        if len(mine) != len(real):
            return [f"{where}: {len(mine)} instead of {len(real)}"]
        pairs = zip(mine, real, strict=True)
        return [one for pair in pairs for one in differences(*pair, f"{where}[]")]
    return [] if mine == real else [f"{where}: {mine!r} instead of {real!r}"]
