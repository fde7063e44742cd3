"""What stands in a cluster: who may dial whom, what may ask the API server, ways in, and whatever else objects say."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tools.changes.files import Rendered
from tools.changes.items import Item, flat, listed, mapping, text

_INSTANCE = "app.kubernetes.io/instance"
_NAMESPACE = "kubernetes.io/metadata.name"
_EVERYWHERE = {"0.0.0.0/0", "::/0"}
_TOLD_ELSEWHERE = {"ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding", "NetworkPolicy", "Ingress"}
"""Kinds that have a subject of their own."""
_SAID_ELSEWHERE = re.compile(
    r".*\.app\.kubernetes\.io/version"
    r"|spec\.(replicas|type|volumeClaimTemplates\[[^]]+\]\.spec\.resources.*)"
    r"|spec\.template\.spec\.containers\[[^]]+\]\.(image|args|resources.*|ports.*)"
    r"|data\..*|binaryData\..*|stringData\..*"
    # Which of a ConfigMap's files are mounted: the files themselves are told of.
    r"|.*\.projected\.sources\[[^]]+\]\.configMap.*"
)
"""Fields of objects that other subjects tell of, and the files, which are rendered by themselves as well."""


def flows(rendered: Rendered) -> list[Item]:
    """Who may dial whom at which ports, as each side's NetworkPolicy has it, and what each denies by default."""
    found: dict[str, dict[str, str]] = {}
    for manifest in rendered.manifests("NetworkPolicy"):
        spec = manifest["spec"]
        own = (
            _pods(mapping(spec, "podSelector"))
            or f"every pod of {manifest['metadata'].get('namespace', 'its namespace')}"
        )
        # One that says nothing is about what comes in, and about what goes out when it has rules for that.
        sides = spec.get("policyTypes") or ("Ingress", *(("Egress",) if "egress" in spec else ()))
        denied = {f"{side.lower()} by default": "denied" for side in sides}
        found.setdefault(f"{own}, by {_name(manifest)}", {}).update(denied)
        for side, peers in (("egress", "to"), ("ingress", "from")):
            for rule in listed(spec, side):
                ports = ", ".join(_port(port) for port in listed(rule, "ports")) or "every port"
                for peer in _peers(listed(rule, peers)):
                    name = f"{own} → {peer}" if side == "egress" else f"{peer} → {own}"
                    said = found.setdefault(name, {})
                    said[side] = f"{said[side]}, {ports}" if side in said else ports
    return [Item(name=name, fields=fields) for name, fields in found.items()]


def _pods(selector: Mapping[str, Any]) -> str:
    labels = mapping(selector, "matchLabels")
    return str(labels.get(_INSTANCE) or ", ".join(f"{key}={value}" for key, value in labels.items()))


def _port(port: Mapping[str, Any]) -> str:
    number = port.get("port", "every")
    last = f"-{port['endPort']}" if "endPort" in port else ""
    return f"{number}{last}/{str(port.get('protocol', 'TCP')).lower()}"


def _peers(peers: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(_peer(peer) for peer in peers)) if peers else ["anyone"]


def _peer(peer: Mapping[str, Any]) -> str:
    if "ipBlock" in peer:
        cidr, but = str(peer["ipBlock"]["cidr"]), peer["ipBlock"].get("except") or ()
        where = "anywhere" if cidr in _EVERYWHERE else cidr
        return f"{where} but {', '.join(but)}" if but else where
    pods = _pods(mapping(peer, "podSelector"))
    if "namespaceSelector" not in peer:
        return pods or "every pod here"
    selector = mapping(peer, "namespaceSelector")
    name = mapping(selector, "matchLabels").get(_NAMESPACE)
    where = f"namespace {name}" if name else f"namespaces where {text(selector)}" if selector else "every namespace"
    return f"{pods} of {where}" if pods else where


