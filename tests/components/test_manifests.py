"""The rendered Kubernetes manifests."""

import json
import subprocess
import sys
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from components.manifests import manifests
from specs.settings import RuntimeKind
from specs.stack import build
from tests.deployment import ROOT, settings_for, stack_of
from tests.kubernetes import stacks
from tests.specs.support import EVERY_RECEIVER

VERSIONS = ("1.35", "1.36", "1.37")
"""The newest minor versions of Kubernetes whose schemas the validator brings."""


@pytest.fixture(scope="module")
def prod() -> dict[str, str]:
    """Return the manifests of the project's own production stack."""
    return manifests(stack_of("prod"))


@pytest.fixture(autouse=True)
def schemas_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The validator itself reads megabytes of schemas for each object."""
    monkeypatch.setattr(utils, "schema_contents", _schema)


_schema = cache(utils.schema_contents)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("variant", stacks.VARIANTS)
def test_every_manifest_is_valid(variant: str, version: str) -> None:
    """Kubernetes' own schemas accept each of every size, with no key that they do not know; but routes, which are not
    Kubernetes' own (tests/kubernetes has an API server that knows them)."""
    routes = 0
    for manifest in stacks.rendered(variant)[1]:
        if manifest["apiVersion"].startswith("gateway.networking.k8s.io/"):
            routes += 1
            continue
        kubernetes_validate.validate(manifest, version, strict=True)
    assert bool(routes) == (variant == "large")


def test_the_versions_are_the_newest() -> None:
    """A newer validator brings newer schemas, and these are then what manifests are held to."""
    known = {str(version).removeprefix("v").rpartition(".")[0] for version in utils.all_versions()}

    assert tuple(sorted(known, key=lambda version: tuple(map(int, version.split("."))))[-3:]) == VERSIONS


def test_the_check_is_strict(prod: dict[str, str]) -> None:
    """A misspelt key is refused, so that the test above proves something."""
    found = yaml.load(prod["deployment-blackbox-exporter.yaml"], Loader=yaml.CSafeLoader)
    container = found["spec"]["template"]["spec"]["containers"][0]
    container["imagePulPolicy"] = "Always"

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found, VERSIONS[-1], strict=True)


def test_files_are_named_after_what_is_in_them(prod: dict[str, str]) -> None:
    """One file for each object, with kind and name; objects of the node namespace have it in front."""
    for file, text in prod.items():
        found: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
        namespace = found["metadata"].get("namespace")
        prefix = "observability-node-" if namespace == "observability-node" else ""
        assert file == f"{found['kind'].lower()}-{prefix}{found['metadata']['name']}.yaml"
    assert sorted(file for file in prod if "node-exporter" in file) == [
        "daemonset-observability-node-node-exporter.yaml",
        "networkpolicy-observability-node-node-exporter.yaml",
        "service-observability-node-node-exporter.yaml",
        "serviceaccount-observability-node-node-exporter.yaml",
    ]


def test_no_value_of_a_secret_is_in_them(prod: dict[str, str]) -> None:
    """A Secret lists its keys, each with a placeholder that names the secret."""
    assert yaml.load(prod["secret-alertmanager-secrets.yaml"], Loader=yaml.CSafeLoader)["stringData"] == {
        "secrets__dead-mans-switch-webhook": "<secret: dead-mans-switch-url>",
        "secrets__email-email": "<secret: smtp-password>",
        "secrets__mysmartnotes-email-email": "<secret: smtp-password>",
        "secrets__mysmartnotes-oncall-email": "<secret: smtp-password>",
        "secrets__mysmartnotes-oncall-slack": "<secret: slack-url>",
        "secrets__mysmartnotes-warning-slack": "<secret: slack-url>",
        "secrets__pagerduty-pagerduty": "<secret: pagerduty-routing-key>",
        "secrets__security-team-email": "<secret: smtp-password>",
        "secrets__security-team-slack": "<secret: slack-url>",
        "secrets__slack-slack": "<secret: slack-url>",
        "secrets__team-email-email": "<secret: smtp-password>",
        "secrets__webhook-webhook": "<secret: alerts-webhook-url>",
    }
    assert yaml.load(prod["secret-grafana-secrets.yaml"], Loader=yaml.CSafeLoader)["stringData"] == {
        "secrets__admin-password": "<secret: grafana-admin-password>",
        "secrets__database-password": "<secret: grafana-database-password>",
        "secrets__secret-key": "<secret: grafana-secret-key>",
    }


def test_configuration_refers_to_what_is_rendered(prod: dict[str, str]) -> None:
    """Each ConfigMap and Secret that a pod mounts is one of the files, each key that it takes stands in it, and none is
    there that no pod mounts."""
    mounted: set[str] = set()
    for text in prod.values():
        found = yaml.load(text, Loader=yaml.CSafeLoader)
        prefix = "observability-node-" if found["metadata"].get("namespace") == "observability-node" else ""
        pod = found.get("spec", {}).get("template", {}).get("spec", {})
        for volume in pod.get("volumes", []):
            for source in volume.get("projected", {}).get("sources", []):
                ((kind, wanted),) = source.items()
                file = f"{kind.lower()}-{prefix}{wanted['name']}.yaml"
                held = yaml.load(prod[file], Loader=yaml.CSafeLoader)
                assert {item["key"] for item in wanted["items"]} == set(held.get("data") or held["stringData"])
                mounted.add(file)

    assert mounted == {file for file in prod if file.startswith(("configmap-", "secret-"))}


def test_the_same_stack_is_the_same_bytes(prod: dict[str, str]) -> None:
    """Another process with another hash seed renders exactly the same."""
    program = (
        "import json, sys\n"
        "from components.manifests import manifests\n"
        "from tests.deployment import stack_of\n"
        "sys.stdout.write(json.dumps(manifests(stack_of('prod'))))\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert [json.loads(output) for output in outputs] == [prod]


def test_it_imports_nothing_slow_before_it_is_asked() -> None:
    """Whoever imports the module for other stacks does not wait for Pulumi."""
    program = "import sys, components.manifests; sys.exit(any(name.startswith('pulumi') for name in sys.modules))"

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)

    assert done.returncode == 0


def test_another_namespace_is_another_set_of_files() -> None:
    """Names of files follow the settings."""
    settings = settings_for(
        RuntimeKind.KUBERNETES,
        kubernetes={"namespace": "watch"},
        exporters={"node": {}},
        grafana=False,
        alerting=EVERY_RECEIVER,
    )

    found = manifests(build(settings, file="Pulumi.test.yaml"))

    assert "daemonset-watch-node-node-exporter.yaml" in found
    assert "namespace-watch-node.yaml" in found
