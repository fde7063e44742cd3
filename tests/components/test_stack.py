"""The whole stack, as each of the project's own stack files declares it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import pulumi
import pytest

from components import configuration
from components.recording import Recording, Registered, Secret, record
from components.runtimes.process import OPTIONAL
from specs.settings import RuntimeKind, Settings, read_yaml
from specs.stack import Stack, build
from specs.workload import SecretRef
from tests.deployment import (
    CONTAINER,
    NETWORK,
    PROCESS,
    ROOT,
    SUPERVISOR,
    VOLUME,
    count,
    deployed,
    secret_of,
    settings_for,
    stack_of,
)
from tests.golden import assert_golden

PARTS = {
    "observability:index:ObservabilityStack": 1,
    "observability:index:Prometheus": 1,
    "observability:index:Alertmanager": 1,
    "observability:index:Loki": 1,
    "observability:index:Jaeger": 1,
    "observability:index:Collector": 1,
}
EXPORTER = "observability:index:Exporter"
FOR_SYSTEMS = (
    "flower-narra-forge-main",
    "flower-personal-assistant-main",
    "json-exporter",
    "nginx-exporter-personal-assistant-main",
    "postgres-exporter-narra-forge-main",
    "postgres-exporter-personal-assistant-main",
    "redis-exporter-narra-forge-main",
    "redis-exporter-personal-assistant-main",
    "redis-exporter-wwmaa-main",
)
"""Exporters for what the monitored systems stand on; those that run beside a system already are not started anew."""
NAMES = {"local", "dev", "prod"}
DEV_PROGRAMS = (
    "alertmanager",
    "blackbox-exporter",
    "cadvisor",
    "collector",
    "grafana",
    "jaeger",
    "loki",
    "node-exporter",
    "prometheus",
)
FOLDER_PERMISSION = "grafana:oss/folderPermission:FolderPermission"
ACCOUNT_TOKEN = "grafana:oss/serviceAccountToken:ServiceAccountToken"  # noqa: S105 - a type
FROM_ELSEWHERE = {(FOLDER_PERMISSION, "permissions"), (ACCOUNT_TOKEN, "serviceAccountId")}
"""Inputs with ids that Grafana gives out."""
CONTENT = "grafana-content"


def shipped(name: str) -> Stack:
    """Return a stack of the project; what a machine may lack, this one does, so that all machines see the same."""
    return stack_of(name, absent=OPTIONAL if name == "local" else ())


def names(recording: Recording, type_: str) -> list[str]:
    """Return the names of all resources of a type."""
    return [resource.name for resource in recording.resources if resource.type == type_]


def secrets_in(value: object, *, inside: bool = False) -> list[str]:
    """Return every text anywhere in some inputs that is marked as secret, by itself or as a whole."""
    if isinstance(value, Secret):
        return secrets_in(value.value, inside=True)
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        # Pulumi marks the code of a dynamic resource as secret; it is none.
        return [found for key, item in items if key != "__provider" for found in secrets_in(item, inside=inside)]
    if isinstance(value, list):
        return [found for item in cast("list[object]", value) for found in secrets_in(item, inside=inside)]
    return [str(value)] if inside else []


def test_local_is_processes_under_one_supervisor() -> None:
    """The local stack declares a Process for each workload, each child of its part, and no other resource."""
    recording = deployed(shipped("local"))

    assert count(recording) == {**PARTS, EXPORTER: 2, "observability:index:Inbox": 1, SUPERVISOR: 1, PROCESS: 8}
    assert names(recording, PROCESS) == [
        "alertmanager",
        "blackbox-exporter",
        "collector",
        "inbox",
        "jaeger",
        "loki",
        "node-exporter",
        "prometheus",
    ]


def test_dev_is_containers_on_one_network() -> None:
    """The dev stack declares a Container for each workload, beside it those that place its files and secrets, a Volume
    where files or data stay, one network, and what is in Grafana."""
    stack = shipped("dev")
    recording = deployed(stack)
    programs = [*DEV_PROGRAMS, *FOR_SYSTEMS]
    with_secrets = [each.name for each in stack.workloads if each.secrets]
    containers = names(recording, CONTAINER)

    assert {name for name in containers if name in stack.names} == set(programs)
    assert {name for name in containers if name.endswith("-secrets")} == {f"{name}-secrets" for name in with_secrets}
    assert {name for name in containers if name.endswith("-files")} == {
        f"{each.name}-files" for each in stack.workloads if each.files or each.volume or each.secrets
    }
    assert [name for name in names(recording, VOLUME) if not name.endswith("-config")] == [
        "alertmanager-data",
        "collector-data",
        "grafana-data",
        "jaeger-data",
        "loki-data",
        "prometheus-data",
        "registry",
    ]
    others = {type_: number for type_, number in count(recording).items() if type_ not in {CONTAINER, VOLUME}}
    assert others == {
        **PARTS,
        EXPORTER: 12,
        "observability:index:Grafana": 1,
        "observability:index:GrafanaContent": 1,
        NETWORK: 1,
        "pulumi-python:dynamic/observability:Ready": 1,
        "pulumi:providers:grafana": 1,
        "grafana:oss/folder:Folder": 7,
        "grafana:oss/dashboard:Dashboard": len(stack.dashboards),
        "grafana:oss/team:Team": 5,
        FOLDER_PERMISSION: 5,
        "grafana:oss/serviceAccount:ServiceAccount": 1,
        ACCOUNT_TOKEN: 1,
        "grafana:oss/organizationPreferences:OrganizationPreferences": 1,
    }


def test_prod_is_pods_behind_services() -> None:
    """The prod stack declares pods that are replaced freely, pods with volumes, and pods of every node."""
    recording = deployed(shipped("prod"))

    assert names(recording, "kubernetes:apps/v1:StatefulSet") == [
        "alertmanager",
        "collector",
        "loki",
        "prometheus",
        "sampler",
        "thanos-compactor",
        "thanos-store",
    ]
    assert names(recording, "kubernetes:apps/v1:Deployment") == sorted(
        (
            "blackbox-exporter",
            "grafana",
            "jaeger",
            "kube-state-metrics",
            "thanos-query",
            "thanos-query-frontend",
            *FOR_SYSTEMS,
        )
    )
    assert names(recording, "kubernetes:apps/v1:DaemonSet") == ["agent", "node-exporter"]
    assert count(recording) == {
        **PARTS,
        # The gateway, the sampler behind it, and an agent on every node.
        "observability:index:Collector": 3,
        EXPORTER: 3 + len(FOR_SYSTEMS),
        "observability:index:Thanos": 4,
        "observability:index:Grafana": 1,
        "kubernetes:core/v1:Namespace": 1,
        "kubernetes:core/v1:NamespacePatch": 1,
        "kubernetes:core/v1:ConfigMap": 16,
        "kubernetes:core/v1:Secret": 14,
        "kubernetes:core/v1:Service": 31,
        "kubernetes:core/v1:ServiceAccount": 24,
        "kubernetes:apps/v1:StatefulSet": 7,
        "kubernetes:apps/v1:Deployment": 6 + len(FOR_SYSTEMS),
        "kubernetes:apps/v1:DaemonSet": 2,
        "kubernetes:networking.k8s.io/v1:Ingress": 1,
        "kubernetes:networking.k8s.io/v1:NetworkPolicy": 26,
        "kubernetes:policy/v1:PodDisruptionBudget": 9,
        "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole": 3,
        "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": 3,
        "kubernetes:scheduling.k8s.io/v1:PriorityClass": 1,
    }


@pytest.mark.parametrize("name", sorted(NAMES))
def test_everything_of_a_workload_is_a_child_of_its_part(name: str) -> None:
    """Parents are the stack, its parts, and nothing else; only what all share has no parent."""
    recording = deployed(shipped(name))

    for resource in recording.resources:
        if resource.type == "observability:index:ObservabilityStack" or resource.name in {
            "supervisor",
            "network",
            "registry",
            "namespace",
            "node-namespace",
            "priority",
        }:
            assert resource.parent == ""
        elif resource.type.startswith("kubernetes:networking"):
            # Who talks to whom is a matter of the whole stack.
            assert resource.parent == "observability"
        elif resource.type.startswith("observability:index:"):
            assert resource.parent == "observability"
        elif resource.type.startswith(("grafana:", "pulumi:providers:grafana")) or resource.name == "ready":
            assert resource.parent == CONTENT
        else:
            assert resource.name.startswith(resource.parent)
            assert resource.parent in shipped(name).names


def _file(ref: SecretRef, values: Mapping[str, str]) -> str:
    """Return the text of a secret file, with the values of its secrets in their places."""
    if not ref.template:
        return values[ref.key]
    text = ref.template.replace("$secret", json.dumps(values[ref.key]))
    for each in ref.each():
        text = text.replace(f"${{{each.key}}}", values[each.key])
    return text


@pytest.mark.parametrize("name", sorted(NAMES))
def test_secrets_stay_secret(name: str) -> None:
    """Every secret of the stack reaches some resource, marked as secret, with the text that its program wants around
    it; its value stands nowhere in the clear."""
    stack = shipped(name)
    recording = deployed(stack)
    values = {ref.key: secret_of(ref.key) for ref in stack.secrets()}
    refs = [ref for workload in stack.workloads for ref in workload.secrets.values()]
    expected = {_file(ref, values) for ref in refs}
    if stack.grafana_content:
        expected.add(f"admin:{values[stack.grafana_content.login.key]}")

    assert {found for resource in recording.resources for found in secrets_in(resource.inputs)} == expected
    for resource in recording.resources:
        clear = json.dumps(resource.inputs, default=lambda _: "hidden").replace("\\", "")
        assert [key for key, value in values.items() if value in clear] == []


def known(resource: Registered) -> Registered:
    """Return a resource without what depends on ids that somebody else gives out, which a preview cannot know."""
    inputs = {key: value for key, value in resource.inputs.items() if (resource.type, key) not in FROM_ELSEWHERE}
    if resource.type == CONTAINER:
        inputs["labels"] = [label for label in inputs["labels"] if label["label"] != "observability/secrets"]
    return replace(resource, inputs=inputs)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_preview_declares_the_same(name: str) -> None:
    """Nothing depends on what only an update learns, but for ids: a preview shows every resource and every input."""
    stack = shipped(name)
    preview, update = deployed(stack, preview=True), deployed(stack)

    assert [known(resource) for resource in preview.resources] == [known(resource) for resource in update.resources]
    assert preview.warnings == update.warnings


@pytest.mark.parametrize("name", sorted(NAMES))
def test_no_resource_changes_its_identity_unnoticed(name: str) -> None:
    """A URN that changes deletes a resource and makes another: it takes an alias, or a recorded decision."""
    urns = sorted(resource.urn for resource in deployed(shipped(name)).resources)

    assert_golden(f"urns-{name}.txt", "".join(f"{urn}\n" for urn in urns))


DEV_SECRETS = {
    "dead-mans-switch-url": "a",
    "grafana-admin-password": "b",
    "narra-forge-broker": "c",
    "narra-forge-postgres": "d",
    "narra-forge-redis": "e",
    "personal-assistant-broker": "f",
    "personal-assistant-postgres": "g",
    "personal-assistant-redis": "h",
    "team-webhook-url": "i",
    "wwmaa-redis": "j",
}


def configured(name: str) -> dict[str, str]:
    """Return the configuration of a stack file as the engine hands it to a program."""
    return {"settings": json.dumps(read_yaml(ROOT / f"Pulumi.{name}.yaml")["config"]["observability:settings"])}


def test_a_password_that_everybody_knows_is_refused() -> None:
    """Grafana's own default is no password, whoever sets it; the line says what to do, and not what was set."""
    have = {**DEV_SECRETS, "grafana-admin-password": "Admin"}

    def program() -> None:
        configuration.secrets(configuration.stack())

    with pytest.raises(pulumi.RunError) as problem:
        record(program, stack="dev", config=configured("dev"), secrets=have)

    assert str(problem.value) == (
        "Pulumi.dev.yaml: observability:grafana-admin-password: a password that everybody knows (accepted: another one;"
        " or none, then one is made up: pulumi config rm grafana-admin-password --stack dev)"
    )


