"""The Kubernetes runtime: what a workload becomes in a cluster."""

from dataclasses import replace
from typing import Any

import pytest

from components.recording import Recording, Secret
from components.runtimes.kubernetes_pod import key_of
from specs.settings import RuntimeKind
from specs.workload import HostPaths, KernelLog, Outward
from tests.deployment import SAMPLE, inputs_of, placed, secret_of, settings_for, url_of

SETTINGS = settings_for(RuntimeKind.KUBERNETES)
STATELESS = replace(SAMPLE, volume=None, extras=(), files={}, secrets={})
SELECTOR = {"app.kubernetes.io/name": "sampler", "app.kubernetes.io/instance": "sample"}
LABELS = {
    **SELECTOR,
    "app.kubernetes.io/part-of": "observability",
    "app.kubernetes.io/managed-by": "pulumi",
    "app.kubernetes.io/version": "v1.2.3",
}
METADATA = {"name": "sample", "namespace": "observability", "labels": LABELS}
TMP = "/tmp"  # noqa: S108 - a volume of the pod's own


def kinds(recording: Recording) -> list[tuple[str, str]]:
    """Return kind and logical name of every object."""
    return [
        (resource.inputs["kind"], resource.name)
        for resource in recording.resources
        if resource.type.startswith("kubernetes:")
    ]


def probe(period: int, failures: int) -> dict[str, Any]:
    """Return a probe of the sample."""
    return {
        "httpGet": {"path": "/ready", "port": "grpc"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def test_a_workload_with_data_is_a_stateful_set() -> None:
    """Every field of a stateful set and its pod is one that somebody decided: there are no others."""
    recording = placed(SAMPLE, SETTINGS)

    assert inputs_of(recording, "kubernetes:apps/v1:StatefulSet", "sample") == {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": METADATA,
        "spec": {
            "replicas": 1,
            "serviceName": "sample",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": SELECTOR},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 60,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 1234,
                        "runAsGroup": 1234,
                        "fsGroup": 1234,
                        "fsGroupChangePolicy": "OnRootMismatch",
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "sample",
                            "image": "quay.io/example/sampler:v1.2.3",
                            "command": ["sampler"],
                            "args": ["--config=../config/sample.yml", "--data=."],
                            "workingDir": "/workload/data",
                            "env": [{"name": "SAMPLE", "value": "yes"}],
                            "ports": [
                                {"name": "http", "containerPort": 8080, "protocol": "TCP"},
                                {"name": "grpc", "containerPort": 8081, "protocol": "TCP"},
                                {"name": "syslog", "containerPort": 8082, "protocol": "UDP"},
                            ],
                            "resources": {
                                "limits": {"memory": "256Mi"},
                                "requests": {"memory": "256Mi", "cpu": "250m"},
                            },
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "startupProbe": probe(5, 3),
                            "readinessProbe": probe(10, 3),
                            "livenessProbe": probe(30, 6),
                            "volumeMounts": [
                                {"name": "config", "mountPath": "/workload/config", "readOnly": True},
                                {"name": "data", "mountPath": "/workload/data"},
                                {"name": "tmp", "mountPath": TMP},
                                {"name": "registry", "mountPath": "/registry"},
                            ],
                        }
                    ],
                    "volumes": [
                        {
                            "name": "config",
                            "projected": {
                                "sources": [
                                    {
                                        "configMap": {
                                            "name": "sample-config",
                                            "items": [
                                                {"key": "sample.yml", "path": "sample.yml", "mode": 0o444},
                                                {
                                                    "key": "rules__two_5fthree.yml",
                                                    "path": "rules/two_three.yml",
                                                    "mode": 0o444,
                                                },
                                            ],
                                        }
                                    },
                                    {
                                        "secret": {
                                            "name": "sample-secrets",
                                            "items": [
                                                {"key": "secrets__plain", "path": "secrets/plain", "mode": 0o440},
                                                {
                                                    "key": "secrets__wrapped.py",
                                                    "path": "secrets/wrapped.py",
                                                    "mode": 0o440,
                                                },
                                            ],
                                        }
                                    },
                                ]
                            },
                        },
                        {"name": "tmp", "emptyDir": {}},
                        {"name": "registry", "emptyDir": {}},
                    ],
                },
            },
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "2Gi"}},
                    },
                }
            ],
        },
    }
    stateful = recording.resource("kubernetes:apps/v1:StatefulSet", "sample")
    assert stateful.timeouts == ("312s", "312s")
    assert stateful.depends_on == ("namespace", "sample-config", "sample-secrets")


def test_files_are_a_config_map_without_a_name() -> None:
    """Files arrive as text under keys that Kubernetes takes; the name is Pulumi's, new with each content."""
    assert inputs_of(placed(SAMPLE, SETTINGS), "kubernetes:core/v1:ConfigMap", "sample-config") == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": "observability", "labels": LABELS},
        "immutable": True,
        "data": {"sample.yml": "name: é\n", "rules__two_5fthree.yml": "b: 2\n"},
    }


