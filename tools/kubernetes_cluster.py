"""A stack on a cluster, by kubectl: what is in its way, how its parts are, what they say, what is left of it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.runtimes.containers import DATA_VOLUME
from processes.errors import ProcessError
from specs import links
from specs.discovery import NODE_NAMESPACE
from specs.flows import namespace_of
from specs.settings import KEY
from specs.stack import Stack
from specs.workload import Port
from tools import health

SECONDS = 10
"""How long a cluster is waited for."""
OWN = "app.kubernetes.io/part-of=observability"
_CONTROLLERS = "deployments,statefulsets,daemonsets"


class ClusterError(ProcessError):
    """No cluster answers, or it lacks something; `str()` is for people."""


def kubectl() -> str:
    """The kubectl of PATH, or that of the requirements. Raises ClusterError where there is none."""
    beside = Path(sys.executable).with_name("kubectl")
    found = shutil.which("kubectl") or (str(beside) if beside.exists() else None)
    if found is None:
        raise ClusterError("kubectl is not on PATH (install it: https://kubernetes.io/docs/tasks/tools)")
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Pods:
    """The pods of a stack, in the cluster of the user's kubeconfig."""

    stack: Stack
    context: str = ""
    """Name of the kubeconfig's context; empty: its current one."""

    @property
    def namespace(self) -> str:
        """The stack's own namespace; what sees nodes is in another."""
        return self.stack.context.settings.kubernetes.namespace

    def command(self, *arguments: str) -> list[str]:
        """Kubectl with the context, and the arguments."""
        return [kubectl(), *([f"--context={self.context}"] if self.context else []), *arguments]

    def _run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        wait = f"--request-timeout={SECONDS}s"
        return subprocess.run(self.command(wait, *arguments), capture_output=True, text=True, check=False)

    def objects(self, kinds: str, *arguments: str) -> list[dict[str, Any]]:
        """Objects of `kinds`. Raises ClusterError with kubectl's words."""
        done = self._run("get", kinds, "--output=json", *arguments)
        if done.returncode:
            raise ClusterError(f"kubectl get {kinds}: {_last(done.stderr)}")
        found: list[dict[str, Any]] = json.loads(done.stdout)["items"]
        return found

    def reach(self) -> None:
        """Raise ClusterError in one line when no cluster answers."""
        if (asked := self._run("version", "--output=json")).returncode:
            which = f"the context {self.context}" if self.context else "the current context of the kubeconfig"
            raise ClusterError(
                f"no cluster answers: {_last(asked.stderr)} ({which}; another: kubectl config use-context <name>, or"
                " pulumi config set kubernetes:context <name>)"
            )

    def refuse(self) -> None:
        """Raise ClusterError naming, a line each, what would keep pods from ever starting: no cluster that answers, no
        storage class, Secrets that do not exist."""
        self.reach()
        lines = [*self._storage(), *self._secrets()]
        if lines:
            raise ClusterError("\n".join(lines))

    def _storage(self) -> Iterator[str]:
        wanted = self.stack.context.settings.kubernetes.storage_class
        if not any(workload.volume for workload in self.stack.workloads):
            return
        classes = {
            str(found["metadata"]["name"]): found["metadata"].get("annotations", {})
            for found in self.objects("storageclasses")
        }
        default = "storageclass.kubernetes.io/is-default-class"
        known = ", ".join(sorted(classes)) or "none"
        key = f"{self.stack.context.file}: {KEY}.kubernetes.storage_class"
        if wanted is not None and wanted not in classes:
            yield f"{key}: the cluster has no class {wanted} (accepted: {known})"
        if wanted is None and not any(notes.get(default) == "true" for notes in classes.values()):
            yield f"{key}: required, since the cluster has no default class (accepted: {known})"

    def _secrets(self) -> Iterator[str]:
        # Its keys, and nothing of what they hold.
        keys = "--output=go-template={{range $key, $_ := .data}}{{$key}}\n{{end}}"
        own = f"--namespace={self.namespace}"
        for key, wanted in self.stack.context.settings.kubernetes.secrets.items():
            where = f"{self.stack.context.file}: {KEY}.kubernetes.secrets.{key}"
            asked = self._run("get", "secret", wanted.name, own, keys)
            found = asked.stdout.split()
            if asked.returncode:
                yield f"{where}: {_last(asked.stderr)} (make it first, in the namespace {self.namespace})"
            elif wanted.key not in found:
                yield f"{where}: the Secret {wanted.name} has no key {wanted.key} (accepted: {', '.join(found)})"

    def running(self) -> Mapping[str, health.Running]:
        """Every part, by what its controller says of its replicas, and its pods of themselves."""
        self.reach()
        names = (self.namespace, f"{self.namespace}{NODE_NAMESPACE}")
        found = [
            each
            for namespace in names
            for each in self.objects(f"{_CONTROLLERS},pods", f"--namespace={namespace}", f"--selector={OWN}")
        ]
        by_name: dict[str, list[dict[str, Any]]] = {}
        for each in found:
            by_name.setdefault(str(each["metadata"]["labels"]["app.kubernetes.io/instance"]), []).append(each)
        return {
            workload.name: health.Running(words=words(by_name.get(workload.name, ())))
            for workload in self.stack.workloads
        }

    def reaches(self, port: Port) -> bool:
        """None: the cluster's own probes ask."""
        del port
        return False

    def targets(self) -> Mapping[str, bool]:
        """Nobody needs them, since the cluster asks every part."""
        return {}

    def forwarding(self) -> str:
        """How people open what no ingress leads to."""
        inside = [
            f"  kubectl --namespace {self.namespace} port-forward service/{workload.name} {workload.ports[0].number}"
            for workload in self.stack.workloads
            if workload.ports[0].published and not links.public_url(self.stack.context, workload.name)
        ]
        return "\n".join(["from here, each by a command of its own:", *inside]) if inside else ""

    def logs(self, names: Sequence[str], *, lines: int, follow: bool) -> int:
        """Print what pods of the parts `names` say; the exit status is kubectl's. Raises ClusterError."""
        self.reach()
        status = 0
        kubernetes = self.stack.context.settings.kubernetes
        where = {name: namespace_of(self.stack.workload(name), kubernetes) for name in names}
        for namespace in sorted(set(where.values())):
            chosen = [name for name in names if where[name] == namespace]
            arguments = (
                *("logs", f"--namespace={namespace}", f"--selector=app.kubernetes.io/instance in ({','.join(chosen)})"),
                *(f"--tail={lines}", "--prefix", "--all-containers", "--max-log-requests=100", "--ignore-errors"),
                *(["--follow"] if follow else []),
            )
            status = status or subprocess.run(self.command(*arguments), check=False).returncode
        return status

    def claims(self) -> list[str]:
        """Names of the claims of volumes that the stack's parts have, or had; those that are being deleted left out."""
        wanted = tuple(f"{DATA_VOLUME}-{workload.name}-" for workload in self.stack.workloads)
        found = self.objects("persistentvolumeclaims", f"--namespace={self.namespace}")
        kept = [each["metadata"] for each in found if "deletionTimestamp" not in each["metadata"]]
        return sorted(name for each in kept if (name := str(each["name"])).startswith(wanted))

    def forget(self, claims: Sequence[str]) -> None:
        """Delete claims, and so the data. Raises ClusterError with kubectl's words."""
        done = self._run("delete", "persistentvolumeclaims", f"--namespace={self.namespace}", "--wait=false", *claims)
        if done.returncode:
            raise ClusterError(f"kubectl delete: {_last(done.stderr)}")


