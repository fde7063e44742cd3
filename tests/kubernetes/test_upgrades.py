"""A newer version of a program, applied onto a stack."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from specs.stack import Stack
from tests.kubernetes import stacks
from tests.kubernetes.applying import apply
from tests.kubernetes.conftest import Place
from tests.kubernetes.control_plane import ControlPlane

_INSTANCE = "app.kubernetes.io/instance"
_VERSION = "app.kubernetes.io/version"
_SETS = ("StatefulSet", "Deployment", "DaemonSet")


def _newer(version: str) -> str:
    """The version with its last number counted up: `v3.13.5` → `v3.13.6`."""
    return re.sub(r"\d+(?=\D*$)", lambda number: str(int(number[0]) + 1), version)


def _versions(of: Stack, *programs: str) -> dict[str, str]:
    """Newer versions of those programs, or of all."""
    every = [program.program for workload in of.workloads for program in (workload, *workload.beside)]
    return {program.name: _newer(program.version) for program in every if not programs or program.name in programs}


def _by_name(objects: Sequence[stacks.Object]) -> dict[tuple[str, str, str], stacks.Object]:
    """Objects by kind, namespace and name, without what the server writes down of who changed what and when."""
    return {
        (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): {
            **each,
            "metadata": {key: each["metadata"].get(key) for key in ("labels", "annotations")},
            "status": None,
        }
        for each in objects
    }


def _fixed(objects: Sequence[stacks.Object]) -> dict[tuple[str, str, str], list[Any]]:
    """What must stay of what makes pods and of Services, lest volumes, addresses or running pods are lost."""
    keys = ("selector", "volumeClaimTemplates", "serviceName", "podManagementPolicy", "clusterIP")
    return {
        name: [each["spec"].get(key) for key in keys]
        for name, each in _by_name(objects).items()
        if each["kind"] in {*_SETS, "Service"}
    }


def test_an_upgrade_of_one_program_touches_that_program_only(control_plane: ControlPlane, place: Place) -> None:
    """A newer Prometheus changes nothing but objects of what runs Prometheus, and of those that make pods nothing but
    image and version."""
    old = place("large").objects
    before, running = stacks.rendered("large")[0], "prometheus"
    after = stacks.stack("large", versions=_versions(before, running))

    new = apply(control_plane, stacks.objects(after), "--dry-run=server").objects

    was, now = _by_name(old), _by_name(new)
    touched = {name: each for name, each in now.items() if was.get(name) != each}
    owners = {workload.name for workload in before.workloads if workload.program.name == running}
    assert set(was) == set(now)
    assert {each["metadata"]["labels"][_INSTANCE] for each in touched.values()} == owners
    for name, each in touched.items():
        assert _without_version(each) == _without_version(was[name])
    assert _fixed(new) == _fixed(old)


def _without_version(found: stacks.Object) -> stacks.Object:
    copy: stacks.Object = json.loads(json.dumps(found))
    copy["metadata"]["labels"].pop(_VERSION)
    if copy["kind"] in _SETS:
        template = copy["spec"]["template"]
        template["metadata"]["labels"].pop(_VERSION)
        for container in template["spec"]["containers"]:
            container["image"] = container["image"].rpartition(":")[0]
    return copy


def test_an_upgrade_of_everything_is_accepted(control_plane: ControlPlane, place: Place) -> None:
    """All programs at once: the server refuses no change, every image is the newer one, and what must stay does."""
    old = place("medium").objects
    versions = _versions(stacks.rendered("medium")[0])

    new = apply(control_plane, stacks.objects(stacks.stack("medium", versions=versions)), "--dry-run=server").objects

    images = {
        container["image"]
        for each in new
        if each["kind"] in _SETS
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert {image.rpartition(":")[2] for image in images} == set(versions.values())
    assert _fixed(new) == _fixed(old)


def _larger(spec: stacks.Object) -> None:
    spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] = "999Gi"


def _selected_otherwise(spec: stacks.Object) -> None:
    spec["selector"]["matchLabels"]["version"] = "2"
    spec["template"]["metadata"]["labels"]["version"] = "2"


@pytest.mark.parametrize("change", [_larger, _selected_otherwise])
def test_the_server_refuses_what_an_upgrade_must_not_do(
    control_plane: ControlPlane, place: Place, change: Callable[[stacks.Object], None]
) -> None:
    """A larger volume claim, or another selector, is refused: so acceptance says something about upgrades."""
    place("small")
    objects = stacks.rendered("small")[1]
    found = next(each for each in objects if (each["kind"], each["metadata"]["name"]) == ("StatefulSet", "prometheus"))
    changed = json.loads(json.dumps(found))
    change(changed["spec"])

    with pytest.raises(AssertionError, match="updates to statefulset spec for fields other than"):
        apply(control_plane, [changed], "--dry-run=server")
