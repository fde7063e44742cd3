"""A node of a cluster: containerd, kubelet and kube-proxy in namespaces of their own, as if it were a machine.

It has its own network, mounts, processes and packet filter; what the machine itself has is not touched. One link goes
between the two, over which the machine also reaches pods and Services.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.cgroups import make, remove
from tests.cluster.images import POD
from tests.cluster.inside import Plan
from tests.cluster.network import Network, ip
from tests.cluster.place import Place
from tests.kubernetes.control_plane import ControlPlane, NotStartedError, started
from tools import native

NAME = "node"
USER = f"system:node:{NAME}"
PROXY = "system:kube-proxy"
DOMAIN = "cluster.local"
_NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc")
_COVERED = ("/run", "/var/lib", "/var/log")
_STOP_SECONDS = 30
_SOCKET = "/run/containerd/containerd.sock"
"""In the node's own /run; kubelet looks for statistics of containers nowhere else."""
_CNI_VERSION = "1.0.0"


@contextmanager
def running(control: ControlPlane, network: Network, place: Place, registry: str) -> Generator[int]:
    """A node that registers itself with `control` and pulls every image from `registry`. The link of
    `place` is up already (`linked`).

    Yields the id of the process in whose namespaces it is. Raises NotStartedError with what it said.
    """
    directory = place.directory / "node"
    directory.mkdir()
    plan = _plan(control, network, place, registry)
    (directory / "plan.json").write_text(json.dumps(dataclasses.asdict(plan)), encoding="utf-8")
    remove(place.cgroup)
    # Before kubelet starts: it watches what is below, and does not see it appear.
    make(place.cgroup)
    command = [
        # What starts it may be killed; it may not stay then.
        *("setpriv", "--pdeathsig", "KILL", "unshare", *_NAMESPACES, "--propagation", "slave"),
        *("env", f"PYTHONPATH={Path(__file__).parents[2]}"),
        *(sys.executable, "-m", "tests.cluster.inside", str(directory / "plan.json")),
    ]
    log = directory / "node.log"
    try:
        with started(command, log) as process:
            first = _first(process, log)
            try:
                ip("link", "set", f"{place.link}-in", "netns", str(first))
                for reached in (network.pods, network.services):
                    ip("route", "add", str(reached), "via", network.node)
                yield first
                if process.poll() is not None:
                    raise NotStartedError(f"the node ended: {_said(log)}")
            finally:
                # The kernel ends with it all that is in its namespaces.
                with suppress(ProcessLookupError):
                    os.kill(first, signal.SIGKILL)
    finally:
        remove(place.cgroup)


def _first(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """The node's first process, once its namespaces are there."""
    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        if children and _network_of(children[0]) != _network_of("self"):
            return int(children[0])
        time.sleep(0.02)
    raise NotStartedError(f"the node has no namespaces: {_said(log)}")


def _network_of(process: str) -> Path:
    return Path(f"/proc/{process}/ns/net").readlink()


def _said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-3000:]


def _program(name: str) -> str:
    located = native.locate(name)
    assert located is not None, f"{name} is missing: python -m tools.native ensure --group cluster"
    return str(located.path)


def _plan(control: ControlPlane, network: Network, place: Place, registry: str) -> Plan:
    directory = place.directory / "node"
    found = [_program(name) for name in ("containerd", "containerd-shim-runc-v2", "runc", "nft")]
    directories = dict.fromkeys(str(Path(program).parent) for program in found)
    containerd = _write(directory / "containerd.toml", _containerd(directory, registry))
    kubelet = _write_yaml(directory / "kubelet.yaml", _kubelet(control, network, directory, place.cgroup))
    proxy = _write_yaml(directory / "kube-proxy.yaml", _proxy(control, network))
    return Plan(
        directory=str(directory),
        interface=f"{place.link}-in",
        address=f"{network.node}/30",
        gateway=network.machine,
        covered={place: str(directory / place[1:].replace("/", "-")) for place in _COVERED},
        programs={
            "containerd": [_program("containerd"), "--config", str(containerd)],
            "kubelet": [
                *(_program("kubelet"), f"--config={kubelet}", f"--kubeconfig={control.kubeconfig(USER)}"),
                *(f"--hostname-override={NAME}", f"--node-ip={network.node}"),
                "--node-labels=topology.kubernetes.io/zone=zone",
            ],
            "kube-proxy": [_program("kube-proxy"), f"--config={proxy}"],
        },
        sockets={"containerd": _SOCKET},
        path=os.pathsep.join([*directories, os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]),
    )


def _containerd(directory: Path, registry: str) -> str:
    cni = directory / "cni"
    cni.mkdir()
    mirrors = directory / "mirrors" / "_default"
    mirrors.mkdir(parents=True)
    _write(mirrors / "hosts.toml", f'server = "{registry}"\n[host."{registry}"]\ncapabilities = ["pull", "resolve"]\n')
    plugins = Path(_program("cni-ptp")).parent / "root" / "usr" / "lib" / "cni"
    cri = 'plugins."io.containerd.cri.v1'
    return f"""version = 3
root = "{directory / "images"}"
[grpc]
address = "{_SOCKET}"
[{cri}.images".pinned_images]
sandbox = "{POD}"
[{cri}.images".registry]
config_path = "{mirrors.parent}"
[{cri}.runtime"]
restrict_oom_score_adj = true
disable_apparmor = true
[{cri}.runtime".cni]
bin_dirs = ["{plugins}"]
conf_dir = "{cni}"
[{cri}.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.runtime".containerd.runtimes.runc.options]
BinaryName = "{_program("runc")}"
SystemdCgroup = false
"""


def _network_of_pods(network: Network, directory: Path) -> None:
    # Each pod has a link of its own to the node, which routes: on a bridge, answers of a Service's pod would go around
    # the node to the pod that asked, which does not know them.
    plugin = {
        "type": "ptp",
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "dataDir": str(directory / "addresses"),
            "ranges": [[{"subnet": str(network.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    document = {"cniVersion": _CNI_VERSION, "name": "pods", "plugins": [plugin]}
    (directory / "cni" / "pods.conflist").write_text(json.dumps(document), encoding="utf-8")


def _kubelet(control: ControlPlane, network: Network, directory: Path, cgroup: str) -> Mapping[str, Any]:
    _network_of_pods(network, directory)
    serving = control.authority.issue("kubelet", user=USER, groups=("system:nodes",), addresses=(network.node,))
    resolver = _write(directory / "resolv.conf", "")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.node,
        "authentication": {"x509": {"clientCAFile": str(control.authority.own.file)}},
        "tlsCertFile": str(serving.file),
        "tlsPrivateKeyFile": str(serving.key),
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        "clusterDNS": [network.dns],
        "clusterDomain": DOMAIN,
        "resolvConf": str(resolver),
        "volumePluginDir": str(directory / "plugins"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        # The machine's disk is not the node's alone: how full it is says nothing about the test.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    }


def _proxy(control: ControlPlane, network: Network) -> Mapping[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(control.kubeconfig(PROXY))},
        "mode": "nftables",
        "clusterCIDR": str(network.pods),
        "hostnameOverride": NAME,
        "bindAddress": network.node,
        # These are the machine's, not the node's.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _write_yaml(path: Path, document: Mapping[str, Any]) -> Path:
    return _write(path, yaml.safe_dump(dict(document)))
