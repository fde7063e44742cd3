"""A cluster of one node on this machine, with everything that pods need: DNS, Services, volumes, images."""

import json
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import node, policies
from tests.cluster.images import DNS, registry
from tests.cluster.network import Network, linked
from tests.cluster.place import Place
from tests.kubernetes.control_plane import ControlPlane, NotStartedError, Options, free_port, started
from tools import native

API_PORT = 6443
"""Where clusters have it, and policies expect it."""
VOLUMES = 24
"""How many claims of volumes the cluster can serve."""
_READY_SECONDS = 120
_MANAGER = "system:kube-controller-manager"
_SCHEDULER = "system:kube-scheduler"
_USERS = {_MANAGER: (), _SCHEDULER: (), node.USER: ("system:nodes",), node.PROXY: ()}
_DNS_LABELS = {"k8s-app": "kube-dns"}
_COREFILE = f"""\
.:53 {{
    errors
    health
    ready
    kubernetes {node.DOMAIN} in-addr.arpa {{
        pods insecure
    }}
    prometheus :9153
    loadbalance
    cache 5
}}
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster whose node is ready and whose names resolve."""

    control: ControlPlane
    network: Network
    first: int
    """The node's first process: `nsenter --all --target` goes into the node."""

    @classmethod
    @contextmanager
    def running(cls, place: Place) -> "Generator[Cluster]":
        """Start everything in a place that is claimed; end it all afterwards.

        Raises NotStartedError with what did not start.
        """
        network, directory = Network.free(), place.directory
        with ExitStack() as parts:
            parts.enter_context(linked(network, place.link))
            images = parts.enter_context(registry(directory / "registry", network.machine))
            options = Options(
                address=network.machine, port=API_PORT, service_network=str(network.services), users=_USERS
            )
            control = parts.enter_context(ControlPlane.running(directory / "control", options))
            for name, command in _managers(control).items():
                parts.enter_context(started(command, directory / f"{name}.log"))
            first = parts.enter_context(node.running(control, network, place, images))
            parts.enter_context(policies.enforced(control, network, first))
            cluster = cls(control, network, first)
            cluster.apply([*_dns(network), *_volumes(directory / "volumes")])
            cluster.wait("node", node.NAME, "Ready", log=directory / "node" / "kubelet.log")
            cluster.wait("pod", "--selector=k8s-app=kube-dns", "Ready", log=directory / "node" / "kubelet.log")
            try:
                yield cluster
            finally:
                # The API server would wait for the node, which is about to vanish without a word.
                for process in control.processes.values():
                    process.kill()

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any]:
        """An object as the API server has it."""
        said = self.control.kubectl("get", kind, name, f"--namespace={namespace}", "--output=json")
        found: dict[str, Any] = json.loads(said.stdout)
        return found

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        """Every pod of a namespace that is not about to go."""
        said = self.control.kubectl("get", "pods", f"--namespace={namespace}", "--output=json")
        items: list[dict[str, Any]] = json.loads(said.stdout)["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def url(self, service: str, port: int, namespace: str) -> str:
        """Where this machine reaches a Service: by its own address, through the node."""
        return f"http://{self.get('service', service, namespace)['spec']['clusterIP']}:{port}"

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """Apply objects on the server's side, all of them or AssertionError."""
        arguments = ("apply", "--server-side", "--force-conflicts", "--filename=-")
        self.control.kubectl(*arguments, stdin=yaml.safe_dump_all(map(dict, objects)))

    def wait(self, kind: str, which: str, condition: str, *, log: Path, namespace: str = "kube-system") -> None:
        """Wait for a condition of what may not even be there yet; NotStartedError with the end of `log`."""
        deadline = time.monotonic() + _READY_SECONDS
        arguments = ("wait", kind, which, f"--for=condition={condition}", f"--namespace={namespace}", "--timeout=5s")
        while (said := self.control.kubectl(*arguments, check=False)).returncode != 0:
            if time.monotonic() > deadline:
                end = log.read_text(encoding="utf-8", errors="replace")[-3000:]
                raise NotStartedError(f"{kind} {which} is not {condition}: {said.stderr}\n{end}")
            time.sleep(0.2)


def _managers(control: ControlPlane) -> dict[str, list[str]]:
    authority, key = control.authority.own.file, control.account_key

    def common(user: str) -> list[str]:
        file = control.kubeconfig(user)
        return [
            *(f"--kubeconfig={file}", f"--authentication-kubeconfig={file}", f"--authorization-kubeconfig={file}"),
            *("--leader-elect=false", "--bind-address=127.0.0.1", f"--secure-port={free_port()}"),
        ]

    found = native.ensure(["kube-controller-manager", "kube-scheduler"])
    return {
        "kube-controller-manager": [
            *(str(found["kube-controller-manager"].path), *common(_MANAGER)),
            *(f"--root-ca-file={authority}", f"--service-account-private-key-file={key}"),
            *("--use-service-account-credentials=true", "--controller-shutdown-timeout=1s"),
        ],
        "kube-scheduler": [str(found["kube-scheduler"].path), *common(_SCHEDULER)],
    }


def _dns(network: Network) -> list[dict[str, Any]]:
    """CoreDNS as clusters have it: what finds it by its labels and its Service's name finds it here, too."""
    place = {"name": "coredns", "namespace": "kube-system"}
    rules = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    container = {
        "name": "coredns",
        "image": DNS,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"containerPort": 53, "name": "dns", "protocol": "UDP"},
            {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"},
            {"containerPort": 9153, "name": "metrics", "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
    }
    pods = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": rules,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"kind": "ServiceAccount", **place}],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": {"Corefile": _COREFILE}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {**place, "labels": _DNS_LABELS},
            "spec": {
                "selector": {"matchLabels": _DNS_LABELS},
                "template": {"metadata": {"labels": _DNS_LABELS}, "spec": pods},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": _DNS_LABELS},
            "spec": {
                "clusterIP": network.dns,
                "selector": _DNS_LABELS,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                    {"name": "metrics", "port": 9153, "protocol": "TCP"},
                ],
            },
        },
    ]


def _volumes(directory: Path) -> list[dict[str, Any]]:
    """Directories as volumes of the default class, each for whichever claim comes."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node.NAME]}
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "local",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Retain",
        }
    ]
    for number in range(VOLUMES):
        place = directory / str(number)
        place.mkdir(parents=True)
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"local-{number}"},
                "spec": {
                    "capacity": {"storage": "1Ti"},
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "local",
                    "persistentVolumeReclaimPolicy": "Retain",
                    "local": {"path": str(place)},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
                },
            }
        )
    return objects