def rights(rendered: Rendered) -> list[Item]:
    """What may be done with which objects of the cluster, and who may."""
    found: dict[str, dict[str, str]] = {}
    for manifest in rendered.manifests("ClusterRole", "Role"):
        for rule in listed(manifest, "rules"):
            for what in _objects(rule):
                said = found.setdefault(f"{_name(manifest)}: {what}", {})
                said["verbs"] = ", ".join(filter(None, (said.get("verbs"), *rule.get("verbs", ()))))
    for manifest in rendered.manifests("ClusterRoleBinding", "RoleBinding"):
        who = [f"{each.get('namespace', '')}/{each['name']}".lstrip("/") for each in listed(manifest, "subjects")]
        found[_name(manifest)] = {"role": manifest["roleRef"]["name"], "of": ", ".join(who)}
    return [Item(name=name, fields=fields) for name, fields in found.items()]


def _objects(rule: Mapping[str, Any]) -> Iterator[str]:
    names = ", ".join(rule.get("resourceNames") or ())
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            yield f"{group}/{resource}".lstrip("/") + (f" {names}" if names else "")
    yield from rule.get("nonResourceURLs") or ()


def _name(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def ports(rendered: Rendered) -> list[Item]:
    """Every port of the stack and how far it reaches, and on a cluster every other way in."""
    found: list[Item] = []
    for name, said in mapping(rendered.inventory, "workloads").items():
        for port in listed(said, "ports"):
            reach = "published" if port.get("published") else "inside the stack"
            fields = {"number": f"{port['number']}/{port.get('protocol', 'tcp')}", "reach": reach}
            found.append(Item(name=f"{name} {port['name']}", fields=fields))
    for manifest in rendered.manifests("Ingress"):
        found += _ways(manifest)
    for manifest in rendered.manifests("Service"):
        kind = manifest["spec"].get("type", "ClusterIP")
        if kind != "ClusterIP":
            found.append(Item(name=_name(manifest), fields={"type": kind}))
    for manifest in rendered.manifests("Deployment", "StatefulSet", "DaemonSet"):
        found += _of_hosts(manifest)
    return found


def _ways(manifest: Mapping[str, Any]) -> Iterator[Item]:
    spec = mapping(manifest, "spec")
    secured = {host: each.get("secretName", "") for each in listed(spec, "tls") for host in each.get("hosts") or ()}
    notes = {f"annotation {key}": text(value) for key, value in mapping(manifest, "metadata", "annotations").items()}
    for rule in listed(spec, "rules"):
        host = rule.get("host", "every host")
        for path in listed(rule, "http", "paths"):
            service = path["backend"]["service"]
            fields = {
                "to": f"{service['name']}:{mapping(service, 'port').get('number', '')}",
                "TLS": "yes" if host in secured else "no",
                **({"TLS secret": secured[host]} if secured.get(host) else {}),
                **({"class": spec["ingressClassName"]} if "ingressClassName" in spec else {}),
                **notes,
            }
            yield Item(name=f"Ingress {host}{path.get('path', '/')}", fields=fields)


def _of_hosts(manifest: Mapping[str, Any]) -> Iterator[Item]:
    pod = manifest["spec"]["template"]["spec"]
    if pod.get("hostNetwork"):
        yield Item(name=f"{_name(manifest)} on the nodes' network", fields={"reach": "every interface of its node"})
    for container in listed(pod, "containers"):
        for port in listed(container, "ports"):
            if port.get("hostPort"):
                said = {"number": str(port["hostPort"]), "address": port.get("hostIP", "every interface")}
                yield Item(name=f"{_name(manifest)} {port.get('name', '')} on nodes", fields=said)


def objects(rendered: Rendered) -> list[Item]:
    """Every object, with the fields that nothing else tells of."""
    found: list[Item] = []
    for manifest in rendered.manifests():
        kind, metadata = manifest["kind"], manifest["metadata"]
        if kind in _TOLD_ELSEWHERE:
            continue
        where = f"{metadata['namespace']}/" if "namespace" in metadata else ""
        fields = {path: said for path, said in flat(manifest).items() if not _SAID_ELSEWHERE.fullmatch(path)}
        if kind == "Secret":
            # Names only; a ConfigMap's files are rendered by themselves as well.
            fields["files"] = ", ".join({**mapping(manifest, "data"), **mapping(manifest, "stringData")})
        found.append(Item(name=f"{kind} {where}{metadata['name']}", fields=fields))
    return found
