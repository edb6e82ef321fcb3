"""`POST /v1/judge`: the canary judge for others, such as Argo Rollouts, Flagger or a CI job.

Changes no deployment. Counters that are kept under a name can promote somebody's canary, so
keeping them takes an operator; asking takes a viewer. Not a coroutine: a batch of samples is judged
in a worker thread, not in the one that owns the view.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request

from homeostat.base.canary import CanaryConfig, CanaryJudgement
from homeostat.base.units import SECOND, TimeNs
from homeostat.govern.canary_words import GIVES_BACK, plain
from homeostat.server.api.caller import caller, may
from homeostat.server.api.judge_body import ConfigBody, JudgeBody, JudgeOut
from homeostat.server.api.judge_desk import (
    Desk,
    Kept,
    OtherConfigError,
    SilenceError,
    age_ns,
    aged,
    begin,
)
from homeostat.server.api.problems import MissingError, ProblemError
from homeostat.server.people import Role

_WORDS: Final = {
    "certified": "it is not certified",
    "no_harm": "its traffic is to go back",
    "return_traffic": "its traffic may stay",
}


def router(clock: Callable[[], TimeNs]) -> APIRouter:
    """Return the route, with its own memory of canaries.

    Args:
        clock: The controller's: what is known has an age by it.
    """
    routes, desk = APIRouter(), Desk()

    @routes.post("/v1/judge", response_model=JudgeOut)
    def judge(request: Request, body: JudgeBody) -> dict[str, object]:
        """Judge a canary from both arms' counters: pushed before under its name, or in the body.

        With `require`, the answer is 403 unless it is so. What was pushed too long ago says
        nothing: then it is `no_evidence`.
        """
        now = clock()
        kept, counted = _known(request, body, desk, now)
        judged, age = _demand(body.wish, aged(kept, now)), age_ns(kept, now)
        age_s = None if age is None else age / SECOND
        return {**plain(judged), "name": body.key, "counted": counted, "age_s": age_s}

    return routes


def _known(request: Request, body: JudgeBody, desk: Desk, now: TimeNs) -> tuple[Kept, int]:
    if not body.samples:
        return _asked(body, desk), 0
    readings = [sample.reading() for sample in body.samples]
    config = _config(body)
    try:
        if body.key is None:
            return begin(config, readings)
        may(caller(request, None), Role.OPERATOR, "keeping a canary's counters")
        said = body.config is not None
        return desk.add(body.key, readings, config, now, anew=body.begin, said=said)
    except (OtherConfigError, SilenceError) as error:
        raise ProblemError(
            HTTPStatus.CONFLICT, str(error), 'send `"begin": true` to begin anew'
        ) from error
    except ValueError as error:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, str(error), "see /openapi.json for what it takes"
        ) from error


def _asked(body: JudgeBody, desk: Desk) -> Kept:
    if body.key is None:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "there are neither samples nor the name of a canary",
            "send `samples`, or the `name` under which somebody sends them",
        )
    kept = desk.ask(body.key)
    if kept is None:
        raise MissingError("canary", body.key, desk.names())
    return kept


def _config(body: JudgeBody) -> CanaryConfig:
    try:
        return (body.config or ConfigBody.model_validate({})).config(body.bounds())
    except (ValueError, OverflowError) as error:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, str(error), "see /openapi.json for what it takes"
        ) from error


def _demand(wish: str | None, judged: CanaryJudgement | None) -> CanaryJudgement:
    """Return what is known, if there is anything and it is as the caller wishes.

    Raises:
        ProblemError: 409, there is nothing yet; 403, it is not as wished.
    """
    if judged is None:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "one sample says nothing: counters are compared from the second one on",
            "send the next sample a minute later, or both at once",
        )
    back = judged.verdict in GIVES_BACK
    met = {
        None: True,
        "certified": judged.verdict == "certified",
        "no_harm": not back,
        "return_traffic": back,
    }
    if wish is not None and not met[wish]:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            f"{_WORDS[wish]} ({judged.verdict.value}): {judged.because[0]}",
            "leave `require` out to read the whole verdict",
        )
    return judged
