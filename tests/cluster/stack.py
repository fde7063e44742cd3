"""A rendered stack, as objects that can be applied: with values for its secrets and names for what Pulumi names."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from components.manifests import manifests
from specs.model import parse
from specs.settings import KEY, Settings, in_order
from specs.stack import build
from tests.cluster.images import executables, repository

NAMESPACE = "observability"
_FILE = "Pulumi.prod.yaml"
_FIRST = ("Namespace", "PriorityClass", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "Secret")
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass(frozen=True, slots=True)
class Rendered:
    """Objects in the order in which they are applied."""

    objects: Sequence[Mapping[str, Any]]
    left_out: tuple[str, ...]
    """Workloads for whose images no program is here."""

    @property
    def workloads(self) -> tuple[Mapping[str, Any], ...]:
        """What has pods."""
        return tuple(each for each in self.objects if each["kind"] in _WORKLOADS)


def settings(**more: Any) -> dict[str, Any]:
    """The small production stack without Grafana, which no registry has; `more` are further settings."""
    return {
        "environment": "prod",
        "cluster": "test",
        "runtime": "kubernetes",
        "size": "small",
        "retention": {"metrics": "2d", "metrics_size": "1Gi", "logs": "24h", "traces": "24h"},
        "grafana": False,
        "exporters": {"node": {}, "blackbox": {}},
        "alerting": {
            "receivers": {"webhook": {"webhook": {"url": {"secret": "webhook"}}}},
            "default": "webhook",
            "backup": "webhook",
        },
        **more,
    }


def render(asked: Mapping[str, Any], secrets: Mapping[str, str]) -> Rendered:
    """The objects of the stack that `asked` declares, in which its secrets have the values of `secrets`."""
    stack = build(parse(Settings, in_order(dict(asked)), file=_FILE, key=KEY), file=_FILE)
    known = executables()
    found: list[dict[str, Any]] = []
    left_out: list[str] = []
    renamed: dict[str, str] = {}
    every = "\n---\n".join(manifests(stack).values())
    for key, value in secrets.items():
        every = every.replace(f"<secret: {key}>", value)
    for each in yaml.load_all(every, Loader=yaml.CSafeLoader):
        _stand_in(each)
        if each["kind"] in _WORKLOADS:
            used = [container["image"] for container in each["spec"]["template"]["spec"]["containers"]]
            if not all(repository(image) in known for image in used):
                left_out.append(each["metadata"]["name"])
                continue
        if each["kind"] in ("ConfigMap", "Secret") and each.get("immutable"):
            # As Pulumi does: another content is another object, so that pods are rolled.
            name = each["metadata"]["name"]
            renamed[name] = f"{name}-{hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest()[:8]}"
            each["metadata"]["name"] = renamed[name]
        found.append(each)
    for each in found:
        if each["kind"] in _WORKLOADS:
            volumes = json.dumps(each["spec"]["template"]["spec"]["volumes"])
            for name, now in renamed.items():
                volumes = volumes.replace(f'"{name}"', f'"{now}"')
            each["spec"]["template"]["spec"]["volumes"] = json.loads(volumes)
    found.sort(key=lambda each: _FIRST.index(each["kind"]) if each["kind"] in _FIRST else len(_FIRST))
    return Rendered(found, tuple(sorted(left_out)))


def _stand_in(config: dict[str, Any]) -> None:
    """The collector's receiver of Alertmanager's history is in no registry: something else listens in its place."""
    data: dict[str, str] = config.get("data", {}) if config["kind"] == "ConfigMap" else {}
    if "alert-history.yml" in data:
        history = yaml.load(data["alert-history.yml"].replace("webhookevent/", "otlp/"), Loader=yaml.CSafeLoader)
        for name, receiver in history["receivers"].items():
            history["receivers"][name] = {"protocols": {"http": {"endpoint": receiver["endpoint"]}}}
        data["alert-history.yml"] = yaml.safe_dump(history)
