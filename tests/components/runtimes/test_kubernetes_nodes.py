"""The Kubernetes runtime: workloads that measure the nodes they run on."""

from dataclasses import replace

from components.runtimes.containers import labels
from specs.settings import RuntimeKind
from specs.workload import EveryNode, HostPaths, HostView, NodeData
from tests.deployment import SAMPLE, inputs_of, placed, settings_for

SETTINGS = settings_for(RuntimeKind.KUBERNETES)
ON_NODE = replace(SAMPLE, volume=None, files={}, secrets={}, extras=(HostView(),))
METADATA = {"name": "sample", "namespace": "observability", "labels": labels(SAMPLE)}
ON_NODE_METADATA = {**METADATA, "namespace": "observability-node"}


def test_what_measures_nodes_runs_on_each_in_a_namespace_of_its_own() -> None:
    """HostView: a DaemonSet on every node that sees its root read-only, still without any capability."""
    recording = placed(ON_NODE, SETTINGS)
    daemons = inputs_of(recording, "kubernetes:apps/v1:DaemonSet", "sample")
    pod = daemons["spec"]["template"]["spec"]

    assert daemons["metadata"] == ON_NODE_METADATA
    assert pod["hostPID"] is True
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["volumes"][-1] == {"name": "host", "hostPath": {"path": "/"}}
    assert pod["containers"][0]["volumeMounts"][-1] == {
        "name": "host",
        "mountPath": "/host",
        "readOnly": True,
        "mountPropagation": "HostToContainer",
    }
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert inputs_of(recording, "kubernetes:core/v1:Namespace", "node-namespace")["metadata"] == {
        "name": "observability-node",
        "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
    }
    assert recording.resource("kubernetes:apps/v1:DaemonSet", "sample").depends_on == ("node-namespace", "priority")


def test_what_is_on_every_node_is_found_there() -> None:
    """Its Service has an address for each node; nothing in the other namespace stands for it."""
    recording = placed(ON_NODE, SETTINGS)

    behind = inputs_of(recording, "kubernetes:core/v1:Service", "sample")
    assert behind["metadata"] == ON_NODE_METADATA
    assert behind["spec"]["clusterIP"] == "None"
    assert [resource.name for resource in recording.resources if resource.type == "kubernetes:core/v1:Service"] == [
        "sample"
    ]


def test_what_reads_logs_of_its_node_sees_these_paths_alone() -> None:
    """Without HostView neither the root filesystem nor the processes of the node are seen."""
    reader = replace(ON_NODE, extras=(EveryNode(), HostPaths((("/var/log/pods", "/var/log/pods"),))))
    recording = placed(reader, SETTINGS)
    pod = inputs_of(recording, "kubernetes:apps/v1:DaemonSet", "sample")["spec"]["template"]["spec"]

    assert "hostPID" not in pod
    assert [volume for volume in pod["volumes"] if "hostPath" in volume] == [
        {"name": "host-0", "hostPath": {"path": "/var/log/pods"}}
    ]
    assert pod["containers"][0]["volumeMounts"][-1] == {
        "name": "host-0",
        "mountPath": "/var/log/pods",
        "readOnly": True,
        "mountPropagation": "HostToContainer",
    }


def test_what_a_node_keeps_outlives_the_pod() -> None:
    """NodeData: the data directory is one of the node's, which is made where it is missing, and can be written."""
    keeper = replace(ON_NODE, extras=(EveryNode(), NodeData("/var/lib/sample")))
    pod = inputs_of(placed(keeper, SETTINGS), "kubernetes:apps/v1:DaemonSet", "sample")["spec"]["template"]["spec"]

    assert [volume for volume in pod["volumes"] if "hostPath" in volume] == [
        {"name": "data", "hostPath": {"path": "/var/lib/sample", "type": "DirectoryOrCreate"}}
    ]
    assert {"name": "data", "mountPath": "/workload/data"} in pod["containers"][0]["volumeMounts"]


def test_one_that_has_to_be_root_says_so() -> None:
    """Kubelets write logs for root alone; it still has no capability and no writable root filesystem."""
    root = replace(ON_NODE, program=replace(ON_NODE.program, user=0), extras=(EveryNode(),))
    pod = inputs_of(placed(root, SETTINGS), "kubernetes:apps/v1:DaemonSet", "sample")["spec"]["template"]["spec"]

    assert pod["securityContext"]["runAsNonRoot"] is False
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
