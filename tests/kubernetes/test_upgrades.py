"""A newer version of a program, applied onto a running stack."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from specs.stack import Stack
from tests.kubernetes import stacks
from tests.kubernetes.applying import apply, teach_routes
from tests.kubernetes.control_plane import ControlPlane

_INSTANCE = "app.kubernetes.io/instance"


def _newer(version: str) -> str:
    """The version with its last number counted up: `v3.13.5` → `v3.13.6`."""
    return re.sub(r"\d+(?=\D*$)", lambda number: str(int(number[0]) + 1), version)


def _versions(of: Stack, *programs: str) -> dict[str, str]:
    """Newer versions of those programs, or of all."""
    every = [program.program for workload in of.workloads for program in (workload, *workload.beside)]
    return {program.name: _newer(program.version) for program in every if not programs or program.name in programs}


def _fixed(found: stacks.Object) -> Any:
    """What cannot change in what makes pods, or would lose them their volumes or their Service."""
    spec = found["spec"]
    return [
        spec.get(key) for key in ("selector", "volumeClaimTemplates", "serviceName", "podManagementPolicy", "clusterIP")
    ]


@pytest.mark.parametrize("variant", ["small", "large"])
def test_an_upgrade_of_one_program_touches_that_program_only(control_plane: ControlPlane, variant: str) -> None:
    """A newer Prometheus changes objects of what runs Prometheus, by image and the label with the version. Selectors,
    volume claims and everybody else's objects are what they were."""
    teach_routes(control_plane)
    namespace = f"one-{variant}"
    before = stacks.stack(variant, namespace=namespace)
    running = {workload.name for workload in before.workloads if workload.program.name == "prometheus"}
    old = apply(control_plane, stacks.objects(before))

    after = stacks.stack(variant, namespace=namespace, versions=_versions(before, "prometheus"))
    new = apply(control_plane, stacks.objects(after))

    versions = old.versions()
    touched = [
        each for key, each in zip(new.versions(), new.objects, strict=True) if versions.get(key) != new.versions()[key]
    ]
    assert touched
    assert {each["metadata"]["labels"][_INSTANCE] for each in touched} == running
    assert set(new.versions()) == set(versions)
    _assert_kept(old.objects, new.objects)


def test_an_upgrade_of_everything_is_accepted(control_plane: ControlPlane) -> None:
    """All programs at once: the server refuses no change, and what cannot change did not."""
    teach_routes(control_plane)
    before = stacks.stack("medium", namespace="all")
    old = apply(control_plane, stacks.objects(before))

    after = stacks.stack("medium", namespace="all", versions=_versions(before))
    new = apply(control_plane, stacks.objects(after))

    images = {
        container["image"]
        for each in new.objects
        if each["kind"] in {"StatefulSet", "Deployment", "DaemonSet"}
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert {image.rpartition(":")[2].partition("@")[0] for image in images} == set(_versions(before).values())
    _assert_kept(old.objects, new.objects)


def _larger(spec: stacks.Object) -> None:
    spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] = "999Gi"


def _selected_otherwise(spec: stacks.Object) -> None:
    spec["selector"]["matchLabels"]["version"] = "2"
    spec["template"]["metadata"]["labels"]["version"] = "2"


@pytest.mark.parametrize("change", [_larger, _selected_otherwise])
def test_the_server_refuses_what_an_upgrade_must_not_do(
    control_plane: ControlPlane, change: Callable[[stacks.Object], None]
) -> None:
    """A larger volume claim, or another selector, is refused: so acceptance says something about upgrades."""
    _, objects = stacks.rendered("small")
    apply(control_plane, objects)
    found = next(each for each in objects if (each["kind"], each["metadata"]["name"]) == ("StatefulSet", "prometheus"))
    changed = json.loads(json.dumps(found))
    change(changed["spec"])

    with pytest.raises(AssertionError, match="updates to statefulset spec for fields other than"):
        apply(control_plane, [changed], "--dry-run=server")


def _assert_kept(old: tuple[stacks.Object, ...], new: tuple[stacks.Object, ...]) -> None:
    kinds = {"StatefulSet", "Deployment", "DaemonSet", "Service"}
    kept = {
        (each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]): _fixed(each)
        for each in old
        if each["kind"] in kinds
    }
    now = {
        (each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]): _fixed(each)
        for each in new
        if each["kind"] in kinds
    }
    assert kept
    assert now == kept
