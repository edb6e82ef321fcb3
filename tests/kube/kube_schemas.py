"""What the published schemas of others' kinds say of the fields that are read or written here.

Written by hand from them: HTTPRoute of the Gateway API (gateway.networking.k8s.io/v1), Rollout of
Argo (argoproj.io/v1alpha1), InferenceService and LLMInferenceService of KServe (serving.kserve.io/
v1beta1 and v1alpha2). Types, bounds, required fields and defaults are theirs; what is not named is
dropped by the server, so that a field which does not exist cannot be written. Open are pods'
templates, models and filters. Rules in CEL are not there: that server knows none.
"""

from collections.abc import Mapping
from typing import Any, Final

Object = dict[str, Any]
OPEN: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
TEXT: Final = {"type": "string"}
TIME: Final = {"type": "string", "format": "date-time"}
TRUTH: Final = {"type": "boolean"}
COUNT: Final = {"type": "integer", "format": "int32"}
LONG: Final = {"type": "integer", "format": "int64"}
WEIGHT: Final = {**COUNT, "minimum": 0, "maximum": 1_000_000, "default": 1}
PORT: Final = {**COUNT, "minimum": 1, "maximum": 65_535}


def thing(*required: str, **properties: Any) -> Object:
    """Return the schema of an object that has these properties and no others."""
    found: Object = {"type": "object", "properties": properties}
    return found | {"required": list(required)} if required else found


def many(item: Object, most: int | None = None) -> Object:
    found: Object = {"type": "array", "items": item}
    return found if most is None else found | {"maxItems": most}


def table(item: Object) -> Object:
    return {"type": "object", "additionalProperties": item}


def fixed(value: str) -> Object:
    return {**TEXT, "default": value}


CONDITION: Final = thing(
    "lastTransitionTime", "message", "reason", "status", "type",
    lastTransitionTime=TIME,
    message={**TEXT, "maxLength": 32_768},
    observedGeneration={**LONG, "minimum": 0},
    reason={**TEXT, "minLength": 1},
    status={**TEXT, "enum": ["True", "False", "Unknown"]},
    type=TEXT,
)  # fmt: skip
PARENT: Final = thing(
    "name",
    group=fixed("gateway.networking.k8s.io"),
    kind=fixed("Gateway"),
    namespace=TEXT,
    name=TEXT,
    sectionName=TEXT,
    port=PORT,
)
PATH: Final = thing(
    type={**fixed("PathPrefix"), "enum": ["Exact", "PathPrefix", "RegularExpression"]},
    value=fixed("/"),
)
BACKEND: Final = thing(
    "name",
    group=TEXT,  # theirs has a default of no text, which a server of 1.20 takes for none at all
    kind=fixed("Service"),
    name=TEXT,
    namespace=TEXT,
    port=PORT,
    weight=WEIGHT,
    filters=many(OPEN, 16),
)
RULE: Final = thing(
    name=TEXT,
    matches=many(thing(path=PATH, headers=many(OPEN), queryParams=many(OPEN), method=TEXT), 64),
    filters=many(OPEN, 16),
    backendRefs=many(BACKEND, 16),
    timeouts=thing(request=TEXT, backendRequest=TEXT),
)
ROUTE: Final = thing(parentRefs=many(PARENT, 32), hostnames=many(TEXT, 16), rules=many(RULE, 16))
ROUTE_STATUS: Final = thing(
    "parents",
    parents=many(
        thing(
            "controllerName", "parentRef",
            parentRef=PARENT, controllerName=TEXT, conditions=many(CONDITION, 8),
        ),
        32,
    ),
)  # fmt: skip

STEP: Final = thing(
    setWeight=COUNT,
    pause=thing(duration={"x-kubernetes-int-or-string": True}),
    setCanaryScale=thing(weight=COUNT, replicas=COUNT, matchTrafficWeight=TRUTH),
    analysis=OPEN,
    experiment=OPEN,
)
ROLLOUT: Final = thing(
    replicas=COUNT,
    paused=TRUTH,
    selector=OPEN,
    template=OPEN,
    workloadRef=thing(apiVersion=TEXT, kind=TEXT, name=TEXT, scaleDown=TEXT),
    minReadySeconds=COUNT,
    progressDeadlineSeconds=COUNT,
    strategy=thing(
        blueGreen=OPEN,
        canary=thing(
            canaryService=TEXT,
            stableService=TEXT,
            steps=many(STEP),
            trafficRouting=OPEN,
            dynamicStableScale=TRUTH,
            maxSurge={"x-kubernetes-int-or-string": True},
            maxUnavailable={"x-kubernetes-int-or-string": True},
        ),
    ),
)
DESTINATION: Final = thing(
    "weight", weight=COUNT, podTemplateHash=TEXT, serviceName=TEXT
)  # fmt: skip
ROLLOUT_STATUS: Final = thing(
    abort=TRUTH,
    abortedAt=TIME,
    canary=thing(weights=thing("canary", "stable", canary=DESTINATION, stable=DESTINATION)),
    controllerPause=TRUTH,
    currentPodHash=TEXT,
    currentStepHash=TEXT,
    currentStepIndex=COUNT,
    HPAReplicas=COUNT,
    message=TEXT,
    observedGeneration=TEXT,
    pauseConditions=many(thing("reason", "startTime", reason=TEXT, startTime=TIME)),
    phase=TEXT,
    promoteFull=TRUTH,
    readyReplicas=COUNT,
    replicas=COUNT,
    stableRS=TEXT,
    updatedReplicas=COUNT,
)