def test_it_is_refused_where_nothing_is_made_up_too() -> None:
    """The provider needs to be told the password of a process stack's Grafana: not one that everybody knows either."""
    settings = {"environment": "test", "cluster": "test", "runtime": "process", "grafana": {"delivery": "provider"}}

    def program() -> None:
        stack = build(Settings.model_validate(settings), file="Pulumi.test.yaml")
        configuration.secrets(stack)

    with pytest.raises(pulumi.RunError, match="grafana-admin-password: a password that everybody knows"):
        record(program, stack="test", secrets={"grafana-admin-password": "admin"})
    record(program, stack="test", secrets={"grafana-admin-password": "a better one"})


def test_a_missing_secret_is_one_line_that_says_how_to_set_it() -> None:
    """A dev stack without one of its secrets ends before anything is declared, with file, key and command."""
    have = {key: value for key, value in DEV_SECRETS.items() if key != "team-webhook-url"}

    def program() -> None:
        configuration.secrets(configuration.stack())

    with pytest.raises(pulumi.RunError) as problem:
        record(program, stack="dev", config=configured("dev"), secrets=have)

    assert str(problem.value) == (
        "Pulumi.dev.yaml: observability:team-webhook-url: secret is missing"
        " (set it: pulumi config set --secret team-webhook-url --stack dev)"
    )


