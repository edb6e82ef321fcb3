"""What Ray Serve does with what it is told: held against a real one, and against the stand-in.

Each of these is a reason for something that the actuator does or leaves alone.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from ray_server import asked

WAIT_S = 120.0
CODE = "ray_app:app"


def model(**said: Any) -> dict[str, Any]:
    """Return the deployment as a configuration lists it."""
    settings = {"num_replicas": 1, "max_ongoing_requests": 8, "user_config": batch(4)}
    return {"name": "Model", **settings, **said}


def batch(size: int) -> dict[str, Any]:
    return {"batching": {"max_batch_size": size}, "unit": "rows"}


def config(*deployments: dict[str, Any], port: int = 8000, others: int = 1) -> dict[str, Any]:
    """Return a configuration of `chat`, and of other applications beside it."""
    chat = {"name": "chat", "route_prefix": "/chat", "import_path": CODE}
    beside = [
        {"name": f"other{n}", "route_prefix": f"/other{n}", "import_path": CODE}
        | {"deployments": [model(user_config=batch(1))]}
        for n in range(others)
    ]
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": port},
        "applications": [{**chat, "deployments": list(deployments or (model(),))}, *beside],
    }


class Ways:
    """One Serve, asked as its operator would."""

    def __init__(self, url: str, token: str, port: int) -> None:
        self.url, self.token, self.port = url, token, port

    def put(self, *deployments: dict[str, Any], others: int = 1) -> int:
        told = config(*deployments, port=self.port, others=others)
        return asked(self.url, told, token=self.token)[0]

    def app(self, name: str = "chat") -> dict[str, Any]:
        status, said = asked(self.url, token=self.token)
        assert status == 200, said
        found: dict[str, Any] = said["applications"].get(name, {})
        return found

    def beside(self) -> int:
        """Return how many applications there are beside `chat`."""
        status, said = asked(self.url, token=self.token)
        assert status == 200, said
        return len(said["applications"]) - 1

    def part(self, name: str = "chat") -> dict[str, Any]:
        found: dict[str, Any] = self.app(name).get("deployments", {}).get("Model", {})
        return found

    def replicas(self, name: str = "chat") -> set[str]:
        return {one["replica_id"] for one in self.part(name).get("replicas", ())}

    def settled(self, replicas: int = 1, name: str = "chat", **settings: Any) -> set[str]:
        """Wait for settings in force and for replicas that run; return these."""

        def there() -> bool:
            part = self.part(name)
            states = [one["state"] for one in part.get("replicas", ())]
            real = part.get("deployment_config", {})
            return states == ["RUNNING"] * replicas and settings.items() <= real.items()

        self.until(there)
        return self.replicas(name)

    def until(self, there: Callable[[], bool]) -> None:
        give_up = time.monotonic() + WAIT_S
        while not there():
            assert time.monotonic() < give_up, asked(self.url, token=self.token)
            time.sleep(0.05)


def play(ways: Ways) -> None:
    """Demand what the actuator rests on; ends as it began, with one replica of `chat`.

    Raises:
        AssertionError: Serve does otherwise.
    """
    assert ways.put() == 200
    first = ways.settled()
    neighbour = ways.settled(name="other0")

    # A setting is in force without a new replica, and the neighbours do not notice.
    assert ways.put(model(user_config=batch(16), surprise=1)) == 200
    assert ways.settled(user_config=batch(16)) == first
    assert ways.replicas("other0") == neighbour
    asked_for = ways.app()["deployed_app_config"]["deployments"][0]
    assert "surprise" not in asked_for  # what Ray does not know, it drops: no place for a stamp
    assert asked_for["user_config"] == batch(16)

    # More replicas: the first one stays.
    assert ways.put(model(num_replicas=2)) == 200
    assert first < ways.settled(2, num_replicas=2)

    # What is taken out goes back to what the code says (2.60; earlier ones kept it), so that a
    # write has to repeat all that others set.
    listed = {key: value for key, value in model().items() if key != "num_replicas"}
    assert ways.put(listed) == 200
    ways.until(lambda: "num_replicas" not in ways.app()["deployed_app_config"]["deployments"][0])
    assert len(ways.settled(1)) == 1
    assert ways.part()["target_num_replicas"] == 1
    assert ways.put(model()) == 200
    assert len(ways.settled(1, num_replicas=1)) == 1

    # A refusal changes nothing.
    before = ways.app()["deployed_app_config"]
    assert ways.put(model(autoscaling_config={"min_replicas": 1, "max_replicas": 2})) == 400
    assert ways.put(model(num_replicas=0)) == 400
    assert ways.put(model(max_ongoing_requests=0)) == 400
    assert ways.app()["deployed_app_config"] == before

    # The floor moves the replicas; adding a scaler is another version of the code to Ray.
    old = ways.replicas()
    scaled = {key: value for key, value in model().items() if key != "num_replicas"}
    bounds = {"min_replicas": 1, "max_replicas": 3, "downscale_delay_s": 600}
    assert ways.put({**scaled, "autoscaling_config": bounds}) == 200
    ways.until(lambda: bool(ways.replicas()) and not ways.replicas() & old)
    kept = ways.settled(1)
    assert ways.put({**scaled, "autoscaling_config": bounds | {"min_replicas": 2}}) == 200
    assert kept < ways.settled(2)

    # What is left out is deleted.
    assert ways.put(others=0) == 200
    ways.until(lambda: ways.app("other0") == {})
    ways.settled(1)
