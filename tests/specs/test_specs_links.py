"""The way in from outside of a cluster: what is refused, and which URLs follow."""

from typing import Any

import pytest

from specs.links import public_url
from tests.specs.support import EVERY_RECEIVER, complaint, stack

WHERE = "Pulumi.test.yaml: observability:settings.kubernetes"
GRAFANA = {"grafana": "grafana.example.com"}
BOTH = {**GRAFANA, "prometheus": "prometheus.example.com"}


def _kubernetes(*, ingress: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"runtime": "kubernetes", "alerting": EVERY_RECEIVER, "kubernetes": {"ingress": ingress, **more}}


@pytest.mark.parametrize(
    ("ingress", "words"),
    [
        ({"hosts": BOTH}, "ingress.hosts.prometheus: has no login of its own, so everybody could read it"),
        (
            {"hosts": {"shop": "shop.example.com"}},
            "ingress.hosts.shop: no page of this stack has that name (accepted: ",
        ),
        (
            {"hosts": BOTH, "users": {"secret": "people"}},
            "ingress.controller: required for prometheus, which has no login of its own",
        ),
        (
            {"kind": "gateway", "hosts": GRAFANA},
            "ingress.gateway: required with kind gateway, but missing (accepted: <namespace>/<name>)",
        ),
        ({"kind": "gateway", "gateway": "edge", "hosts": GRAFANA}, 'ingress.gateway: "edge" is not accepted here'),
        (
            {"kind": "gateway", "gateway": "edge/public", "hosts": GRAFANA, "users": {"secret": "people"}},
            "ingress.users: not with kind gateway",
        ),
        ({"hosts": GRAFANA, "gateway": "edge/public"}, "ingress.gateway: not with kind ingress"),
        ({"hosts": {"grafana": "Grafana"}}, 'ingress.hosts.grafana: "Grafana" is not a host'),
        (
            {"hosts": {"grafana": "a.example.com", "prometheus": "a.example.com"}},
            'ingress.hosts.grafana: "a.example.com" is the host of two parts',
        ),
        ({"hosts": {}}, "ingress.hosts: nothing stands in it"),
        ({"hosts": GRAFANA, "controller": ["10.0.0.0/33"]}, 'ingress.controller[0]: "10.0.0.0/33" is not a range'),
        (
            {"hosts": BOTH, "users": {"secret": "people"}, "guard": {"a": "b"}},
            "ingress.guard: one way to ask (accepted: users, or guard)",
        ),
    ],
)
def test_a_bad_way_in_is_refused(ingress: dict[str, Any], words: str) -> None:
    """One line with file and key: what is wrong, and what is accepted."""
    said = complaint(**_kubernetes(ingress=ingress))

    assert said.startswith(f"{WHERE}.{words}")
    assert said.count("\n") == 0
    assert "(accepted: " in said


@pytest.mark.parametrize(
    "asking",
    [
        {"users": {"secret": "people"}},
        {"guard": {"nginx.ingress.kubernetes.io/auth-url": "https://login.example.com/oauth2/auth"}},
        {"trusted": True},
    ],
)
def test_a_part_without_a_login_may_be_opened_where_somebody_asks(asking: dict[str, Any]) -> None:
    """Users, annotations that make the controller ask, or the statement that something before it does."""
    made = stack(**_kubernetes(ingress={"hosts": BOTH, "controller": ["edge"], **asking}))

    assert public_url(made.context, "prometheus") == "https://prometheus.example.com"


def test_without_policies_nobody_has_to_say_where_the_controller_is() -> None:
    """The question is about policies only."""
    stack(**_kubernetes(ingress={"hosts": BOTH, "trusted": True}, network_policies=False))


def test_the_users_of_an_existing_secret_stand_where_the_controller_looks() -> None:
    """ingress-nginx reads the key `auth`, and no other."""
    ingress = {"hosts": BOTH, "users": {"secret": "people"}, "controller": ["edge"]}
    wrong = complaint(**_kubernetes(ingress=ingress, secrets={"people": {"name": "people", "key": "htpasswd"}}))

    assert wrong == (f'{WHERE}.secrets.people.key: "htpasswd" is not where ingress-nginx looks (accepted: auth)')
    made = stack(**_kubernetes(ingress=ingress, secrets={"people": {"name": "people", "key": "auth"}}))
    assert "people" not in {ref.key for ref in made.secrets()}


def test_who_may_dial_more_has_to_be_a_part() -> None:
    """kubernetes.dials names parts of the stack."""
    said = complaint(
        runtime="kubernetes", alerting=EVERY_RECEIVER, kubernetes={"dials": {"flower": ["rabbit.shop.svc:5673"]}}
    )

    assert said.startswith(f"{WHERE}.dials.flower: not a part of this stack (accepted: ")


def test_people_get_the_host_and_programs_the_service() -> None:
    """Outputs and the part's own idea of its URL follow the host; what is dialled inside stays."""
    made = stack(**_kubernetes(ingress={"hosts": BOTH, "users": {"secret": "people"}, "controller": ["edge"]}))

    assert made.outputs()["urls"]["grafana"] == "https://grafana.example.com"
    assert made.outputs()["urls"]["prometheus"] == "https://prometheus.example.com"
    assert public_url(made.context, "loki") is None
    assert "--web.external-url=https://prometheus.example.com" in made.workload("prometheus").args
    assert (
        "http://prometheus.observability.svc:9090"
        in made.workload("grafana").files["provisioning/datasources/stack.yml"]
    )
    assert "people" in {ref.key for ref in made.secrets()}
    # Of one part, with or without hosts for others.
    assert public_url(stack(alerting=EVERY_RECEIVER).context, "grafana") is None
