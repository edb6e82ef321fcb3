"""The API is what its OpenAPI document says, for requests that fit it and for those that do not."""

from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from homeostat.base.units import SECOND

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the fuzzer's own, about its transport
def test_no_request_finds_a_server_error_or_an_undocumented_answer(
    bench: Any, mode: GenerationMode
) -> None:
    bench.tell("fraud")
    schema = schemathesis.openapi.from_asgi("/openapi.json", bench.app())
    answers: Counter[int] = Counter()
    found: list[Any] = list(schema.exclude(path="/v1/events").get_all_operations())
    operations = [result.ok() for result in found]
    for operation in operations:
        if mode is GenerationMode.POSITIVE or list(operation.iter_parameters()) or operation.body:
            _fuzz(bench, operation, mode, answers)  # without input there is no wrong input
    assert len(operations) == 15
    assert answers[200] + answers[202] > 0 or mode is GenerationMode.NEGATIVE
    assert answers[422] > 0 or mode is GenerationMode.POSITIVE
    assert not any(status >= 500 for status in answers)


def _fuzz(bench: Any, operation: Any, mode: GenerationMode, answers: Counter[int]) -> None:
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
        case.validate_response(response, checks=CHECKS)

    fuzz()
