"""The Kubernetes runtime: workloads that measure the nodes they run on."""

from dataclasses import replace

from components.runtimes.containers import labels
from specs.settings import RuntimeKind
from specs.workload import HostView
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
    assert recording.resource("kubernetes:apps/v1:DaemonSet", "sample").depends_on == ("node-namespace",)


def test_what_measures_nodes_is_dialled_where_everything_else_is() -> None:
    """The address that scrape jobs name leads to the other namespace, and there to every node."""
    recording = placed(ON_NODE, SETTINGS)

    assert inputs_of(recording, "kubernetes:core/v1:Service", "sample-alias") == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": METADATA,
        "spec": {"type": "ExternalName", "externalName": "sample.observability-node.svc.cluster.local"},
    }
    behind = inputs_of(recording, "kubernetes:core/v1:Service", "sample")
    assert behind["metadata"] == ON_NODE_METADATA
    assert behind["spec"]["clusterIP"] == "None"
