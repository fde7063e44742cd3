"""The Kubernetes runtime: what a workload becomes in a cluster."""

from dataclasses import replace
from typing import Any

import pytest

from components.recording import Recording, Secret
from components.runtimes.kubernetes_files import LIMIT, divided, key_of
from specs.settings import RuntimeKind
from specs.stack import addresses
from specs.workload import (
    Alone,
    AnyFile,
    ApiAccess,
    ApiRule,
    HostPaths,
    Identity,
    KernelLog,
    Outward,
    Port,
    Probe,
    SecretRef,
)
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
            "serviceName": "sample-peers",
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate"},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "selector": {"matchLabels": SELECTOR},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {
                    "serviceAccountName": "sample",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "priorityClassName": "observability-1000000",
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
                                {"name": "data", "mountPath": "/workload/data"},
                                {"name": "tmp", "mountPath": TMP},
                                {"name": "registry", "mountPath": "/registry"},
                                {"name": "config", "mountPath": "/workload/config", "readOnly": True},
                            ],
                        }
                    ],
                    "volumes": [
                        {"name": "tmp", "emptyDir": {}},
                        {"name": "registry", "emptyDir": {}},
                        {
                            "name": "config",
                            "projected": {
                                "sources": [
                                    {
                                        "configMap": {
                                            "name": "sample-config",
                                            "items": [
                                                {
                                                    "key": "rules__two_5fthree.yml",
                                                    "path": "rules/two_three.yml",
                                                    "mode": 0o444,
                                                },
                                                {"key": "sample.yml", "path": "sample.yml", "mode": 0o444},
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
    assert stateful.depends_on == ("namespace", "priority", "sample-config", "sample-secrets")


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
    assert inputs_of(placed(SAMPLE, SETTINGS), "kubernetes:core/v1:NamespacePatch", "namespace") == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "observability", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }


def test_a_workload_without_data_is_a_deployment() -> None:
    """Without a volume, files or secrets there are no claim, ConfigMap or Secret; the data directory is empty."""
    recording = placed(STATELESS, SETTINGS)
    spec = inputs_of(recording, "kubernetes:apps/v1:Deployment", "sample")["spec"]

    assert kinds(recording) == [
        ("Deployment", "sample"),
        ("Namespace", "namespace"),
        ("Service", "sample"),
        ("ServiceAccount", "sample"),
        ("PriorityClass", "priority"),
    ]
    assert set(spec) == {"replicas", "selector", "strategy", "template"}
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
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


def test_what_would_tell_everything_twice_is_never_two() -> None:
    """Alone: a rollout ends the old pod before it starts the new one."""
    alone = placed(replace(STATELESS, extras=(Alone(),)), SETTINGS)
    inputs = inputs_of(alone, "kubernetes:apps/v1:Deployment", "sample")

    assert inputs["spec"]["strategy"] == {"type": "Recreate"}


def test_root_reads_files_of_others_where_it_is_asked_to() -> None:
    """AnyFile: of root's capabilities the one that reads past owners and modes, and no other."""
    pod = placed(replace(STATELESS, extras=(AnyFile(),)), SETTINGS)
    spec = inputs_of(pod, "kubernetes:apps/v1:Deployment", "sample")["spec"]["template"]["spec"]

    assert spec["containers"][0]["securityContext"]["capabilities"] == {"add": ["DAC_READ_SEARCH"], "drop": ["ALL"]}


@pytest.mark.parametrize("extra", [HostPaths((("/var/log", "/host/var/log"),)), KernelLog()])
def test_what_a_pod_cannot_have_is_refused(extra: HostPaths | KernelLog) -> None:
    """It is never left out in silence."""
    with pytest.raises(AssertionError, match=r"^sample: only a pod on every node sees paths of it"):
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


def test_files_that_are_too_much_for_one_are_divided() -> None:
    """Each ConfigMap stays below what a server takes, and together they are every file, once."""
    files = {f"boards/{index}.json": "é" * 100_000 for index in range(12)}
    parts = list(divided(files))

    assert [sum(len(text.encode()) for text in part.values()) <= LIMIT for part in parts] == [True] * 3
    assert {path: text for part in parts for path, text in part.items()} == files

    recording = placed(replace(STATELESS, files=files), SETTINGS)
    pod = inputs_of(recording, "kubernetes:apps/v1:Deployment", "sample")["spec"]["template"]["spec"]
    (projected,) = [volume["projected"] for volume in pod["volumes"] if volume["name"] == "config"]
    assert [source["configMap"]["name"] for source in projected["sources"]] == [
        "sample-config",
        "sample-config-2",
        "sample-config-3",
    ]


REPLICATED = replace(SAMPLE, replicas=3, peers=("grpc",), extras=(Identity(),))


def test_replicas_are_spread_and_leave_one_at_a_time() -> None:
    """Zones and nodes share them as evenly as they can; a drain takes one, and waits."""
    recording = placed(REPLICATED, SETTINGS)
    spec = inputs_of(recording, "kubernetes:apps/v1:StatefulSet", "sample")["spec"]

    assert spec["replicas"] == 3
    assert spec["template"]["spec"]["topologySpreadConstraints"] == [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": SELECTOR},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
    assert inputs_of(recording, "kubernetes:policy/v1:PodDisruptionBudget", "sample")["spec"] == {
        "maxUnavailable": 1,
        "selector": {"matchLabels": SELECTOR},
    }
    assert recording.resource("kubernetes:apps/v1:StatefulSet", "sample").timeouts == ("936s", "936s")


def test_a_replica_that_is_told_to_go_still_answers_for_a_moment() -> None:
    """Each of several waits before it stops, until no node sends anything its way; one alone would only keep people
    waiting."""
    several = inputs_of(placed(REPLICATED, SETTINGS), "kubernetes:apps/v1:StatefulSet", "sample")["spec"]
    alone = inputs_of(placed(SAMPLE, SETTINGS), "kubernetes:apps/v1:StatefulSet", "sample")["spec"]

    [one_of_several] = several["template"]["spec"]["containers"]
    [the_only_one] = alone["template"]["spec"]["containers"]
    assert one_of_several["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert "lifecycle" not in the_only_one


def test_replicas_find_each_other_before_they_are_ready() -> None:
    """Each has a name below a headless Service that is what the addresses of the model say."""
    recording = placed(REPLICATED, SETTINGS)
    headless = inputs_of(recording, "kubernetes:core/v1:Service", "sample-peers")
    where = addresses(SETTINGS)

    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["publishNotReadyAddresses"] is True
    assert headless["spec"]["selector"] == SELECTOR
    name = f"{headless['metadata']['name']}.{headless['metadata']['namespace']}.svc:8081"
    assert where.peers("sample", 8081) == name
    assert where.each("sample", 8081, 3) == tuple(f"sample-{index}.{name}" for index in range(3))
    assert inputs_of(recording, "kubernetes:apps/v1:StatefulSet", "sample")["spec"]["serviceName"] == "sample-peers"


def test_who_a_replica_is_stands_in_variables() -> None:
    """They come before all others, which may name them; a workload that does not ask has none."""
    env = inputs_of(placed(REPLICATED, SETTINGS), "kubernetes:apps/v1:StatefulSet", "sample")["spec"]["template"][
        "spec"
    ]["containers"][0]["env"]

    assert [(one["name"], one.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")) for one in env] == [
        ("POD_NAME", "metadata.name"),
        ("POD_NAMESPACE", "metadata.namespace"),
        ("POD_IP", "status.podIP"),
        ("NODE_NAME", "spec.nodeName"),
        ("SAMPLE", None),
    ]


def test_peers_without_data_keep_their_names() -> None:
    """It is a StatefulSet without claims: its data directory is empty at each start."""
    recording = placed(replace(REPLICATED, volume=None), SETTINGS)
    spec = inputs_of(recording, "kubernetes:apps/v1:StatefulSet", "sample")["spec"]

    assert "volumeClaimTemplates" not in spec
    assert {"name": "data", "emptyDir": {}} in spec["template"]["spec"]["volumes"]


def test_what_runs_beside_shares_the_data_and_nothing_else() -> None:
    """One pod, two containers: each with its own files at the same path, both with one data directory."""
    aside = replace(
        STATELESS,
        name="aside",
        ports=(Port(name="aside", number=9999),),
        probe=Probe(port="aside"),
        files={"aside.yml": "x"},
        secrets={"token": SecretRef("plain")},
    )
    recording = placed(replace(SAMPLE, beside=(aside,)), SETTINGS)
    pod = inputs_of(recording, "kubernetes:apps/v1:StatefulSet", "sample")["spec"]["template"]["spec"]
    mounts = {
        container["name"]: {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        for container in pod["containers"]
    }

    assert mounts["sample"]["/workload/config"] == "config"
    assert mounts["aside"]["/workload/config"] == "config-aside"
    assert mounts["sample"]["/workload/data"] == mounts["aside"]["/workload/data"] == "data"
    assert inputs_of(recording, "kubernetes:core/v1:ConfigMap", "sample-aside-config")["data"] == {"aside.yml": "x"}
    ports = inputs_of(recording, "kubernetes:core/v1:Service", "sample")["spec"]["ports"]
    assert [port["name"] for port in ports] == ["http", "grpc", "syslog", "aside"]


def test_only_what_asks_the_api_has_a_token_and_no_more_rights_than_it_names() -> None:
    """Every workload has an account of its own; the role is what the model says, word by word."""
    rules = (
        ApiRule(resources=("pods",)),
        ApiRule(groups=("apps",), resources=("replicasets",), verbs=("list",)),
        ApiRule(urls=("/metrics",), verbs=("get",)),
    )
    recording = placed(replace(STATELESS, extras=(ApiAccess(rules),)), SETTINGS)
    pod = inputs_of(recording, "kubernetes:apps/v1:Deployment", "sample")["spec"]["template"]["spec"]

    assert pod["automountServiceAccountToken"] is True
    assert pod["serviceAccountName"] == "sample"
    assert inputs_of(recording, "kubernetes:core/v1:ServiceAccount", "sample")["automountServiceAccountToken"] is False
    assert inputs_of(recording, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", "sample")["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]
    binding = inputs_of(recording, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding", "sample")
    assert binding["metadata"]["name"] == binding["roleRef"]["name"] == "observability-sample"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "sample", "namespace": "observability"}]
    assert not [kind for kind, _ in kinds(placed(STATELESS, SETTINGS)) if kind.startswith("ClusterRole")]


def test_volumes_outlive_the_stack_unless_it_says_otherwise() -> None:
    """By default the namespace is patched, so that a destroy leaves it and the claims in it."""
    settings = settings_for(RuntimeKind.KUBERNETES, kubernetes={"keep_volumes": False})
    recording = placed(SAMPLE, settings)
    stateful = inputs_of(recording, "kubernetes:apps/v1:StatefulSet", "sample")

    assert recording.resource("kubernetes:core/v1:Namespace", "namespace")
    assert stateful["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"


def test_secrets_that_exist_in_the_cluster_are_mounted() -> None:
    """Nothing is made for them, and the other secrets of the workload stay the stack's own."""
    settings = settings_for(
        RuntimeKind.KUBERNETES, kubernetes={"secrets": {"plain": {"name": "from-vault", "key": "value"}}}
    )
    recording = placed(SAMPLE, settings)
    pod = inputs_of(recording, "kubernetes:apps/v1:StatefulSet", "sample")["spec"]["template"]["spec"]
    (projected,) = [volume["projected"] for volume in pod["volumes"] if volume["name"] == "config"]

    assert projected["sources"][-1] == {
        "secret": {"name": "from-vault", "items": [{"key": "value", "path": "secrets/plain", "mode": 0o440}]}
    }
    made = inputs_of(recording, "kubernetes:core/v1:Secret", "sample-secrets")["stringData"]
    assert set(made.value) == {"secrets__wrapped.py"}


def test_images_come_from_the_mirror() -> None:
    """Where the settings name one, no other registry is asked."""
    settings = settings_for(RuntimeKind.KUBERNETES, kubernetes={"registry": "mirror.example.com:5000/hub"})
    pod = inputs_of(placed(STATELESS, settings), "kubernetes:apps/v1:Deployment", "sample")["spec"]["template"]["spec"]

    assert pod["containers"][0]["image"] == "mirror.example.com:5000/hub/example/sampler:v1.2.3"


def test_a_cluster_may_have_no_priority_class() -> None:
    """Then the pods have none, and none is made."""
    recording = placed(STATELESS, settings_for(RuntimeKind.KUBERNETES, kubernetes={"priority": None}))
    pod = inputs_of(recording, "kubernetes:apps/v1:Deployment", "sample")["spec"]["template"]["spec"]

    assert "priorityClassName" not in pod
    assert "PriorityClass" not in dict(kinds(recording))
