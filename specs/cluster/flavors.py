"""Whose cluster it is, and so what of it can be scraped. The one place that knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from specs.settings import Flavor, Kubernetes


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """What Prometheus reaches. API server and kubelets it reaches everywhere."""

    dns: bool = True
    """Whether CoreDNS has pods with the usual label and port."""
    verified_kubelets: bool = False
    """Whether kubelets' certificates are of the cluster's authority."""
    controllers: Literal["nowhere", "behind-api", "in-api"] = "nowhere"
    """Where scheduler and controllers tell their metrics: nowhere that a pod reaches, at paths of the API server, or
    among the API server's own."""
    own_certificates: bool = False
    """Whether the control plane's certificates are renewed by whoever runs the cluster."""


_KUBEADM = Reach(own_certificates=True)
"""Scheduler, controller manager and etcd listen on 127.0.0.1 of their node (kubeadm's manifests: `bind-address`), so no
pod reaches them; kubelets sign their own serving certificates."""

REACH: Mapping[Flavor, Reach] = MappingProxyType(
    {
        # https://docs.aws.amazon.com/eks/latest/userguide/view-raw-metrics.html: since 1.28, behind the API server.
        # A signer of its own gives kubelets certificates of the cluster's authority.
        Flavor.EKS: Reach(controllers="behind-api", verified_kubelets=True),
        # https://cloud.google.com/kubernetes-engine/docs/how-to/control-plane-metrics: told to Google's own monitoring
        # only. DNS is Cloud DNS, or kube-dns, which before 1.36 has other metrics at another port
        # (https://cloud.google.com/kubernetes-engine/docs/concepts/kube-dns).
        Flavor.GKE: Reach(dns=False),
        # https://learn.microsoft.com/azure/aks/control-plane-metrics-monitor: told to Azure's own Prometheus only.
        # CoreDNS' pods have the usual port, though its Service has not (https://github.com/Azure/AKS/issues/3511).
        Flavor.AKS: Reach(),
        # https://github.com/k3s-io/k3s/issues/3619: one process, whose every page of metrics has those of all parts.
        # Kubelets' certificates are of the server authority that pods are given (https://github.com/k3s-io/k3s/pull/3599).
        Flavor.K3S: Reach(controllers="in-api", verified_kubelets=True, own_certificates=True),
        Flavor.KIND: _KUBEADM,
        Flavor.GENERIC: _KUBEADM,
    }
)


def reach(kubernetes: Kubernetes) -> Reach:
    """What Prometheus reaches in this cluster: as its flavor has it, but for what its settings say."""
    usual, watch = REACH[kubernetes.flavor], kubernetes.watch
    if watch is None:
        return usual
    return Reach(
        dns=usual.dns if watch.dns is None else watch.dns,
        verified_kubelets=usual.verified_kubelets if watch.verify_kubelets is None else watch.verify_kubelets,
        controllers=usual.controllers,
        own_certificates=usual.own_certificates,
    )
