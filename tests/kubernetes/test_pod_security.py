"""Pod Security admission of a real API server lets every pod in, and would not let in what it should not.

Admission looks at pods only, and nothing makes pods here: each is asked for as its controller would ask for it.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from specs.workload import ApiAccess
from tests.kubernetes import stacks
from tests.kubernetes.applying import pod_answer
from tests.kubernetes.conftest import Place
from tests.kubernetes.control_plane import ControlPlane

_TOKEN = "kube-api-access-"  # noqa: S105 - how admission begins the name of the volume with a token


@pytest.fixture(params=stacks.VARIANTS)
def variant(request: pytest.FixtureRequest, place: Place) -> str:
    """Each form of the stack, applied."""
    place(request.param)
    return str(request.param)


@pytest.fixture
def small(place: Place) -> dict[tuple[str, str], stacks.Object]:
    """Pods of the small stack, which is applied."""
    place("small")
    return stacks.pods(stacks.rendered("small")[1])


def test_every_pod_is_admitted(control_plane: ControlPlane, variant: str) -> None:
    """Each pod may be made in its namespace, and there is one for each workload of the stack."""
    stack, objects = stacks.rendered(variant)
    pods = stacks.pods(objects)

    answers = {key: pod_answer(control_plane, pod) for key, pod in pods.items()}

    assert {key: body.get("message") for key, (status, body) in answers.items() if status != 201} == {}
    assert set(pods) == {
        (f"{variant}-node" if workload.on_nodes else variant, workload.name) for workload in stack.workloads
    }


def test_only_who_asks_the_api_has_a_token(control_plane: ControlPlane, variant: str) -> None:
    """The server mounts a token into pods of workloads with ApiAccess, and into no other."""
    stack, objects = stacks.rendered(variant)
    having = {
        name
        for (_, name), pod in stacks.pods(objects).items()
        if any(volume["name"].startswith(_TOKEN) for volume in pod_answer(control_plane, pod)[1]["spec"]["volumes"])
    }

    wanted = {
        workload.name for workload in stack.workloads if any(isinstance(extra, ApiAccess) for extra in workload.extras)
    }
    assert "prometheus" in having
    assert having == wanted


def _root(pod: stacks.Object) -> None:
    pod["spec"]["securityContext"] |= {"runAsNonRoot": False, "runAsUser": 0}


def _host_path(pod: stacks.Object) -> None:
    pod["spec"]["volumes"].append({"name": "node", "hostPath": {"path": "/"}})


def _host_network(pod: stacks.Object) -> None:
    pod["spec"]["hostNetwork"] = True


def _profile(pod: stacks.Object) -> None:
    del pod["spec"]["securityContext"]["seccompProfile"]


def _capability(pod: stacks.Object) -> None:
    pod["spec"]["containers"][0]["securityContext"]["capabilities"] = {"add": ["NET_ADMIN"]}


def _escalation(pod: stacks.Object) -> None:
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (_root, "runAsNonRoot != true"),
        (_host_path, "restricted volume types"),
        (_host_network, "host namespaces"),
        (_profile, "seccompProfile"),
        (_capability, "unrestricted capabilities"),
        (_escalation, "allowPrivilegeEscalation != false"),
    ],
)
def test_the_namespace_refuses_what_is_not_restricted(
    control_plane: ControlPlane,
    small: dict[tuple[str, str], stacks.Object],
    broken: Callable[[stacks.Object], None],
    words: str,
) -> None:
    """The very pod that is admitted is refused with one thing changed, and the server names it."""
    pod = json.loads(json.dumps(small["small", "prometheus"]))
    broken(pod)

    status, body = pod_answer(control_plane, pod)

    assert status == 403
    assert 'violates PodSecurity "restricted:latest"' in body["message"]
    assert words in body["message"]


def test_what_sees_its_node_lives_apart(
    control_plane: ControlPlane, small: dict[tuple[str, str], stacks.Object]
) -> None:
    """A pod of the node namespace is admitted there and refused where everything else is."""
    apart: list[Any] = [pod for (namespace, _), pod in small.items() if namespace == "small-node"]
    assert apart
    for pod in apart:
        elsewhere = json.loads(json.dumps(pod))
        elsewhere["metadata"]["namespace"] = "small"
        # Its account is of the node namespace; admission wants one to be there.
        elsewhere["spec"]["serviceAccountName"] = "prometheus"

        assert pod_answer(control_plane, pod)[0] == 201
        status, body = pod_answer(control_plane, elsewhere)
        assert (status, "violates PodSecurity" in body["message"]) == (403, True)