def test_secrets_come_out_of_the_configuration_as_secrets() -> None:
    """What `pulumi config set --secret` stored is what the program hands on, still marked."""

    def program() -> None:
        pulumi.CustomResource("test:index:Thing", "one", dict(configuration.secrets(configuration.stack())))

    recording = record(program, stack="dev", config=configured("dev"), secrets=DEV_SECRETS)

    assert recording.resource("test:index:Thing", "one").inputs == {
        key: Secret(value) for key, value in DEV_SECRETS.items()
    }


def test_only_exporters_are_exporters() -> None:
    """What a preview calls a part of the optional ones is what it is; its type is in its URN, and so it stays."""
    more: dict[str, object] = {"elk": True, "apm": True, "errors": "glitchtip"}
    alerting = {"default": "team", "receivers": {"team": {"webhook": {"url": "http://team.example.com"}}}}
    stack = build(settings_for(RuntimeKind.DOCKER, alerting=alerting, **more), file="Pulumi.test.yaml")
    recording = deployed(stack)

    assert names(recording, EXPORTER) == ["elasticsearch-exporter", "elk-exporter"]
    for type_, parts in (
        ("Elasticsearch", ["elasticsearch"]),
        ("Logstash", ["logstash"]),
        ("Kibana", ["kibana"]),
        ("ElasticApm", ["apm-server"]),
        ("GlitchTip", ["glitchtip", "glitchtip-postgres", "glitchtip-redis", "glitchtip-worker"]),
    ):
        assert names(recording, f"observability:index:{type_}") == parts


def test_what_is_left_out_is_said() -> None:
    """A part that this machine cannot run is a warning of one line, not an error and not silence."""
    stack = build(settings_for(RuntimeKind.PROCESS), file="Pulumi.test.yaml", absent=("grafana",))

    recording = deployed(stack)

    assert recording.warnings == [
        "grafana: left out, since there is no grafana on PATH; everything else works without it"
    ]
    assert names(recording, "observability:index:Grafana") == []
    (line,) = deployed(shipped("prod")).warnings
    assert line.startswith("retention.traces: not applied in opensearch")
