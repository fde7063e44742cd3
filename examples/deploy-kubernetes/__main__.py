"""Deploys the service `web` of the application `shop` on the cluster that the observability stack watches.

All it knows of that stack comes from its outputs: where telemetry goes and which pods take it, how pods say that they
are to be scraped, and where the deployment is marked.
"""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.networking import v1 as networking

from observability_outputs import Stack

APP = "shop"
SERVICE = "web"
PORT = 8000
DNS = 53

config = pulumi.Config()
namespace = config.require("namespace")
version = config.require("version")
stack = Stack.of(pulumi.StackReference(config.require("observability")))
labels = stack.pod_labels(SERVICE, app=APP, version=version)
# Selectors never change, so they do without the version.
chosen = stack.pod_labels(SERVICE, app=APP)


def variables(block: Mapping[str, str]) -> list[core.EnvVarArgsDict]:
    """`block` as a container has it."""
    return [{"name": name, "value": value} for name, value in sorted(block.items())]


def reached(ports: Sequence[int]) -> list[networking.NetworkPolicyPortArgsDict]:
    """`ports` as a policy names them."""
    return [{"port": port, "protocol": "TCP"} for port in ports]


# Empty where the stack takes no errors. Not among the plain variables: the DSN is a secret.
errors = core.Secret(
    f"{APP}-{SERVICE}-errors",
    metadata={"namespace": namespace, "labels": labels},
    string_data=stack.sentry_env(app=APP, version=version),
)
deployment = apps.Deployment(
    f"{APP}-{SERVICE}",
    metadata={"name": SERVICE, "namespace": namespace, "labels": labels},
    spec={
        "replicas": 2,
        "selector": {"match_labels": chosen},
        "template": {
            "metadata": {
                "labels": labels,
                "annotations": stack.scrape_annotations(PORT, "/metrics", service=SERVICE, app=APP),
            },
            "spec": {
                "automount_service_account_token": False,
                "security_context": {
                    "run_as_non_root": True,
                    "run_as_user": 65532,
                    "seccomp_profile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": SERVICE,
                        "image": config.require("image"),
                        "env": stack.otel_env(SERVICE, app=APP, version=version).apply(variables),
                        "env_from": [{"secret_ref": {"name": errors.metadata["name"]}}],
                        "ports": [{"name": "http", "container_port": PORT}],
                        "readiness_probe": {"http_get": {"path": "/health", "port": "http"}},
                        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}},
                        "security_context": {
                            "allow_privilege_escalation": False,
                            "read_only_root_filesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
        },
    },
)
# With a policy for egress a pod may dial what policies name, and nothing else: add what the service itself needs.
networking.NetworkPolicy(
    f"{APP}-{SERVICE}-telemetry",
    metadata={"name": f"{SERVICE}-telemetry", "namespace": namespace, "labels": labels},
    spec={
        "pod_selector": {"match_labels": chosen},
        "policy_types": ["Egress"],
        "egress": [
            {
                "to": [
                    {
                        "namespace_selector": {
                            "match_labels": {"kubernetes.io/metadata.name": stack.kubernetes_namespace}
                        },
                        "pod_selector": {"match_labels": stack.collector_labels},
                    }
                ],
                "ports": stack.collector_ports.apply(reached),
            },
            {
                "to": [{"namespace_selector": {}, "pod_selector": {"match_labels": {"k8s-app": "kube-dns"}}}],
                "ports": [{"port": DNS, "protocol": "UDP"}, {"port": DNS, "protocol": "TCP"}],
            },
        ],
    },
)
# A token of a service account with the role Editor: Grafana makes none where it reads files. Without one, CI marks the
# deployment (.github/workflows/deploy.yml).
token = config.get_secret("grafanaToken")
if token is not None:
    stack.annotate(
        f"{APP} {version}",
        app=APP,
        version=version,
        tags=[SERVICE],
        token=token,
        opts=pulumi.ResourceOptions(depends_on=[deployment]),
    )