PREDICTOR: Final = thing(
    name=TEXT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    canaryTrafficPercent=LONG,
    containerConcurrency=LONG,
    batcher=thing(
        maxBatchSize={"type": "integer"},
        maxLatency={"type": "integer"},
        timeout={"type": "integer"},
    ),
    model=OPEN,
    containers=many(OPEN),
)
SERVICE: Final = thing(
    "predictor",
    predictor=PREDICTOR,
    canary=many(thing("predictor", trafficPercent=COUNT, predictor=PREDICTOR)),
    transformer=OPEN,
    explainer=OPEN,
)
TRAFFIC: Final = thing(
    configurationName=TEXT,
    latestRevision=TRUTH,
    percent=LONG,
    revisionName=TEXT,
    tag=TEXT,
    url=TEXT,
)
COMPONENT: Final = thing(
    latestCreatedRevision=TEXT,
    latestReadyRevision=TEXT,
    latestRolledoutRevision=TEXT,
    previousRolledoutRevision=TEXT,
    traffic=many(TRAFFIC),
    url=TEXT,
)
SERVICE_STATUS: Final = thing(
    components=table(COMPONENT),
    canaryStatuses=many(OPEN),
    conditions=many(OPEN),
    deploymentMode=TEXT,
    observedGeneration=LONG,
    url=TEXT,
)

NUMBER: Final = {**COUNT, "minimum": 0}
SCALING: Final = thing(
    "maxReplicas",
    minReplicas={**COUNT, "minimum": 1, "default": 1},
    maxReplicas={**COUNT, "minimum": 1},
    wva=OPEN,
    keda=OPEN,
)
WORKLOAD: Final[Mapping[str, Object]] = {
    "replicas": NUMBER,
    "scaling": SCALING,
    "parallelism": OPEN,
    "labels": table(TEXT),
    "annotations": table(TEXT),
    "template": OPEN,
    "worker": OPEN,
}
GROUP_WEIGHT: Final = {**COUNT, "minimum": 0, "maximum": 1_000_000}  # without the route's default
LLM: Final = thing(
    **WORKLOAD,
    model=thing("uri", uri=TEXT, name=TEXT, lora=OPEN),
    prefill=thing(**WORKLOAD),
    router=thing(
        gateway=OPEN,
        ingress=OPEN,
        scheduler=OPEN,
        route=thing(
            group={**TEXT, "minLength": 1, "maxLength": 63},
            weight=GROUP_WEIGHT,
            http=thing(refs=many(thing(name=TEXT)), spec=ROUTE),
        ),
    ),
    baseRefs=many(thing(name=TEXT)),
)
OBSERVED: Final = thing(
    "kind", "name", apiGroup=TEXT, kind=TEXT, name=TEXT, readyReplicas=COUNT
)  # fmt: skip
LLM_STATUS: Final = thing(
    conditions=many(OPEN),
    url=TEXT,
    workloads=thing(primary=OBSERVED, prefill=OBSERVED, service=OBSERVED, scheduler=OBSERVED),
    router=OPEN,
)

SCALED: Final = thing(
    "scaleTargetRef",
    scaleTargetRef=thing("name", apiVersion=TEXT, kind=TEXT, name=TEXT),
    idleReplicaCount=COUNT,
    minReplicaCount=COUNT,
    maxReplicaCount=COUNT,
    triggers=many(OPEN),
)

SPECS: Final[Mapping[str, Object]] = {
    "HTTPRoute": ROUTE,
    "Rollout": ROLLOUT,
    "InferenceService": SERVICE,
    "LLMInferenceService": LLM,
    "ScaledObject": SCALED,
    "Canary": OPEN,
}
STATUSES: Final[Mapping[str, Object]] = {
    "HTTPRoute": ROUTE_STATUS,
    "Rollout": ROLLOUT_STATUS,
    "InferenceService": SERVICE_STATUS,
    "LLMInferenceService": LLM_STATUS,
}
