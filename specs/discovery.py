"""What Prometheus finds by asking a cluster's API server, and how."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from specs.monitoring import Discovery, ScrapeJob
from specs.workload import ApiRule

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path
AUTHORITY = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
NODE_NAMESPACE = "-node"
"""Ending of the namespace of what sees its node."""


def keep(pattern: str, *labels: str) -> dict[str, Any]:
    """A relabelling that keeps targets whose labels, joined by `;`, match."""
    return {"source_labels": list(labels), "regex": pattern, "action": "keep"}


def take(label: str, target: str, pattern: str = "(.+)", replacement: str = "$1") -> dict[str, Any]:
    """A relabelling that makes `target` of `label`, where it matches."""
    return {"source_labels": [label], "regex": pattern, "target_label": target, "replacement": replacement}


POD = (
    take("__meta_kubernetes_namespace", "namespace"),
    take("__meta_kubernetes_pod_name", "pod"),
    take("__meta_kubernetes_pod_container_name", "container"),
    take("__meta_kubernetes_pod_node_name", "node"),
)
"""Where a sample of a pod comes from."""


def own_pods(namespace: str, workload: str, port: int, *, every_node: bool = False) -> Discovery:
    """Every replica of a workload of the stack, each by its own address. `instance` is `<pod>:<port>`, so that series
    go on when a pod of the same name comes back elsewhere; of what is on every node, whose pods have another name after
    each rollout, it is the node."""
    instance = (
        take("__meta_kubernetes_pod_node_name", "instance")
        if every_node
        else take("__meta_kubernetes_pod_name", "instance", replacement=f"$1:{port}")
    )
    return Discovery(
        role="pod",
        # The same words in every job: Prometheus then asks once for all of them.
        namespaces=(namespace, f"{namespace}{NODE_NAMESPACE}"),
        relabel=(
            keep("observability", "__meta_kubernetes_pod_label_app_kubernetes_io_part_of"),
            keep(
                f"{workload};{port}",
                "__meta_kubernetes_pod_label_app_kubernetes_io_instance",
                "__meta_kubernetes_pod_container_port_number",
            ),
            # A pod that has ended keeps its last address.
            {
                "source_labels": ["__meta_kubernetes_pod_phase"],
                "regex": "Succeeded|Failed",
                "action": "drop",
            },
            *POD,
            instance,
        ),
    )


ENDED = {"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Succeeded|Failed", "action": "drop"}
"""A pod that has ended keeps its last address."""
INITIAL = {"source_labels": ["__meta_kubernetes_pod_container_init"], "regex": "true", "action": "drop"}
"""Init containers have no ports that stay."""


def _meta(labels: Iterable[str]) -> list[str]:
    """What discovery calls labels of pods."""
    return [f"__meta_kubernetes_pod_label_{re.sub('[^a-zA-Z0-9_]', '_', label)}" for label in labels]


def labelled_pods(namespace: str, labels: Mapping[str, str], port: int) -> Discovery:
    """Pods of a namespace with these labels, each by its own address at `port`, whether or not they declare it."""
    address = ((r"([\d.]+)", f"$1:{port}"), (r"([\da-fA-F]*:[\da-fA-F:]*)", f"[$1]:{port}"))
    return Discovery(
        role="pod",
        namespaces=(namespace,),
        relabel=(
            keep(";".join(map(re.escape, labels.values())), *_meta(labels)),
            ENDED,
            INITIAL,
            *(take("__meta_kubernetes_pod_ip", "__address__", *each) for each in address),
            # Not the container: a pod is found once for each port that its containers declare, and these are one target.
            take("__meta_kubernetes_namespace", "namespace"),
            take("__meta_kubernetes_pod_name", "pod"),
            take("__meta_kubernetes_pod_node_name", "node"),
            take("__meta_kubernetes_pod_name", "instance", replacement=f"$1:{port}"),
        ),
    )


def already_found(namespace: str, labels: Mapping[str, str], port: int, path: str) -> dict[str, Any]:
    """A relabelling that leaves out the page `path` at `port` of pods that `labelled_pods` finds. It follows what sets
    address and path."""
    return {
        "source_labels": ["__meta_kubernetes_namespace", *_meta(labels), "__address__", "__metrics_path__"],
        "regex": ";".join(map(re.escape, (namespace, *labels.values()))) + f";.+:{port};{re.escape(path)}",
        "action": "drop",
    }


def _made_by(target: str) -> tuple[dict[str, Any], ...]:
    """Has `target` be the name of the Deployment, StatefulSet or other that made a pod, or the pod's own."""
    kind, name = "__meta_kubernetes_pod_controller_kind", "__meta_kubernetes_pod_controller_name"
    return (
        take("__meta_kubernetes_pod_name", target),
        take(name, target),
        # A ReplicaSet has the name of its Deployment, and a hash.
        {
            "source_labels": [kind, name],
            "regex": "ReplicaSet;(.+)-[0-9a-z]{5,10}",
            "target_label": target,
            "replacement": "$1",
        },
    )


