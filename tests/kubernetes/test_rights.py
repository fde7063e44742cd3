"""What the parts of a stack may do in a cluster, as its own authoriser says: what the model names, and nothing else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx
import pytest

from specs.stack import Stack
from specs.workload import ApiAccess, ApiRule, Workload
from tests.kubernetes import stacks
from tests.kubernetes.conftest import Place
from tests.kubernetes.control_plane import ControlPlane

_VARIANT = "large"
_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate", "bind")
_OF_NODES = ("metrics", "stats", "log", "healthz", "configz", "pods")
"""What a kubelet serves counts as parts of its node, though the API server lists none of it."""
_URLS = ("/metrics", "/metrics/slis", "/logs/", "/debug/pprof/", "/configz")


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that one may do in every namespace; of a path, where `group` is empty and `resource` begins with /."""

    verb: str
    group: str
    resource: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """The API server with a stack applied, and what it knows."""

    client: httpx.Client
    stack: Stack
    namespace: str
    every: tuple[Right, ...]
    """Everything that there is to allow."""

    def allowed(self, account: str, namespace: str, right: Right) -> bool:
        """Whether the server lets the ServiceAccount do it."""
        if right.resource.startswith("/"):
            what: Mapping[str, object] = {"nonResourceAttributes": {"path": right.resource, "verb": right.verb}}
        else:
            resource, _, part = right.resource.partition("/")
            asked = {"verb": right.verb, "group": right.group, "resource": resource, "subresource": part}
            what = {"resourceAttributes": asked}
        spec = {
            **what,
            "user": f"system:serviceaccount:{namespace}:{account}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
        }
        answer = self.client.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json={"spec": spec})
        assert answer.status_code == 201, answer.text
        return bool(answer.json()["status"]["allowed"])

    def rights(self, account: str, namespace: str) -> set[Right]:
        """Everything that the server lets the ServiceAccount do."""
        return {right for right in self.every if self.allowed(account, namespace, right)}


def _everything(client: httpx.Client) -> Iterator[Right]:
    """What the server serves, by each verb."""
    lists = [("", client.get("/api/v1").json())]
    lists += [
        (group["name"], client.get(f"/apis/{group['preferredVersion']['groupVersion']}").json())
        for group in client.get("/apis").json()["groups"]
    ]
    names = [(group, each["name"]) for group, found in lists for each in found["resources"]]
    names += [("", f"nodes/{part}") for part in _OF_NODES]
    yield from (Right(verb, group, name) for group, name in names for verb in _VERBS)
    yield from (Right("get", "", url) for url in _URLS)


def _rights_of(rule: ApiRule) -> Iterator[Right]:
    yield from (Right(verb, "", url) for url in rule.urls for verb in rule.verbs)
    if not rule.urls:
        yield from (
            Right(verb, group, resource) for group in rule.groups for resource in rule.resources for verb in rule.verbs
        )


def _rules(workload: Workload) -> tuple[ApiRule, ...]:
    return tuple(rule for extra in workload.extras if isinstance(extra, ApiAccess) for rule in extra.rules)


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, place: Place) -> Iterator[Cluster]:
    """The stack that has most parts."""
    place(_VARIANT)
    with control_plane.client() as client:
        yield Cluster(client, stacks.rendered(_VARIANT)[0], _VARIANT, tuple(_everything(client)))


def test_each_may_do_what_the_model_names_and_no_more(cluster: Cluster) -> None:
    """For every workload that asks the API server: every verb on every resource that the server knows is allowed
    exactly when a rule of the model names it. A rule for what the server does not know is found, too."""
    anyone = cluster.rights("somebody-else", cluster.namespace)
    asking = [workload for workload in cluster.stack.workloads if _rules(workload)]
    assert "prometheus" in {workload.name for workload in asking}

    for workload in asking:
        namespace = f"{cluster.namespace}-node" if workload.on_nodes else cluster.namespace
        named = {right for rule in _rules(workload) for right in _rights_of(rule)}
        assert named <= set(cluster.every), named - set(cluster.every)
        assert cluster.rights(workload.name, namespace) - anyone == named - anyone, workload.name


def test_nobody_reads_secrets_or_changes_anything(cluster: Cluster) -> None:
    """No account of the stack reads a Secret, makes, changes or removes an object, or runs something in a pod."""
    anyone = cluster.rights("somebody-else", cluster.namespace)
    never = [
        right
        for right in cluster.every
        if right not in anyone
        and (
            right.resource.partition("/")[0] == "secrets"
            or right.resource
            in {"pods/exec", "pods/attach", "pods/portforward", "nodes/proxy", "serviceaccounts/token"}
            or (
                right.group in {"", "apps", "rbac.authorization.k8s.io"} and right.verb in {"create", "patch", "delete"}
            )
        )
    ]
    assert len(never) > 100

    for workload in cluster.stack.workloads:
        namespace = f"{cluster.namespace}-node" if workload.on_nodes else cluster.namespace
        checked = never if _rules(workload) else never[::20]
        assert not [right for right in checked if cluster.allowed(workload.name, namespace, right)], workload.name


def test_prometheus_sees_targets_by_its_own_token(control_plane: ControlPlane, cluster: Cluster) -> None:
    """With the token that its pod is given, Prometheus lists what it discovers in every namespace, and no Secret."""
    path = f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts/prometheus/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    token = cluster.client.post(path, json=asked).json()["status"]["token"]
    headers = {"authorization": f"Bearer {token}"}

    with control_plane.client() as client:
        answers = {
            kind: client.get(f"/api/v1/{kind}", headers=headers).status_code
            for kind in ("pods", "nodes", "secrets", "configmaps")
        }

    assert answers == {"pods": 200, "nodes": 200, "secrets": 403, "configmaps": 403}
