"""The example of databases that run already: what its stack file declares on Docker."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from components.recording import Recording, Secret
from specs.settings import load
from specs.stack import Stack, build
from tests.deployment import CONTAINER, NETWORK, ROOT, deployed, inputs_of, secret_of

FILE = ROOT / "examples" / "stacks" / "existing-databases.yaml"
EXPORTERS = {
    "postgres-exporter-shop": "db:5432",
    "redis-exporter-shop": "cache:6379",
    "nginx-exporter-shop": "web:8080",
    "flower-shop": "",
}
"""Exporters of the example, and what each dials; flower's broker is a secret as a whole."""
SECRETS = {"postgres-exporter-shop": "shop-postgres", "redis-exporter-shop": "shop-redis", "flower-shop": "shop-broker"}


@cache
def example() -> Stack:
    """The stack of the example."""
    return build(load(FILE), file=FILE.name)


@cache
def recording() -> Recording:
    """What it declares."""
    return deployed(example())


def networks(name: str) -> list[str]:
    """Networks that a container joins."""
    joined: list[Mapping[str, Any]] = inputs_of(recording(), CONTAINER, name)["networksAdvanced"]
    return [each["name"] for each in joined]


def test_what_dials_joins_the_applications_network() -> None:
    """Proves that everything that asks the application's servers, or is sent something, joins their network, that
    nothing else does, and that the stack does not make that network its own."""
    outward = {workload.name for workload in example().workloads if "app_network" in networks(workload.name)}

    assert {"prometheus", "collector", "loki", "blackbox-exporter", *EXPORTERS} == outward
    assert all("observability" in networks(workload.name) for workload in example().workloads)
    made = [each.inputs["name"] for each in recording().resources if each.type == NETWORK]
    assert made == ["observability"]


def test_no_alias_in_somebody_elses_network() -> None:
    """Proves that no name of the stack's parts takes the place of one of the application's."""
    for workload in example().workloads:
        for joined in inputs_of(recording(), CONTAINER, workload.name)["networksAdvanced"]:
            assert joined.get("aliases", []) == ([workload.name] if joined["name"] == "observability" else [])


def test_servers_are_dialled_by_the_names_of_their_network() -> None:
    """Proves that each exporter is told the address of its server, and that none of the servers is started."""
    for name, address in EXPORTERS.items():
        declared = inputs_of(recording(), CONTAINER, name)
        files = example().workload(name).files
        assert address in str([declared["command"], declared.get("envs"), files]), name
    databases = ("/postgres:", "/redis:", "/nginx:", "/valkey:")
    images = [str(each.inputs["image"]) for each in recording().resources if each.type == CONTAINER]
    assert [image for image in images if any(database in image for database in databases)] == []


def test_passwords_are_secret() -> None:
    """Proves that every password arrives as a secret, in files only: in no argument, no variable, no label."""
    for key in SECRETS.values():
        # In tests a secret's value holds its name, and nothing else does.
        assert key in secret_of(key)
        told = [
            (field, given)
            for each in recording().resources
            for field, given in each.inputs.items()
            if key in repr(given)
        ]
        assert [field for field, _ in told] == ["uploads"], key
        (files,) = (given for _, given in told)
        assert all(isinstance(file["content"], Secret) for file in files)
    for name, key in SECRETS.items():
        assert key in {ref.key for ref in example().workload(name).secrets.values()}


def test_documents_show_the_same() -> None:
    """Proves that the page shows what the example's file says."""
    page = (ROOT / "docs" / "existing-databases.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block.partition("```")[0]) for block in page.split("```yaml\n")[1:]]
    written = yaml.safe_load(FILE.read_text(encoding="utf-8"))["config"]["observability:settings"]

    for block in blocks:
        for key, value in block.items():
            assert value.items() <= written[key].items(), key
