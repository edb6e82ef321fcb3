"""Every variant renders, has only fields that Kubernetes publishes, and is as narrow as it says."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from rendered import FIELDS, VARIANTS, Object, judged, of_kind, only, problems, rendered

import homeostat
from homeostat.base.policy import Mode
from homeostat.server.config import Config, load

READING = {"get", "list", "watch"}


def pod(variant: str) -> Object:
    return dict(only(variant, "Deployment")["spec"]["template"]["spec"])


def configuration(variant: str, folder: Path) -> Config:
    """Return what a variant's ConfigMap says, read as the controller reads the files."""
    for name, text in only(variant, "ConfigMap")["data"].items():
        (folder / name).write_text(text, encoding="utf-8")
    return load([folder])


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_has_only_fields_that_kubernetes_publishes(variant: str) -> None:
    assert [text for one in rendered(variant) for text in problems(one)] == []


def test_a_field_that_is_misspelt_or_of_another_type_is_found() -> None:
    assert FIELDS["release"].startswith("release-1.")
    wrong = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {
            "replicas": "2",
            "selector": {"matchLabels": {"a": 1}},
            "template": {"spec": {"containers": [{"image": "x", "runAsRoot": False}]}},
        },
    }
    assert sorted(problems(wrong)) == [
        "Deployment.spec.replicas: '2' is no StrictInt",
        "Deployment.spec.selector.matchLabels.*: 1 is no StrictStr",
        "Deployment.spec.template.spec.containers[].name is missing",
        "Deployment.spec.template.spec.containers[].runAsRoot is no field",
    ]
    assert judged([], "V1PodSpec", "x") == ["x is no object"]
    assert judged("a", "List[StrictStr]", "x") == ["x is no list"]
    assert judged(True, "StrictInt | StrictStr", "x") == ["x: True is no StrictInt | StrictStr"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_pod_is_restricted(variant: str) -> None:
    spec = pod(variant)
    whole, (container,) = spec["securityContext"], spec["containers"]
    narrow = container["securityContext"]
    assert whole["runAsNonRoot"] is True
    assert min(whole["runAsUser"], whole["runAsGroup"]) >= 10_000
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert narrow == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec)
    assert {next(iter(set(one) - {"name"})) for one in spec["volumes"]} <= {
        "configMap", "secret", "persistentVolumeClaim", "emptyDir",
    }  # fmt: skip
    writable = {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
    assert writable == {"/tmp", "/var/lib/homeostat"}
    assert container["resources"].keys() == {"requests", "limits"}
    labels = only(variant, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("variant", VARIANTS)
def test_probes_and_scrapes_find_the_listener_that_the_configuration_opens(
    variant: str, tmp_path: Path
) -> None:
    said = configuration(variant, tmp_path).controller
    assert said.pages is not None
    (container,) = pod(variant)["containers"]
    (port,) = container["ports"]
    assert said.pages == ("0.0.0.0", port["containerPort"])
    assert said.api_host == "127.0.0.1"
    for probe, path in (("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")):
        asked = container[f"{probe}Probe"]["httpGet"]
        assert asked == {"path": path, "port": port["name"]}
    (served,) = only(variant, "Service")["spec"]["ports"]
    assert (served["port"], served["targetPort"]) == (port["containerPort"], port["name"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_selectors_find_the_controllers_pods_and_nobody_elses(variant: str) -> None:
    deployment = only(variant, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    ours = {"app.kubernetes.io/name": "homeostat"}
    assert ours.items() <= labels.items()
    assert deployment["selector"] == {"matchLabels": ours}
    assert only(variant, "Service")["spec"]["selector"] == ours
    assert only(variant, "PodDisruptionBudget")["spec"]["selector"] == {"matchLabels": ours}
    for spread in deployment["template"]["spec"]["topologySpreadConstraints"]:
        assert spread["labelSelector"] == {"matchLabels": ours}


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_comes_in_but_scrapes_and_nothing_goes_out_unnamed(variant: str) -> None:
    policy = only(variant, "NetworkPolicy")["spec"]
    assert policy["podSelector"] == {}
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    (into,) = policy["ingress"]
    assert into["from"]
    assert [one["port"] for one in into["ports"]] == [7374]
    for rule in policy["egress"]:
        assert rule["to"], "a rule without `to` lets out to everybody"
        for peer in rule["to"]:
            assert set(peer) <= {"namespaceSelector", "podSelector", "ipBlock"}
            assert peer.get("namespaceSelector", {"matchLabels": "ip"}).get("matchLabels"), peer
            if "ipBlock" in peer:
                assert {one["port"] for one in rule["ports"]} == {443, 6443}
    names = [
        rule for rule in policy["egress"] if any(one["port"] == 53 for one in rule.get("ports", ()))
    ]
    (name_server,) = names
    # kustomize's own label transformer once put the controller's labels here.
    assert name_server["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_reference_leads_somewhere(variant: str) -> None:
    objects = {
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
        for one in rendered(variant)
    }
    spec = pod(variant)
    assert ("ServiceAccount", "homeostat", spec["serviceAccountName"]) in objects
    for volume in spec["volumes"]:
        if "configMap" in volume:
            assert ("ConfigMap", "homeostat", volume["configMap"]["name"]) in objects
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]["claimName"]
            assert ("PersistentVolumeClaim", "homeostat", claim) in objects
    for binding in of_kind(variant, "RoleBinding"):
        role = ("Role", binding["metadata"]["namespace"], binding["roleRef"]["name"])
        assert role in objects
        (subject,) = binding["subjects"]
        assert (subject["kind"], subject["namespace"], subject["name"]) == (
            "ServiceAccount", "homeostat", "homeostat",
        )  # fmt: skip
    assert not of_kind(variant, "ClusterRole")
    assert not of_kind(variant, "ClusterRoleBinding")


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_rule_is_a_wildcard_or_reads_secrets(variant: str) -> None:
    for role in of_kind(variant, "Role"):
        for rule in role["rules"]:
            said = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "*" not in said
            assert not {"secrets", "pods/exec", "pods/attach"} & set(rule["resources"])
            assert not {"delete", "deletecollection", "escalate", "bind", "impersonate"} & set(
                rule["verbs"]
            )


def test_who_only_observes_has_no_verb_that_changes_anything(tmp_path: Path) -> None:
    verbs = {
        verb
        for role in of_kind("observe-only", "Role")
        for rule in role["rules"]
        for verb in rule["verbs"]
    }
    assert verbs <= READING
    said = configuration("observe-only", tmp_path)
    assert [one.managed.mode for one in said.deployments] == [Mode.SHADOW]
    assert said.controller.cluster is None  # no Lease, no status, no Events


def test_what_may_be_written_is_the_deployment_that_the_configuration_names(tmp_path: Path) -> None:
    said = configuration("act", tmp_path)
    (deployment,) = said.deployments
    assert deployment.managed.mode is Mode.APPROVE
    (target,) = deployment.elsewhere
    writing = [
        (role["metadata"]["namespace"], rule)
        for role in of_kind("act", "Role")
        for rule in role["rules"]
        if set(rule["verbs"]) - READING
    ]
    ((namespace, rule),) = writing
    assert namespace == target.settings["namespace"]
    assert rule["resourceNames"] == [target.settings["deployment"]]
    assert (rule["resources"], rule["verbs"]) == (["deployments"], ["patch"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_volume_is_never_shared_by_two(variant: str) -> None:
    deployment = only(variant, "Deployment")["spec"]
    claims = of_kind(variant, "PersistentVolumeClaim")
    if deployment["replicas"] == 1:
        assert deployment["strategy"] == {"type": "Recreate"}
        assert claims
        return
    assert not claims
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_two_controllers_have_a_database_and_a_lease_of_the_name_that_they_may_write(
    tmp_path: Path,
) -> None:
    said = configuration("two-controllers", tmp_path).controller
    assert said.postgres is not None
    assert said.cluster is not None
    named = [
        rule["resourceNames"]
        for role in of_kind("two-controllers", "Role")
        for rule in role["rules"]
        if "leases" in rule["resources"] and "update" in rule["verbs"]
    ]
    assert named == [[said.cluster.lease]]
    hosts = {
        peer["namespaceSelector"]["matchLabels"].get("homeostat.dev/journal")
        for rule in only("two-controllers", "NetworkPolicy")["spec"]["egress"]
        for peer in rule["to"]
        if "namespaceSelector" in peer
    }
    assert "true" in hosts


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_image_is_of_this_version(variant: str) -> None:
    (container,) = pod(variant)["containers"]
    assert container["image"] == f"homeostat:{homeostat.__version__}"
    assert container["args"][0] == "run"


def test_what_a_config_map_holds_is_no_secret() -> None:
    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {key for inner in value.values() for key in keys(inner)}
        return {key for one in value for key in keys(one)} if isinstance(value, list) else set()

    for variant in VARIANTS:
        assert not of_kind(variant, "Secret")
        assert not {"password", "token", "secret"} & keys(only(variant, "ConfigMap"))
