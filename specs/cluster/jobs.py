"""What is scraped of a cluster, and how."""

from collections.abc import Mapping, Sequence
from typing import Any

from specs.cluster import kept, state
from specs.cluster.flavors import Reach, reach
from specs.cluster.names import API, APP, CONTAINERS, CONTROLLERS, DNS, KUBELET, PROBES, SCHEDULER
from specs.cluster.owners import steps
from specs.discovery import POD, keep, take
from specs.monitoring import Discovery, ScrapeJob
from specs.part import Context
from specs.system import System
from specs.workload import ApiRule

DNS_PORT = 9153
_GET = ("get",)
_EKS = "metrics.eks.amazonaws.com"
_LINKS = "(veth|cali|cilium|lxc|azv|gke|eni|flannel|cni|tunl|docker|br-|kube|nodelocaldns|dummy|vxlan|lo).*"
"""Interfaces of a node, which pods in its network would each tell of again."""


def only(*names: str) -> Mapping[str, Any]:
    """A relabelling of samples that keeps metrics of these names."""
    return keep("|".join(names), "__name__")


def _drop(pattern: str, *labels: str) -> Mapping[str, Any]:
    return {"source_labels": list(labels), "regex": pattern, "action": "drop"}


def _labels(context: Context, service: str) -> dict[str, str]:
    return context.labels(APP, service)


def _kubelet(context: Context, reached: Reach, name: str, path: str, drop: tuple[Mapping[str, Any], ...]) -> ScrapeJob:
    """A page of every node's kubelet. `instance` is the node's name, which stays when its address changes."""
    return ScrapeJob(
        name=name,
        targets=(),
        path=path,
        labels=_labels(context, KUBELET),
        discovery=Discovery(
            role="node",
            relabel=(take("__meta_kubernetes_node_name", "node"), take("__meta_kubernetes_node_name", "instance")),
            drop=(only(*kept.KEPT[name]), *drop),
            by_token=True,
            rights=(ApiRule(resources=("nodes/metrics",), verbs=_GET),),
            verified=reached.verified_kubelets,
            dated=name == CONTAINERS,
        ),
        fleeting=True,
    )


def _kubelets(context: Context, systems: Sequence[System], reached: Reach) -> tuple[ScrapeJob, ...]:
    owner = steps(context, systems)
    containers = (
        # What is in no pod is the node's own, which node_exporter measures.
        keep(".+", "pod"),
        # A pod as a whole, and the container that holds its network, say again what its containers say; its network
        # belongs to no other.
        _drop("container_(cpu|memory|fs|spec)_.+;(POD)?", "__name__", "container"),
        _drop(_LINKS, "interface"),
        # `id` alone tells a container from the one before it.
        {"regex": "image|name", "action": "labeldrop"},
        *owner,
    )
    # Of kubelets alone is what has no namespace: it stays the cluster's, and the kubelet's.
    return (
        _kubelet(context, reached, KUBELET, "/metrics", owner),
        _kubelet(context, reached, CONTAINERS, "/metrics/cadvisor", containers),
        _kubelet(
            context,
            reached,
            PROBES,
            "/metrics/probes",
            (keep("failed", "result"), {"regex": "pod_uid", "action": "labeldrop"}, *owner),
        ),
    )


_DURATIONS = "apiserver_request_sli_duration_seconds_bucket"


def _of_api(names: Sequence[str]) -> Mapping[str, Any]:
    """Keeps metrics of these names; of the durations, which are most of all there is, the buckets that are judged by."""
    others = "|".join(name for name in names if name != _DURATIONS)
    return keep(rf"{_DURATIONS};(1|30)(\.0)?|({others});.*", "__name__", "le")


def _api(context: Context, name: str, path: str, right: ApiRule, kept_here: Mapping[str, Any]) -> ScrapeJob:
    """A page of every API server. Their addresses need not be in their certificate; the name of their Service is."""
    return ScrapeJob(
        name=name,
        targets=(),
        path=path,
        labels=_labels(context, name),
        discovery=Discovery(
            role="endpointslice",
            namespaces=("default",),
            relabel=(
                keep(
                    "kubernetes;https",
                    "__meta_kubernetes_endpointslice_label_kubernetes_io_service_name",
                    "__meta_kubernetes_endpointslice_port_name",
                ),
            ),
            drop=(kept_here,),
            by_token=True,
            rights=(right,),
            server_name="kubernetes",
        ),
    )


def _api_servers(context: Context, reached: Reach) -> tuple[ScrapeJob, ...]:
    more = (*kept.OF_SCHEDULER, *kept.OF_CONTROLLERS) if reached.controllers == "in-api" else ()
    page = ApiRule(groups=(), urls=("/metrics",), verbs=_GET)
    jobs = [_api(context, API, "/metrics", page, _of_api((*kept.KEPT[API], *more)))]
    if reached.controllers == "behind-api":
        for name, short in ((SCHEDULER, "ksh"), (CONTROLLERS, "kcm")):
            right = ApiRule(groups=(_EKS,), resources=(f"{short}/metrics",), verbs=_GET)
            jobs.append(
                _api(context, name, f"/apis/{_EKS}/v1/{short}/container/metrics", right, only(*kept.KEPT[name]))
            )
    return tuple(jobs)


def _dns(context: Context) -> ScrapeJob:
    """CoreDNS' pods, whether or not its Service has their port."""
    return ScrapeJob(
        name=DNS,
        targets=(),
        labels=_labels(context, DNS),
        discovery=Discovery(
            role="pod",
            namespaces=("kube-system",),
            relabel=(
                keep(
                    f"kube-dns;{DNS_PORT}",
                    "__meta_kubernetes_pod_label_k8s_app",
                    "__meta_kubernetes_pod_container_port_number",
                ),
                _drop("Succeeded|Failed", "__meta_kubernetes_pod_phase"),
                *POD,
                take("__meta_kubernetes_pod_name", "instance", replacement=f"$1:{DNS_PORT}"),
            ),
            drop=(only(*kept.KEPT[DNS]),),
        ),
    )


def jobs(context: Context, systems: Sequence[System]) -> tuple[ScrapeJob, ...]:
    """Every scrape job of the cluster."""
    reached = reach(context.settings.kubernetes)
    return (
        *state.jobs(context, systems),
        *_kubelets(context, systems, reached),
        *_api_servers(context, reached),
        *([_dns(context)] if reached.dns else []),
    )
