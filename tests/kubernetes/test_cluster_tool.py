"""What the commands say of a cluster, with a real API server: nothing runs pods here, so tests write what would."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from specs.stack import Stack
from tests.kubernetes import stacks
from tests.kubernetes.applying import apply
from tests.kubernetes.control_plane import ControlPlane
from tools.kubernetes_cluster import ClusterError, Pods

NAMESPACE = "commands"
LABELS = {"app.kubernetes.io/part-of": "observability", "app.kubernetes.io/name": "loki"}
EXISTING = {"slack-url": {"name": "from-vault", "key": "slack"}, "smtp-password": {"name": "absent", "key": "any"}}
Pod = Callable[..., None]


@pytest.fixture(scope="module")
def stack() -> Stack:
    """A small stack with a storage class and Secrets of others."""
    return stacks.stack("small", NAMESPACE, kubernetes={"storage_class": "fast", "secrets": EXISTING})


@pytest.fixture
def pods(control_plane: ControlPlane, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Pods:
    """The stack in the cluster of the user's kubeconfig."""
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig()))
    monkeypatch.setenv("HOME", str(control_plane.directory))
    for what in ("namespace", "serviceaccount"):
        name = NAMESPACE if what == "namespace" else "default"
        control_plane.kubectl("create", what, name, f"--namespace={NAMESPACE}", check=False)
    return Pods(stack=stack)


def made(plane: ControlPlane, kind: str, name: str, spec: dict[str, Any], status: dict[str, Any]) -> None:
    """Have the cluster hold an object of Loki's with a status, as controllers and kubelets write it."""
    group = "v1" if kind == "Pod" else "apps/v1"
    described = {"name": name, "namespace": NAMESPACE, "labels": {**LABELS, "app.kubernetes.io/instance": "loki"}}
    apply(plane, [{"apiVersion": group, "kind": kind, "metadata": described, "spec": spec}])
    patch = json.dumps({"status": status})
    plane.kubectl(
        *("patch", kind, name, f"--namespace={NAMESPACE}", "--subresource=status", "--type=merge", f"--patch={patch}")
    )


def controlled(plane: ControlPlane, **status: int) -> None:
    """Have Loki be a StatefulSet of three with that status."""
    labels = {"app.kubernetes.io/instance": "loki"}
    container = {"name": "loki", "image": "loki:1"}
    spec = {
        "replicas": 3,
        "serviceName": "loki",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    made(plane, "StatefulSet", "loki", spec, {"observedGeneration": 1, "replicas": 3, **status})


def test_a_cluster_that_does_not_answer_is_one_line(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the context and how to choose another, before anything is touched."""
    monkeypatch.setenv("KUBECONFIG", "/nowhere/kubeconfig")

    with pytest.raises(ClusterError, match=r"^no cluster answers: .*kubectl config use-context") as problem:
        Pods(stack=stack).refuse()
    assert "\n" not in str(problem.value)


def test_a_context_that_does_not_exist_is_told(pods: Pods) -> None:
    """The context of the stack file is the one that is asked, not the current one."""
    with pytest.raises(ClusterError, match=r"\(the context elsewhere;"):
        replace(pods, context="elsewhere").refuse()


def test_what_would_keep_pods_from_starting_is_a_line_each(control_plane: ControlPlane, pods: Pods) -> None:
    """A class of volumes that does not exist, a Secret that does not, and a key that a Secret has not."""
    control_plane.kubectl(
        "create", "secret", "generic", "from-vault", f"--namespace={NAMESPACE}", "--from-literal=other=x"
    )

    with pytest.raises(ClusterError) as problem:
        pods.refuse()

    key = "Pulumi.prod.yaml: observability:settings.kubernetes"
    absent = 'Error from server (NotFound): secrets "absent" not found'
    assert str(problem.value).splitlines() == [
        f"{key}.storage_class: the cluster has no class fast (accepted: none)",
        f"{key}.secrets.slack-url: the Secret from-vault has no key slack (accepted: other)",
        f"{key}.secrets.smtp-password: {absent} (make it first, in the namespace {NAMESPACE})",
    ]


def test_what_is_not_there_is_not_deployed(pods: Pods, stack: Stack) -> None:
    """Every part of the stack has its word, though the cluster knows none."""
    found = pods.running()

    assert set(found) == stack.names
    assert {each.words for name, each in found.items() if name != "loki"} == {"not deployed"}


def test_a_part_is_healthy_once_all_replicas_are_new_and_ready(control_plane: ControlPlane, pods: Pods) -> None:
    """Old replicas that are ready are not the ones that were asked for."""
    controlled(control_plane, readyReplicas=3, updatedReplicas=1)
    assert pods.running()["loki"].words == "1 of 3 renewed"

    controlled(control_plane, readyReplicas=3, updatedReplicas=3)
    assert pods.running()["loki"].words == "healthy"


TROUBLES: list[tuple[dict[str, Any], str]] = [
    (
        {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: too little memory"}]},
        "0/3 nodes: too little memory",
    ),
    (
        {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
        "loki: ImagePullBackOff of loki:1",
    ),
    (
        {
            "containerStatuses": [
                {
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
                }
            ]
        },
        "loki: CrashLoopBackOff, it ended with 1 (Error)",
    ),
    (
        {
            "containerStatuses": [
                {"state": {"running": {}}, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
            ]
        },
        "loki ended: OOMKilled (137)",
    ),
]


@pytest.mark.parametrize(("status", "words"), TROUBLES)
def test_why_a_part_is_not_ready_is_said(
    control_plane: ControlPlane, pods: Pods, status: dict[str, Any], words: str
) -> None:
    """The reason is the pod's own, as its scheduler or kubelet wrote it."""
    controlled(control_plane, readyReplicas=2, updatedReplicas=3)
    common = {"name": "loki", "image": "loki:1", "imageID": "", "ready": False, "restartCount": 0}
    for container in status.get("containerStatuses", ()):
        container.update(common)
    restricted = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec = {"containers": [{"name": "loki", "image": "loki:1", "securityContext": restricted}]}
    made(control_plane, "Pod", "loki-0", spec, status)
    try:
        assert pods.running()["loki"].words == f"2 of 3 ready: {words}"
    finally:
        control_plane.kubectl("delete", "pod", "loki-0", f"--namespace={NAMESPACE}", "--force", "--grace-period=0")


def test_claims_are_those_of_the_stack(control_plane: ControlPlane, pods: Pods) -> None:
    """A purge deletes what the stack's parts have claimed, and nothing of others."""
    for name in ("data-loki-0", "data-prometheus-1", "data-of-a-shop-0"):
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
        apply(control_plane, [claim])

    assert pods.claims() == ["data-loki-0", "data-prometheus-1"]
    pods.forget(pods.claims())
    assert pods.claims() == []


def test_how_people_reach_the_parts_is_told(pods: Pods) -> None:
    """What has no host from outside is forwarded, by the name and port of its Service."""
    told = pods.forwarding().splitlines()

    assert f"  kubectl --namespace {NAMESPACE} port-forward service/prometheus 9090" in told
    assert not [line for line in told if "service/grafana" in line]
