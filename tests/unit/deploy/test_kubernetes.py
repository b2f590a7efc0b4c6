"""The Kubernetes manifests keep to their schemas, fit together, and keep to what the guide promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from webhookcron.config import VARIABLES

DIRECTORY = Path(__file__).parents[3] / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((DIRECTORY / "kustomization.yaml").read_text())
MANIFESTS: list[dict[str, Any]] = [
    document
    for name in KUSTOMIZATION["resources"]
    for document in yaml.safe_load_all((DIRECTORY / name).read_text())
]
API_VERSIONS = {
    "Namespace": "v1",
    "ConfigMap": "v1",
    "Service": "v1",
    "Deployment": "apps/v1",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}


@pytest.mark.parametrize("release", ["1.30", "1.37"])
def test_they_are_valid_by_the_schemas_of_kubernetes(release: str) -> None:
    for manifest in MANIFESTS:
        kubernetes_validate.validate(manifest, release, strict=True)


def test_a_field_that_is_misspelt_would_be_found() -> None:
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGraceSeconds"):
        kubernetes_validate.validate(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "x"},
                "spec": {"containers": [{"name": "x"}], "terminationGraceSeconds": 45},
            },
            "1.37",
            strict=True,
        )


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in MANIFESTS if item["kind"] == kind}


DEPLOYMENTS = of_kind("Deployment")


def containers(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    spec = deployment["spec"]["template"]["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def test_every_file_is_used_and_every_kind_is_known() -> None:
    files = {path.name for path in DIRECTORY.iterdir()} - {"kustomization.yaml"}
    assert files == set(KUSTOMIZATION["resources"])
    for manifest in MANIFESTS:
        assert manifest["apiVersion"] == API_VERSIONS[manifest["kind"]]


def test_every_role_is_deployed_twice_and_never_all_taken_away() -> None:
    assert set(DEPLOYMENTS) == {"api", "ticker", "worker"} == set(of_kind("PodDisruptionBudget"))
    assert all(deployment["spec"]["replicas"] == 2 for deployment in DEPLOYMENTS.values())


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_selectors_find_the_pods(name: str) -> None:
    deployment = DEPLOYMENTS[name]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"] == labels


def test_the_service_leads_to_the_port_of_the_api() -> None:
    service = of_kind("Service")["api"]["spec"]
    [container] = DEPLOYMENTS["api"]["spec"]["template"]["spec"]["containers"]
    assert service["selector"] == DEPLOYMENTS["api"]["spec"]["template"]["metadata"]["labels"]
    assert {port["targetPort"] for port in service["ports"]} == {port["name"] for port in container["ports"]}


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_pods_have_no_rights_and_time_to_stop(name: str) -> None:
    spec = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["terminationGracePeriodSeconds"] > 35
    for container in containers(DEPLOYMENTS[name]):
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in spec["volumes"]
        }


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_probes_ask_ports_that_are_there(name: str) -> None:
    [container] = DEPLOYMENTS[name]["spec"]["template"]["spec"]["containers"]
    probes = [container[key] for key in container if key.endswith("Probe")]
    assert probes
    assert {probe["httpGet"]["port"] for probe in probes} <= {port["name"] for port in container["ports"]}


def test_the_settings_are_known() -> None:
    known = {variable.name for variable in VARIABLES} | {f"{v.name}_FILE" for v in VARIABLES if v.secret}
    assert set(of_kind("ConfigMap")["webhookcron"]["data"]) <= known
