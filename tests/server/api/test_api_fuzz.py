"""The API is what its OpenAPI document says, for requests that fit it and for those that do not."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from homeostat.base.units import SECOND
from homeostat.server.api import roles


@pytest.mark.slow
@pytest.mark.parametrize("inputs", ["positive", "negative"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the fuzzer's own, about its transport
def test_no_request_finds_a_server_error_or_an_undocumented_answer(bench: Any, inputs: str) -> None:
    import schemathesis  # noqa: PLC0415 - half a second, which every worker would spend on it

    mode = schemathesis.GenerationMode(inputs)
    bench.tell("fraud")
    schema = schemathesis.openapi.from_asgi("/openapi.json", bench.app())
    answers: Counter[int] = Counter()
    found: list[Any] = list(schema.exclude(path="/v1/events").get_all_operations())
    operations = [result.ok() for result in found]
    for operation in operations:
        if inputs == "positive" or list(operation.iter_parameters()) or operation.body:
            _fuzz(bench, operation, mode, answers)  # without input there is no wrong input
    tried = {f"{operation.method.upper()} {operation.path}" for operation in operations}
    assert tried == {route for route in roles.ROUTES if "/v1/" in route} - {"GET /v1/events"} | {
        "GET /metrics"
    }
    assert answers[200] + answers[202] > 0 or inputs == "negative"
    assert answers[422] > 0 or inputs == "positive"
    assert not any(status >= 500 for status in answers)


def _fuzz(bench: Any, operation: Any, mode: Any, answers: Counter[int]) -> None:
    from schemathesis.checks import not_a_server_error  # noqa: PLC0415 - as above
    from schemathesis.specs.openapi import checks  # noqa: PLC0415 - as above

    wanted = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]

    @settings(
        max_examples=10,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(case=operation.as_strategy(mode))
    def fuzz(case: Any) -> None:
        bench.now += 60 * SECOND  # the rate limit has its own test
        response = case.call(headers=bench.auth)
        answers[response.status_code] += 1
        case.validate_response(response, checks=wanted)

    fuzz()
