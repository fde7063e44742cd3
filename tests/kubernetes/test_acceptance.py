"""A real API server takes every object of a production stack, and takes it once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from specs.settings import Flavor
from tests.kubernetes import stacks
from tests.kubernetes.applying import apply
from tests.kubernetes.conftest import Place
from tests.kubernetes.control_plane import ControlPlane

_MOST = 1024 * 1024
"""Bytes that the server takes as the data of a ConfigMap or Secret."""


@pytest.fixture(params=stacks.VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """Each form of the stack."""
    return str(request.param)


def test_every_object_is_accepted(place: Place, variant: str) -> None:
    """Every object is there, whatever it is, and the server has no warning about any: none is deprecated, and no field
    stands twice."""
    names = [(each["kind"], each["metadata"]["name"]) for each in stacks.rendered(variant)[1]]

    applied = place(variant)

    assert [(each["kind"], each["metadata"]["name"]) for each in applied.objects] == names
    assert not applied.complaints


def test_a_second_time_changes_nothing(control_plane: ControlPlane, place: Place, variant: str) -> None:
    """What is applied again moves no object's version: no field is set that the server sets otherwise."""
    applied = place(variant)

    again = apply(control_plane, stacks.rendered(variant)[1])

    assert again.versions() == applied.versions()


def test_files_fit(place: Place, variant: str) -> None:
    """ConfigMaps and Secrets as the server stored them are below what it takes."""
    sizes = {
        each["metadata"]["name"]: sum(len(value.encode()) for value in each.get("data", {}).values())
        for each in place(variant).objects
        if each["kind"] in {"ConfigMap", "Secret"}
    }

    assert sizes
    assert max(sizes.values()) < _MOST


def test_the_server_counts(control_plane: ControlPlane) -> None:
    """A ConfigMap of one byte more than the limit is refused, so that acceptance says something about sizes."""

    def config(size: int) -> stacks.Object:
        metadata = {"name": "big", "namespace": "default"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": "x" * size}}

    apply(control_plane, [config(_MOST)], "--dry-run=server")
    with pytest.raises(AssertionError, match="Too long: may not be more than 1048576 bytes"):
        apply(control_plane, [config(_MOST + 1)], "--dry-run=server")


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("StatefulSet", ("spec", "template", "spec")),
        ("Service", ("spec",)),
        ("ConfigMap", ()),
        ("HTTPRoute", ("spec",)),
        ("Ingress", ("spec",)),
    ],
)
def test_the_server_knows_its_fields(control_plane: ControlPlane, kind: str, path: tuple[str, ...]) -> None:
    """A field that does not exist is refused, so that acceptance says something about fields."""
    every = [each for name in stacks.VARIANTS for each in stacks.rendered(name)[1] if each["kind"] == kind]
    broken = json.loads(json.dumps(every[0]))
    broken["metadata"]["namespace"] = "default"
    place = broken
    for key in path:
        place = place[key]
    place["misspelt"] = True

    with pytest.raises(AssertionError, match=r"misspelt: field not declared in schema"):
        apply(control_plane, [broken], "--dry-run=server")


@pytest.mark.parametrize("flavor", [flavor for flavor in Flavor if flavor is not Flavor.GENERIC])
def test_whose_cluster_it_is_makes_no_object_worse(control_plane: ControlPlane, place: Place, flavor: Flavor) -> None:
    """What a flavour changes of the small stack is accepted in its place."""
    place("small")
    usual = stacks.rendered("small")[1]
    flavoured = stacks.objects(stacks.stack("small", kubernetes={"flavor": flavor.value}))

    different = [each for each in flavoured if each not in usual]
    found = apply(control_plane, different, "--dry-run=server") if different else None

    assert found is None or not found.complaints


_ANEW: Mapping[tuple[str, str], set[str]] = {("small", "medium"): set(), ("medium", "large"): {"thanos-compactor"}}
"""By size and the next one: StatefulSets that ask for another volume then, and so are made anew."""


@pytest.mark.parametrize(("size", "larger"), _ANEW)
def test_a_stack_can_grow_in_its_place(control_plane: ControlPlane, place: Place, size: str, larger: str) -> None:
    """The next size is accepted over a stack, but for StatefulSets that ask for another volume: Pulumi makes these anew
    and their claims stay as they are, so which they are is written down here."""
    place(size)
    asked, anew = _claims(stacks.rendered(size)[1]), _ANEW[size, larger]
    storage = stacks.VARIANTS[size]["kubernetes"].get("storage_class")
    grown = stacks.objects(stacks.stack(larger, namespace=size, kubernetes={"storage_class": storage}))

    found = apply(
        control_plane,
        [each for each in grown if each["kind"] != "StatefulSet" or each["metadata"]["name"] not in anew],
        "--dry-run=server",
    )

    assert not found.complaints
    wanted = _claims(grown)
    assert {name for name in asked.keys() & wanted.keys() if asked[name] != wanted[name]} == anew
    assert "prometheus" in asked.keys() & wanted.keys()


_CHANGED: Mapping[str, Any] = {
    "scrape_interval": "30s",
    "retention": {"logs": "14d"},
    "replicas": {"collector": 5, "prometheus": 1, "alertmanager": 1},
    "kubernetes": {
        "priority": 2_000_000,
        "keep_volumes": False,
        "secrets": {"slack-url": {"name": "from-vault", "key": "slack"}},
    },
}


def test_settings_can_change_in_their_place(control_plane: ControlPlane, place: Place) -> None:
    """A small stack whose settings change is accepted over what it was: nothing that they change is fixed for ever."""
    place("small")
    after = stacks.objects(stacks.stack("small", **_CHANGED))
    before = stacks.rendered("small")[1]

    assert {each["kind"] for each in after if each not in before} >= {"PriorityClass", "ConfigMap", "StatefulSet"}
    assert not apply(control_plane, after, "--dry-run=server").complaints


def _claims(objects: Sequence[stacks.Object]) -> dict[str, list[str]]:
    """Sizes of the volumes that each StatefulSet asks for."""
    return {
        each["metadata"]["name"]: [
            claim["spec"]["resources"]["requests"]["storage"] for claim in each["spec"].get("volumeClaimTemplates", ())
        ]
        for each in objects
        if each["kind"] == "StatefulSet"
    }