def test_secrets_are_a_secret_without_a_name() -> None:
    """Secrets arrive marked as secret, inside the text that their program wants around them."""
    assert inputs_of(placed(SAMPLE, SETTINGS), "kubernetes:core/v1:Secret", "sample-secrets") == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "observability", "labels": LABELS},
        "immutable": True,
        "stringData": Secret(
            {
                "secrets__plain": secret_of("plain"),
                "secrets__wrapped.py": 'password = "the \\"wrapped\\""\n',
            }
        ),
    }


def test_every_port_is_behind_the_service() -> None:
    """The Service has the name that others dial and every port, the UDP one as UDP; its selector knows no version."""
    assert inputs_of(placed(SAMPLE, SETTINGS), "kubernetes:core/v1:Service", "sample") == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": METADATA,
        "spec": {
            "selector": SELECTOR,
            "ports": [
                {"name": "http", "port": 8080, "targetPort": "http", "protocol": "TCP"},
                {"name": "grpc", "port": 8081, "targetPort": "grpc", "protocol": "TCP"},
                {"name": "syslog", "port": 8082, "targetPort": "syslog", "protocol": "UDP"},
            ],
        },
    }


def test_the_namespace_admits_restricted_pods_only() -> None:
    """Nothing that could leave its sandbox runs in the stack's namespace, whoever asks for it."""
    assert inputs_of(placed(SAMPLE, SETTINGS), "kubernetes:core/v1:Namespace", "namespace") == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "observability", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }


def test_a_workload_without_data_is_a_deployment() -> None:
    """Without a volume, files or secrets there are no claim, ConfigMap or Secret; the data directory is empty."""
    recording = placed(STATELESS, SETTINGS)
    spec = inputs_of(recording, "kubernetes:apps/v1:Deployment", "sample")["spec"]

    assert kinds(recording) == [("Deployment", "sample"), ("Namespace", "namespace"), ("Service", "sample")]
    assert set(spec) == {"replicas", "selector", "template"}
    assert spec["template"]["spec"]["volumes"] == [{"name": "tmp", "emptyDir": {}}, {"name": "data", "emptyDir": {}}]
    assert spec["template"]["spec"]["containers"][0]["volumeMounts"] == [
        {"name": "data", "mountPath": "/workload/data"},
        {"name": "tmp", "mountPath": TMP},
    ]


def test_paths_that_it_writes_are_empty_directories() -> None:
    """Beside /tmp, the root filesystem is writable where the workload says so."""
    inputs = inputs_of(
        placed(replace(STATELESS, scratch=("/opt/logs",)), SETTINGS), "kubernetes:apps/v1:Deployment", "sample"
    )
    pod = inputs["spec"]["template"]["spec"]

    assert {"name": "scratch-0", "emptyDir": {}} in pod["volumes"]
    assert {"name": "scratch-0", "mountPath": "/opt/logs"} in pod["containers"][0]["volumeMounts"]


@pytest.mark.parametrize("extra", [HostPaths((("/var/log", "/host/var/log"),)), KernelLog()])
def test_what_a_pod_cannot_have_is_refused(extra: HostPaths | KernelLog) -> None:
    """It is never left out in silence."""
    with pytest.raises(AssertionError, match=r"^sample: a pod sees all paths of its node or none"):
        placed(replace(STATELESS, extras=(extra,)), SETTINGS)


def test_what_reaches_out_is_a_pod_like_any_other() -> None:
    """Pods reach each other without networks to join."""
    outward = placed(replace(STATELESS, extras=(Outward(),)), SETTINGS)

    assert outward.resources == placed(STATELESS, SETTINGS).resources


def test_the_settings_choose_namespace_and_storage() -> None:
    """The cluster's own namespace and storage class are used where the stack names them."""
    settings = settings_for(RuntimeKind.KUBERNETES, kubernetes={"namespace": "watch", "storage_class": "fast"})
    stateful = inputs_of(placed(SAMPLE, settings), "kubernetes:apps/v1:StatefulSet", "sample")

    assert stateful["metadata"]["namespace"] == "watch"
    assert stateful["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"


def test_two_files_never_share_a_key() -> None:
    """Keys are letters, digits, dots, dashes and underscores, and tell all paths apart."""
    paths = ["a/b", "a_b", "a__b", "a.b", "a-b", "a b", "a_5fb", "a/_b", "é"]

    assert [key_of(path) for path in paths] == [
        "a__b",
        "a_5fb",
        "a_5f_5fb",
        "a.b",
        "a-b",
        "a_20b",
        "a_5f5fb",
        "a___5fb",
        "_c3_a9",
    ]


def test_its_url_is_the_services() -> None:
    """What applications of the cluster open is the main port of the Service."""
    assert url_of(SAMPLE, SETTINGS) == "http://sample.observability.svc:8080"
