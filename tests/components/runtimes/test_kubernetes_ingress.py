"""Ingresses and routes: what leads people to the parts."""

from typing import Any

import kubernetes_validate
import yaml

from components.manifests import manifests
from specs.stack import Stack
from tests.specs.support import EVERY_RECEIVER, stack

HOSTS = {"grafana": "grafana.example.com", "prometheus": "prometheus.example.com"}
NGINX = "nginx.ingress.kubernetes.io"


def _stack(ingress: dict[str, Any], **more: Any) -> Stack:
    return stack(
        runtime="kubernetes",
        alerting=EVERY_RECEIVER,
        kubernetes={"ingress": {"hosts": HOSTS, "controller": ["edge"], **ingress}, **more},
    )


def _made(ingress: dict[str, Any], **more: Any) -> dict[str, dict[str, Any]]:
    """The manifests of the way in, by file."""
    found = manifests(_stack(ingress, **more))
    kinds = ("ingress-", "httproute-", "secret-ingress")
    return {file: yaml.safe_load(text) for file, text in found.items() if file.startswith(kinds)}


def test_each_host_has_an_ingress_with_tls() -> None:
    """Host, class, Service, certificate: from the settings, and valid to Kubernetes' own schema."""
    made = _made({"class_name": "edge", "tls_secret": "wildcard", "trusted": True, "annotations": {"a": "b"}})

    assert sorted(made) == ["ingress-grafana.yaml", "ingress-prometheus.yaml"]
    for found in made.values():
        kubernetes_validate.validate(found, "1.34", strict=True)
    assert made["ingress-grafana.yaml"]["spec"] == {
        "ingressClassName": "edge",
        "rules": [
            {
                "host": "grafana.example.com",
                "http": {
                    "paths": [
                        {
                            "backend": {"service": {"name": "grafana", "port": {"number": 3000}}},
                            "path": "/",
                            "pathType": "Prefix",
                        }
                    ]
                },
            }
        ],
        "tls": [{"hosts": ["grafana.example.com"], "secretName": "wildcard"}],
    }
    assert made["ingress-grafana.yaml"]["metadata"]["annotations"] == {"a": "b", "pulumi.com/skipAwait": "true"}


def test_cert_manager_makes_a_certificate_for_each_host() -> None:
    """With its annotation each host has a Secret of its own; with neither, the controller's certificate is used."""
    issued = _made({"annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"}, "trusted": True})
    neither = _made({"trusted": True})

    assert issued["ingress-grafana.yaml"]["spec"]["tls"] == [
        {"hosts": ["grafana.example.com"], "secretName": "grafana-tls"}
    ]
    assert issued["ingress-prometheus.yaml"]["spec"]["tls"][0]["secretName"] == "prometheus-tls"
    assert neither["ingress-grafana.yaml"]["spec"]["tls"] == [{"hosts": ["grafana.example.com"]}]


def test_users_are_asked_for_where_a_part_does_not_ask() -> None:
    """Prometheus has basic authentication with a Secret of htpasswd lines, and Grafana its own login. No line of it
    is in a manifest."""
    made = _made({"users": {"secret": "people"}})

    assert made["secret-ingress-users.yaml"]["stringData"] == {"auth": "<secret: people>"}
    asked = made["ingress-prometheus.yaml"]["metadata"]["annotations"]
    assert asked == {
        f"{NGINX}/auth-type": "basic",
        f"{NGINX}/auth-secret": "ingress-users",
        f"{NGINX}/auth-realm": "prometheus of observability",
        "pulumi.com/skipAwait": "true",
    }
    assert made["ingress-grafana.yaml"]["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}


def test_users_may_stand_in_a_secret_that_exists() -> None:
    """Then it is named, and none is made."""
    made = _made({"users": {"secret": "people"}}, secrets={"people": {"name": "our-people", "key": "auth"}})

    assert sorted(made) == ["ingress-grafana.yaml", "ingress-prometheus.yaml"]
    assert made["ingress-prometheus.yaml"]["metadata"]["annotations"][f"{NGINX}/auth-secret"] == "our-people"


def test_annotations_that_ask_are_for_parts_that_do_not() -> None:
    """What `guard` says is added to parts without a login alone."""
    asks = {f"{NGINX}/auth-url": "https://login.example.com/oauth2/auth"}
    made = _made({"guard": asks})

    assert asks.items() <= made["ingress-prometheus.yaml"]["metadata"]["annotations"].items()
    assert not asks.items() & made["ingress-grafana.yaml"]["metadata"]["annotations"].items()


def test_routes_are_attached_to_the_listener_with_tls() -> None:
    """An HTTPRoute of each host names the Gateway and its listener; a filter asks for parts without a login alone."""
    asks = {"group": "edge.example.com", "kind": "Login", "name": "people"}
    made = _made({"kind": "gateway", "gateway": "gateways/public", "filter": asks, "annotations": {"a": "b"}})

    assert sorted(made) == ["httproute-grafana.yaml", "httproute-prometheus.yaml"]
    route = made["httproute-prometheus.yaml"]
    assert (route["apiVersion"], route["kind"]) == ("gateway.networking.k8s.io/v1", "HTTPRoute")
    assert route["spec"] == {
        "parentRefs": [{"namespace": "gateways", "name": "public", "sectionName": "https"}],
        "hostnames": ["prometheus.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"name": "prometheus", "port": 9090}],
                "filters": [{"type": "ExtensionRef", "extensionRef": asks}],
            }
        ],
    }
    assert "filters" not in made["httproute-grafana.yaml"]["spec"]["rules"][0]
    assert made["httproute-grafana.yaml"]["metadata"]["annotations"] == {"a": "b"}


def test_without_hosts_there_is_no_way_in() -> None:
    """A cluster stack has no Ingress by itself."""
    plain = manifests(stack(runtime="kubernetes", alerting=EVERY_RECEIVER))

    assert not [file for file in plain if file.startswith(("ingress-", "httproute-", "secret-ingress"))]