def applications(environment: str, namespace: str, elsewhere: Iterable[dict[str, Any]] = ()) -> ScrapeJob:
    """Pods of applications that ask to be scraped, by annotations (docs/kubernetes.md). `namespace` is the stack's own,
    whose pods have jobs of their own; `elsewhere` are relabellings that leave out what other jobs scrape."""
    annotation = "__meta_kubernetes_pod_annotation_prometheus_io_"
    label = "__meta_kubernetes_pod_label_app_kubernetes_io_"
    return ScrapeJob(
        name="applications",
        targets=(),
        labels={"environment": environment},
        discovery=Discovery(
            role="pod",
            relabel=(
                keep("true", f"{annotation}scrape"),
                {
                    "source_labels": ["__meta_kubernetes_namespace"],
                    "regex": f"{namespace}|{namespace}{NODE_NAMESPACE}",
                    "action": "drop",
                },
                {"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Succeeded|Failed", "action": "drop"},
                # Init containers have no ports that stay.
                {"source_labels": ["__meta_kubernetes_pod_container_init"], "regex": "true", "action": "drop"},
                # With no port that is named, ports whose name says that they tell metrics; with one, that alone.
                keep(r"\d+;.*|;.*metrics.*", f"{annotation}port", "__meta_kubernetes_pod_container_port_name"),
                {
                    "source_labels": [f"{annotation}port", "__meta_kubernetes_pod_container_port_number"],
                    "regex": r"(\d+);(\d*)",
                    "target_label": "__tmp_port",
                    "replacement": "$1",
                },
                {
                    "source_labels": ["__meta_kubernetes_pod_ip", "__tmp_port"],
                    "regex": r"([\d.]+);(\d+)",
                    "target_label": "__address__",
                    "replacement": "$1:$2",
                },
                {
                    "source_labels": ["__meta_kubernetes_pod_ip", "__tmp_port"],
                    "regex": r"([\da-fA-F:]+:[\da-fA-F:]*);(\d+)",
                    "target_label": "__address__",
                    "replacement": "[$1]:$2",
                },
                take(f"{annotation}path", "__metrics_path__"),
                take(f"{annotation}scheme", "__scheme__", "(https?)"),
                *elsewhere,
                # Nothing of the container: each container of a pod is found, and they are one target if nothing tells
                # them apart.
                *(step for step in POD if step["target_label"] != "container"),
                # The system, by the first of: an annotation of ours, the application's part-of, its name.
                *_made_by("app"),
                take(f"{label}name", "app"),
                take(f"{label}part_of", "app"),
                take("__meta_kubernetes_pod_annotation_observability_app", "app"),
                *_made_by("service"),
                take(f"{label}component", "service"),
                take("__meta_kubernetes_pod_annotation_observability_service", "service"),
                {
                    "source_labels": ["__meta_kubernetes_pod_name", "__address__"],
                    "regex": r"(.+);.+:(\d+)",
                    "target_label": "instance",
                    "replacement": "$1:$2",
                },
            ),
        ),
    )


def scrape(job: ScrapeJob) -> dict[str, Any]:
    """The part of a job's `scrape_config` that is about what is discovered; empty without."""
    found = job.discovery
    if found is None:
        return {}
    names: dict[str, Any] = {"namespaces": {"names": list(found.namespaces)}} if found.namespaces else {}
    fixed = [{"target_label": label, "replacement": value} for label, value in job.labels.items()]
    token: dict[str, Any] = {
        "scheme": "https",
        "tls_config": {
            "ca_file": AUTHORITY,
            **({"server_name": found.server_name} if found.server_name else {}),
            **({} if found.verified else {"insecure_skip_verify": True}),
        },
        "authorization": {"credentials_file": TOKEN},
    }
    return {
        **({"honor_labels": True} if found.honor_labels else {}),
        **({"track_timestamps_staleness": True} if found.dated else {}),
        **(token if found.by_token else {}),
        "kubernetes_sd_configs": [{"role": found.role, **names}],
        "relabel_configs": [*(dict(step) for step in found.relabel), *fixed],
        **({"metric_relabel_configs": [dict(step) for step in found.drop]} if found.drop else {}),
    }


def asks_for(jobs: Mapping[str, ScrapeJob] | tuple[ScrapeJob, ...]) -> tuple[ApiRule, ...]:
    """What Prometheus must be allowed to do to find the targets of `jobs`, and no more."""
    each = tuple(jobs.values()) if isinstance(jobs, Mapping) else jobs
    roles = {job.discovery.role for job in each if job.discovery}
    core = tuple(
        resource
        for resource, role in (("pods", "pod"), ("nodes", "node"), ("services", "service"))
        if role in roles or (resource in {"pods", "services"} and "endpointslice" in roles)
    )
    rules = [ApiRule(resources=core)] if core else []
    if "endpointslice" in roles:
        rules.append(ApiRule(groups=("discovery.k8s.io",), resources=("endpointslices",)))
    rights = [right for job in each if job.discovery for right in job.discovery.rights]
    return (*rules, *dict.fromkeys(rights))