def words(found: Sequence[Mapping[str, Any]]) -> str:
    """How a part is, by its controller and its pods: `healthy`, or what is wrong."""
    pods = [each for each in found if each["kind"] == "Pod"]
    controller = next((each for each in found if each["kind"] != "Pod"), None)
    if controller is None:
        return "not deployed"
    status: Mapping[str, Any] = controller.get("status", {})
    if controller["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        ready, new = status.get("numberReady", 0), status.get("updatedNumberScheduled", 0)
    else:
        wanted = controller["spec"].get("replicas", 1)
        ready, new = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    seen = status.get("observedGeneration") == controller["metadata"].get("generation")
    if seen and ready == new == wanted:
        return "healthy" if wanted else "no node takes it"
    reasons = list(dict.fromkeys(reason for pod in pods if (reason := _trouble(pod))))
    count = f"{ready} of {wanted} ready" if ready < wanted or not seen else f"{new} of {wanted} renewed"
    return f"{count}: {'; '.join(reasons)}" if reasons else count


def _trouble(pod: Mapping[str, Any]) -> str:
    """Why a pod is not ready; empty where it does not say so."""
    status: Mapping[str, Any] = pod.get("status", {})
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason", "not scheduled"))
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting: Mapping[str, Any] = container.get("state", {}).get("waiting", {})
        last: Mapping[str, Any] = container.get("lastState", {}).get("terminated", {})
        reason = str(waiting.get("reason", ""))
        if reason in {"ContainerCreating", "PodInitializing"} or not reason:
            if not container.get("ready") and last:
                return f"{container['name']} ended: {last.get('reason')} ({last.get('exitCode')})"
            continue
        ended = f", it ended with {last['exitCode']} ({last.get('reason')})" if "exitCode" in last else ""
        image = f" of {container['image']}" if "mage" in reason else ""
        return f"{container['name']}: {reason}{image}{ended}"
    return str(status.get("message", ""))


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ").strip() if lines else "it says nothing"
