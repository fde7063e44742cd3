"""What an upgrade changes: what Pulumi would be told before it and after it, compared key by key."""

import re
from collections.abc import Iterator
from typing import cast

import pytest

from components.recording import Recording, Registered
from specs import versions
from specs.settings import Settings, load
from specs.stack import Stack, build
from tests.deployment import ROOT, deployed

FILE = "Pulumi.prod.yaml"
VERSION = "app.kubernetes.io/version"
STEPS = re.compile(
    r"(metadata\.labels|spec\.template\.metadata\.labels)\.app\.kubernetes\.io/version"
    r"|spec\.template\.spec\.(containers|initContainers)\[\d+\]\.image"
)
"""Where an object names the version of its program."""
THRESHOLD = "PrometheusRequestsFailing"


def newer(tag: str) -> str:
    """A later patch of the version that `tag` stands for."""
    return re.sub(r"(\d+\.\d+)(\.\d+)?", r"\1.98", tag, count=1)


def settings(**changes: object) -> Settings:
    """Those of the project's own production stack, with `changes`."""
    return load(ROOT / FILE).model_copy(update=changes)


def stack(**changes: object) -> Stack:
    """The production stack with `changes`."""
    return build(settings(**changes), file=FILE)


@pytest.fixture(scope="module")
def before() -> Stack:
    """Return the production stack as it is."""
    return stack()


@pytest.fixture(scope="module")
def recorded(before: Stack) -> Recording:
    """Return what it declares."""
    return deployed(before)


def programs(of: Stack) -> dict[str, str]:
    """Versions of what the stack runs, by program."""
    return {
        each.name: each.version for each in {program.program.name: program.program for program in of.programs}.values()
    }


def differences(before: object, after: object, at: str = "") -> Iterator[str]:
    """Paths at which two values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        left, right = cast("dict[str, object]", before), cast("dict[str, object]", after)
        for key in sorted({*left, *right}):
            yield from differences(left.get(key), right.get(key), f"{at}.{key}" if at else key)
        return
    if isinstance(before, list) and isinstance(after, list):
        one, other = cast("list[object]", before), cast("list[object]", after)
        if len(one) == len(other):
            for index, pair in enumerate(zip(one, other, strict=True)):
                yield from differences(*pair, f"{at}[{index}]")
            return
    if before != after:
        yield at


def changed(before: Recording, after: Recording) -> dict[tuple[str, str], list[str]]:
    """What differs, by the resource's type and name. Neither has a resource more than the other."""
    one, other = ({each.urn: each for each in recording.resources} for recording in (before, after))
    assert sorted(one) == sorted(other)
    found: dict[tuple[str, str], list[str]] = {}
    for urn, was in one.items():
        if paths := list(differences(was.inputs, other[urn].inputs)):
            found[(was.type.rpartition(":")[2], was.name)] = paths
        assert options(was) == options(other[urn])
    return found


def options(resource: Registered) -> tuple[object, ...]:
    """What the engine does with a resource beside its inputs."""
    return resource.parent, resource.depends_on, resource.retain_on_delete, resource.delete_before_replace


def test_the_comparison_sees_what_it_is_for() -> None:
    """A changed key, a missing one and a longer list are told, so that the tests below prove something."""
    one = {"spec": {"selector": {"a": "b"}, "list": [1, 2]}, "same": [{"x": 1}]}
    other = {"spec": {"selector": {"a": "c"}, "list": [1]}, "same": [{"x": 2}]}

    assert list(differences(one, other)) == ["same[0].x", "spec.list", "spec.selector.a"]
    assert (newer("v3.14.0"), newer("18.6-trixie"), newer("0.159.0")) == ("v3.14.98", "18.6.98-trixie", "0.159.98")


