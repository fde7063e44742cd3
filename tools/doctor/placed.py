"""The files that running programs have, wherever they run. Files of secrets are never read."""

import io
import tarfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import psutil
from docker.errors import DockerException, NotFound

from components.runtimes.containers import CONFIG
from processes import supervision
from processes.home import Home
from specs.discovery import NODE_NAMESPACE
from specs.stack import Stack
from specs.workload import Workload

if TYPE_CHECKING:
    from tools.docker_engine import Containers
    from tools.kubernetes_cluster import Pods

MOST_BYTES = 64 * 2**20
"""Of all files of one program: what is more is no configuration."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """What one program has."""

    texts: Mapping[str, str]
    """Path below its configuration directory → text."""
    changed: float = 0.0
    """When the last of them changed, in seconds since 1970; 0: they cannot change while it runs."""
    started: float = 0.0
    """When the program started; 0: unknown."""


class Placed(Protocol):
    """Where files of programs are read."""

    def read(self) -> Mapping[str, Files]:
        """What each part has, by its name, all but secrets; a part that has nothing is not there. Waits for others.

        Raises ProcessError where what keeps the programs does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Files of processes, below a home."""

    stack: Stack
    home: Home

    def read(self) -> Mapping[str, Files]:
        """Those of the directories that the programs read."""
        there = [workload for workload in self.stack.workloads if self.home.config(workload.name).is_dir()]
        return {workload.name: self._of(workload) for workload in there}

    def _of(self, workload: Workload) -> Files:
        config = self.home.config(workload.name)
        found = {
            path: file
            for file in sorted(config.rglob("*"))
            if file.is_file() and (path := file.relative_to(config).as_posix()) not in workload.secrets
        }
        return Files(
            texts={path: file.read_text(encoding="utf-8", errors="replace") for path, file in found.items()},
            changed=max((file.stat().st_mtime for file in found.values()), default=0.0),
            started=self._started(workload.name),
        )

    def _started(self, name: str) -> float:
        state = supervision.state(self.home, name)
        try:
            return psutil.Process(state.pid).create_time() if state and state.pid else 0.0
        except psutil.Error:
            return 0.0


@dataclass(frozen=True, slots=True)
class InContainers:
    """Files of containers, which the engine hands out as archives."""

    containers: "Containers"

    def read(self) -> Mapping[str, Files]:
        """Those of the volumes that the programs read, also while they do not run."""
        workloads = [workload for workload in self.containers.stack.workloads if workload.files]
        with ThreadPoolExecutor(max_workers=8) as pool:
            found = zip(workloads, pool.map(self._of, workloads), strict=True)
            return {workload.name: files for workload, files in found if files is not None}

    def _of(self, workload: Workload) -> Files | None:
        # Only here, since what follows is of stacks in containers alone.
        from tools.docker_engine import EngineError, words

        name = self.containers.name(workload.name)
        try:
            started = str(self.containers.api.inspect_container(name)["State"]["StartedAt"])
            packed = _bounded(self.containers.api.get_archive(name, CONFIG)[0], name)
        except NotFound:
            return None
        except DockerException as problem:
            raise EngineError(f"{name}: {words(problem)}") from None
        texts: dict[str, str] = {}
        changed = 0.0
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for member in archive:
                path = member.name.partition("/")[2]
                file = archive.extractfile(member) if path not in workload.secrets else None
                if file is not None:
                    texts[path] = file.read().decode(errors="replace")
                    changed = max(changed, float(member.mtime))
        # Nanoseconds, of which the first 19 characters are whole seconds; a program that never ran has the year 1.
        moment = datetime.fromisoformat(f"{started[:19]}+00:00")
        return Files(texts=texts, changed=changed, started=moment.timestamp() if moment.year > 1 else 0.0)


def _bounded(stream: Iterable[bytes], name: str) -> bytes:
    from tools.docker_engine import EngineError

    packed = bytearray()
    for chunk in stream:
        packed += chunk
        if len(packed) > MOST_BYTES:
            raise EngineError(f"{name}: {CONFIG} has more than {MOST_BYTES // 2**20} MB")
    return bytes(packed)


@dataclass(frozen=True, slots=True)
class InPods:
    """Files of pods: ConfigMaps that never change, under names that the pods have."""

    pods: "Pods"

    def read(self) -> Mapping[str, Files]:
        """Those of the ConfigMaps of each part's newest pod."""
        # Only here, since it is the tool of stacks on a cluster alone.
        from tools.kubernetes_cluster import OWN

        pods: dict[str, dict[str, Any]] = {}
        texts: dict[tuple[str, str], Mapping[str, str]] = {}
        for namespace in (self.pods.namespace, f"{self.pods.namespace}{NODE_NAMESPACE}"):
            for found in self.pods.objects("pods,configmaps", f"--namespace={namespace}", f"--selector={OWN}"):
                metadata = found["metadata"]
                if found["kind"] == "ConfigMap":
                    texts[namespace, metadata["name"]] = found.get("data") or {}
                    continue
                part = str(metadata["labels"]["app.kubernetes.io/instance"])
                if part not in pods or _born(found) > _born(pods[part]):
                    pods[part] = found
        return {part: Files(texts=_mounted(pod, texts)) for part, pod in pods.items()}


def _born(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _mounted(pod: Mapping[str, Any], texts: Mapping[tuple[str, str], Mapping[str, str]]) -> dict[str, str]:
    """What the ConfigMaps `texts`, by namespace and name, are in the configuration directory of a pod's own program:
    by path."""
    namespace, part = pod["metadata"]["namespace"], pod["metadata"]["labels"]["app.kubernetes.io/instance"]
    mounted = {
        mount["name"]
        for container in pod["spec"]["containers"]
        if container["name"] == part
        for mount in container.get("volumeMounts") or ()
        if mount["mountPath"] == CONFIG
    }
    volumes: list[dict[str, Any]] = pod["spec"].get("volumes") or []
    sources: list[dict[str, Any]] = [
        source["configMap"]
        for volume in volumes
        if volume["name"] in mounted and "projected" in volume
        for source in volume["projected"]["sources"]
        if "configMap" in source
    ]
    return {
        str(item["path"]): data[item["key"]]
        for source in sources
        for data in (texts.get((namespace, source["name"]), {}),)
        for item in source["items"]
        if item["key"] in data
    }
