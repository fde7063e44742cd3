"""The production stack in the forms that a team may give it: what the API server is shown."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, cast

import yaml

from components.manifests import manifests
from specs.model import parse
from specs.settings import KEY, Settings, read_yaml
from specs.stack import Stack, build
from tests.deployment import ROOT

Object = dict[str, Any]
"""An object of a cluster, as JSON."""

_STORAGE = {"endpoint": "s3.example.com", "metrics_bucket": "metrics", "logs_bucket": "logs"}
_DATABASE = {"address": "postgres.example.com:5432", "user": "grafana", "password": {"secret": "grafana-database"}}
_SERVERS = {"store": "opensearch", "servers": ["https://opensearch.example.com:9200"]}
_HOSTS = {name: f"{name}.example.com" for name in ("grafana", "prometheus", "alertmanager", "jaeger")}

PROD = "prod"
VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        PROD: {},
        "small": {
            "kubernetes": {"ingress": {"hosts": {"grafana": "grafana.example.com"}, "tls_secret": "grafana-tls"}}
        },
        "medium": {
            "size": "medium",
            "object_storage": {
                **_STORAGE,
                "access_key": {"secret": "s3-access"},
                "secret_key": {"secret": "s3-secret"},
            },
            "thanos": True,
            "traces": {
                **_SERVERS,
                "username": "jaeger",
                "password": {"secret": "opensearch-password"},
                "sampling": {"percent": 5},
            },
            "grafana": {
                "database": _DATABASE,
                "oidc": {
                    "issuer": "https://login.example.com",
                    "client_id": "grafana",
                    "client_secret": {"secret": "grafana-oidc"},
                },
            },
            "kubernetes": {
                "flavor": "eks",
                "storage_class": "gp3",
                "registry": "registry.example.com/mirror",
                "ingress": {
                    "class_name": "nginx",
                    "hosts": _HOSTS,
                    "tls_secret": "observability-tls",
                    "annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"},
                    "users": {"secret": "people"},
                    "controller": ["ingress-nginx"],
                },
                "secrets": {
                    "slack-url": {"name": "from-vault", "key": "slack"},
                    "grafana-admin-password": {"name": "from-vault", "key": "grafana"},
                },
            },
        },
        "large": {
            "size": "large",
            "object_storage": {**_STORAGE, "region": "eu-central-1"},
            "thanos": {"raw": "14d", "ruler": True},
            "remote_write": {
                "url": "https://mimir.example.com/api/v1/push",
                "token": {"secret": "mimir-token"},
                "tenant": "shop",
            },
            "traces": _SERVERS,
            "grafana": {"database": _DATABASE},
            "kubernetes": {
                "flavor": "gke",
                "ingress": {"kind": "gateway", "gateway": "gateways/public", "hosts": _HOSTS, "trusted": True},
                "service_account_annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/metrics"},
            },
        },
        "optional": {
            "elk": True,
            "apm": True,
            "errors": "glitchtip",
            "kubernetes": {"keep_volumes": False, "priority": None, "network_policies": False},
        },
    }
)
"""What is asked for beside the project's own production stack, which is the first. Each lives in the namespaces
`<name>` and `<name>-node`."""
_OF_SIZE = frozenset({"size", "object_storage", "thanos", "traces", "grafana", "kubernetes"})
"""What the project's own stack says of its size: each other form says its own."""


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for key, value in more.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = _merged(found[key], cast("Mapping[str, Any]", value)) if both else value
    return found


def stack(variant: str, namespace: str | None = None, **more: Any) -> Stack:
    """The production stack as `VARIANTS` wants it, with `more` settings, in a namespace of the variant's name or
    `namespace`."""
    file = "Pulumi.prod.yaml"
    whole: dict[str, Any] = read_yaml(ROOT / file)["config"][KEY]
    own = {key: value for key, value in whole.items() if variant == PROD or key not in _OF_SIZE}
    found = _merged(own, VARIANTS[variant])
    found = _merged(found, {"kubernetes": {"namespace": namespace or variant}})
    return build(parse(Settings, _merged(found, more), file=file, key=KEY), file=file)


def objects(of: Stack) -> tuple[Object, ...]:
    """What the stack is in a cluster, in an order that an API server takes: what is in a namespace after it."""
    found: list[Object] = [yaml.load(text, Loader=yaml.CSafeLoader) for text in manifests(of).values()]
    names = {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): _with_ending(each)
        for each in found
        if each["kind"] in {"ConfigMap", "Secret"} and each.get("immutable")
    }
    for each in found:
        _refer(each, each["metadata"].get("namespace"), names)
        own = (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        each["metadata"]["name"] = names.get(own, own[2])
    return tuple(sorted(found, key=lambda each: each["kind"] != "Namespace"))


def _with_ending(found: Object) -> str:
    """The name with an ending that follows the content, as Pulumi names what the program leaves without a name: what
    is immutable is never changed, but made anew."""
    content = json.dumps([found.get("data"), found.get("stringData")], sort_keys=True)
    return f"{found['metadata']['name']}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


_CONFIG_MAPS = ("configMap", "configMapRef", "configMapKeyRef")
_SECRETS = ("secret", "secretRef", "secretKeyRef")


def _refer(value: object, namespace: str | None, names: Mapping[tuple[str, str | None, str], str]) -> None:
    """Follow the new names wherever a pod mentions a ConfigMap or a Secret."""
    if isinstance(value, list):
        for item in cast("list[object]", value):
            _refer(item, namespace, names)
    if isinstance(value, dict):
        for key, item in cast("Object", value).items():
            kind = "ConfigMap" if key in _CONFIG_MAPS else "Secret" if key in _SECRETS else ""
            if kind and isinstance(item, dict):
                named = cast("Object", item)
                for field in ("name", "secretName"):
                    if new := names.get((kind, namespace, str(named.get(field)))):
                        named[field] = new
            _refer(cast("object", item), namespace, names)


@cache
def rendered(variant: str) -> tuple[Stack, tuple[Object, ...]]:
    """A variant and its objects, made once; they are everybody's, so nobody changes them."""
    made = stack(variant)
    return made, objects(made)


def pods(of: tuple[Object, ...]) -> dict[tuple[str, str], Object]:
    """By namespace and name of what makes them: the pods of the objects, as a controller would ask for them."""
    found: dict[tuple[str, str], Object] = {}
    for each in of:
        if each["kind"] not in {"Deployment", "StatefulSet", "DaemonSet"}:
            continue
        name, namespace = each["metadata"]["name"], each["metadata"]["namespace"]
        template: Object = json.loads(json.dumps(each["spec"]["template"]))
        volumes = [
            {
                "name": claim["metadata"]["name"],
                "persistentVolumeClaim": {"claimName": f"{claim['metadata']['name']}-{name}-0"},
            }
            for claim in each["spec"].get("volumeClaimTemplates", ())
        ]
        template["spec"]["volumes"] = [*template["spec"].get("volumes", ()), *volumes]
        metadata = {**template["metadata"], "name": f"{name}-0", "namespace": namespace}
        found[namespace, name] = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    return found