def test_new_versions_change_images_and_labels_alone(before: Stack, recorded: Recording) -> None:
    """Every program upgraded at once: no URN, selector, claim of a volume, Service, ConfigMap's data, argument or
    environment changes, but each program's image and the labels that name its version do."""
    wanted = {name: newer(tag) for name, tag in programs(before).items()}
    after = deployed(stack(versions=wanted))
    found = changed(recorded, after)

    strange = {(where, path) for where, paths in found.items() for path in paths if not STEPS.fullmatch(path)}
    assert strange == set()
    pods = [
        each for each in after.resources if each.type.rpartition(":")[2] in {"Deployment", "StatefulSet", "DaemonSet"}
    ]
    assert len(pods) > 10
    for each in pods:
        images = [path for path in found[each.type.rpartition(":")[2], each.name] if path.endswith(".image")]
        assert len(images) == len(each.inputs["spec"]["template"]["spec"]["containers"])


def test_no_selector_names_a_version(recorded: Recording) -> None:
    """What chooses pods stays when they are upgraded: of Services, sets, budgets, policies and spreading."""
    chosen = 0
    for resource in recorded.resources:
        for path, value in leaves(resource.inputs):
            if re.search(r"selector|labelSelector|matchLabels|podSelector", path, re.IGNORECASE):
                chosen += 1
                assert VERSION not in path, (resource.name, path)
                assert value not in programs_of(recorded), (resource.name, path)
    assert chosen > 30


def programs_of(recording: Recording) -> set[str]:
    """Every version that some object's labels name."""
    return {
        label
        for resource in recording.resources
        if (label := resource.inputs.get("metadata", {}).get("labels", {}).get(VERSION))
    }


def leaves(value: object, at: str = "") -> Iterator[tuple[str, object]]:
    """Every plain value by its path."""
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            yield from leaves(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from leaves(inner, at)
    else:
        yield at, value


@pytest.mark.parametrize("program", sorted(programs(stack())))
def test_one_version_changes_one_program(before: Stack, program: str) -> None:
    """A new version of a program is in what runs it, and in nothing else that the stack consists of."""
    tag = newer(programs(before)[program])
    after = stack(versions={program: tag})

    assert versions.refused(program, tag) is None
    assert after.jobs == before.jobs
    assert after.groups == before.groups
    assert after.dashboards == before.dashboards
    for was, now in zip(before.programs, after.programs, strict=True):
        version = tag if was.program.name == program else was.program.version
        assert now.program.version == version
        assert (now.name, now.files, now.args, now.environment) == (was.name, was.files, was.args, was.environment)
        assert (now.volume, now.resources, now.ports) == (was.volume, was.resources, was.ports)


def test_one_version_changes_one_programs_objects(before: Stack, recorded: Recording) -> None:
    """A new Loki is told to Pulumi as other objects of Loki's own, and of nothing else."""
    found = changed(recorded, deployed(stack(versions={"loki": newer(programs(before)["loki"])})))

    assert found
    assert {name for _, name in found if not name.startswith("loki")} == set()


def test_a_threshold_changes_rules_alone(before: Stack, recorded: Recording) -> None:
    """Another limit of an alert is another ConfigMap of Prometheus, in the one file with the rule, which the set of its
    pods refers to by its generated name; no other object changes."""
    alerting = before.context.settings.alerting
    override = {THRESHOLD: {"threshold": 0.123}}
    changed_alerting = type(alerting).model_validate(
        {**alerting.model_dump(by_alias=True, exclude_unset=True), "overrides": override}
    )
    after = deployed(stack(alerting=changed_alerting))
    found = changed(recorded, after)

    (where,) = found
    assert where[0] == "ConfigMap"
    assert where[1].startswith("prometheus")
    assert [re.sub(r"^data\.", "", path) for path in found[where]] == ["rules__prometheus.yml"]
    set_ = after.resource("kubernetes:apps/v1:StatefulSet", "prometheus")
    assert where[1] in set_.depends_on
    assert where[1] in {value for _, value in leaves(set_.inputs["spec"]["template"]["spec"]["volumes"])}
