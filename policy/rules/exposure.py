"""Nothing without a login is bound where everybody can reach it."""

import re
from collections.abc import Iterator

from .model import CONTAINER, PROCESS, Config, Resource, Rule, at, items, mapping, maps, names

WITH_LOGIN = frozenset({"grafana", "kibana", "elasticsearch", "glitchtip", "apm-server"})
"""Workloads that ask who somebody is."""
_LOOPBACK = re.compile(r"127\.|::1$|\[::1\]$|localhost$")
_EVERYWHERE = re.compile(r"(?:=|^)(?:0\.0\.0\.0|\[::\]|\*)?:\d+$")
"""An argument that listens on every address, by its end."""
_LISTENS = re.compile(
    r"""^[\s-]*["']?(?P<key>\w*(?:endpoint|listen_address|bind_address|http_addr|addr))["']?\s*[:=]\s*"""
    r"""["']?(?:(?:0\.0\.0\.0|\[::\])(?::\d+)?|:\d+)["']?\s*$""",
    re.MULTILINE,
)
"""A line of a configuration file that does."""
_AUTH = (
    "nginx.ingress.kubernetes.io/auth-",
    "haproxy.org/auth-",
    "haproxy-ingress.github.io/auth-",
    "alb.ingress.kubernetes.io/auth-type",
)
"""How annotations that make an Ingress ask begin, by controller."""
_MIDDLEWARES = "traefik.ingress.kubernetes.io/router.middlewares"
_ASKING = re.compile(r"(?i)auth|oidc|sso|login")
"""What the name of one of Traefik's middlewares has that asks: others compress, or redirect."""


def _container(resource: Resource) -> Iterator[str]:
    if resource.at("networkMode") == "host":
        yield "shares the host's network, and listens on all its addresses"
    if resource.at("publishAllPorts") is True:
        yield "publishAllPorts publishes each port of its image on every address without a login"
    for port in maps(resource.at("ports")):
        ip = str(port.get("ip") or "0.0.0.0")  # noqa: S104 - what Docker takes for none
        if not _LOOPBACK.match(ip):
            yield f"port {port.get('external', port.get('internal'))} is published on {ip} without a login"


def _process(resource: Resource) -> Iterator[str]:
    words = [str(word) for word in items(resource.at("command"))]
    for argument, following in zip(words, [*words[1:], ""], strict=True):
        name, told, _ = argument.partition("=")
        if name.startswith("-") and "listen" in name and _EVERYWHERE.search(argument if told else following):
            yield f"{name} listens on every address of this machine without a login"
    for path, text in mapping(resource.at("files")).items():
        for line in _LISTENS.finditer(str(text)):
            yield f"{path}: {line['key']} listens on every address of this machine without a login"


def _service(resource: Resource) -> Iterator[str]:
    kind = resource.at("spec.type")
    if kind in {"LoadBalancer", "NodePort"}:
        yield f"type {kind} is open to whoever reaches the nodes or the balancer, without a login"
    if items(resource.at("spec.externalIPs")):
        yield "externalIPs make it open without a login"


def _pods(resource: Resource) -> Iterator[str]:
    if at(resource.pod, "spec.hostNetwork"):
        yield "hostNetwork: its ports are open to whoever reaches the node"
    for container in resource.containers:
        for port in maps(container.get("ports")):
            if port.get("hostPort"):
                yield f"hostPort {port['hostPort']} is open to whoever reaches the node"


def _backends(resource: Resource) -> Iterator[str]:
    default = at(resource.at("spec.defaultBackend"), "service.name")
    if default:
        yield str(default)
    for rule in maps(resource.at("spec.rules")):
        for path in maps(at(rule, "http.paths")):
            yield str(at(path, "backend.service.name") or "")
        for backend in maps(rule.get("backendRefs")):
            yield str(backend.get("name") or "")


def _ingress(resource: Resource, with_login: frozenset[str]) -> Iterator[str]:
    secured = {str(host) for entry in maps(resource.at("spec.tls")) for host in items(entry.get("hosts"))}
    if not maps(resource.at("spec.tls")):
        yield "no TLS: logins and what is shown travel in the clear"
    for rule in maps(resource.at("spec.rules")) if secured else ():
        host = str(rule.get("host") or "")
        # A wildcard stands for one label.
        if not {host, f"*.{host.partition('.')[2]}"} & secured:
            yield f"host {host or '*'} has no TLS"
    annotations = mapping(resource.at("metadata.annotations"))
    middlewares = str(annotations.get(_MIDDLEWARES, ""))
    if not (any(str(key).startswith(_AUTH) for key in annotations) or _ASKING.search(middlewares)):
        for name in sorted({*_backends(resource)} - with_login):
            yield f"leads to {name}, which has no login, and asks for none itself"


def _route(resource: Resource, with_login: frozenset[str]) -> Iterator[str]:
    for rule in maps(resource.at("spec.rules")):
        asks = any(each.get("type") == "ExtensionRef" for each in maps(rule.get("filters")))
        for backend in maps(rule.get("backendRefs")) if not asks else ():
            if backend.get("name") not in with_login:
                yield f"leads to {backend.get('name')}, which has no login, without a filter that asks for one"


def _check(resource: Resource, config: Config) -> Iterator[str]:
    with_login = names(config, "with_login", WITH_LOGIN)
    if resource.kind == "Ingress":
        yield from _ingress(resource, with_login)
    elif resource.kind == "HTTPRoute":
        yield from _route(resource, with_login)
    if resource.instance in with_login or (resource.type == PROCESS and resource.name in with_login):
        return
    if resource.type == CONTAINER:
        yield from _container(resource)
    elif resource.type == PROCESS:
        yield from _process(resource)
    elif resource.kind == "Service":
        yield from _service(resource)
    else:
        yield from _pods(resource)


EXPOSURE = Rule(
    name="no-public-bind",
    title="What has no login is bound to loopback or the cluster, and a way in has TLS.",
    remedy="Bind to 127.0.0.1, or lead people through kubernetes.ingress with tls and users; a workload that asks for a"
    " login itself is named in with_login.",
    resource=_check,
    settings={
        "with_login": {"type": "array", "items": {"type": "string"}, "default": sorted(WITH_LOGIN)},
    },
)
