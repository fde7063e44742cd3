"""The component as a class, against nothing at all: what it refuses, and what it declares on each runtime."""

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import pulumi
import pytest

from components.recording import Recording, Secret, record
from components.reusable import TOKEN, Stack, StackArgs
from specs.model import parse
from specs.settings import Settings
from specs.stack import build
from tools.paths import ROOT

_SETTINGS: dict[str, Any] = {
    "environment": "test",
    "cluster": "ci",
    "runtime": "kubernetes",
    "alerting": {
        "default": "team",
        "receivers": {"team": {"webhook": {"url": {"secret": "hook-url"}}}},
        "dead_mans_switch": {"url": "https://beat.example.com"},
    },
    "links": {"runbooks": "https://runbooks.example.com"},
}
_SECRETS: dict[str, pulumi.Input[str]] = {"hook-url": "https://hook.example.com/canary-4713"}
_GIVEN: StackArgs = {"settings": _SETTINGS, "secrets": _SECRETS}


def _settings(**more: object) -> dict[str, Any]:
    return {**copy.deepcopy(_SETTINGS), **more}


def _declared(args: Callable[[], StackArgs]) -> Recording:
    def program() -> None:
        Stack("observability", args())

    return record(program, stack="dev")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (StackArgs, "observability: settings, settings_file: give one of them (accepted: a mapping, or a path)"),
        (lambda: {"settings": _settings(), "settings_file": "x.yaml"}, "give one of them"),
        (lambda: {"settings_file": "absent.yaml"}, "absent.yaml: cannot be read"),
        (
            lambda: {"settings": _settings(cluster=pulumi.Output.from_input("late"))},
            "observability: settings.cluster: known only once something is deployed",
        ),
        (lambda: {"settings": _settings(clustr="x")}, "observability: settings.clustr: unknown key (accepted: "),
        (lambda: {"settings": _settings()}, "observability: secrets.hook-url: missing (accepted: "),
        (
            lambda: {"settings": _settings(), "secrets": {**_SECRETS, "hok-url": "y"}},
            "observability: secrets.hok-url: nothing reads it (accepted: ",
        ),
        (
            lambda: {"settings": _settings(), "secrets": _SECRETS, "parts": ["lokki"]},
            "observability: parts: lokki: no part of this stack (accepted: ",
        ),
        (
            lambda: {"settings": _settings(), "secrets": {"hook-url": cast("str", None)}},
            "observability: secrets.hook-url: missing (accepted: ",
        ),
        (
            lambda: {"settings": _settings(), "secrets": cast("Mapping[str, str]", None)},
            "observability: secrets: NoneType (accepted: a mapping of keys to secret values)",
        ),
        (lambda: {"settings_file": cast("str", 5)}, "observability: settings_file: 5 (accepted: a path)"),
        (lambda: {**_GIVEN, "parts": "loki"}, "observability: parts: 'loki' (accepted: a list of names"),
        (lambda: {**_GIVEN, "parts": ()}, "observability: parts: empty: no part"),
    ],
)
def test_mistakes_are_named(args: Callable[[], StackArgs], said: str) -> None:
    """Proves that each mistake in the arguments is a line that names the argument and what is accepted."""
    with pytest.raises(pulumi.RunError) as refused:
        _declared(args)
    assert said in str(refused.value)


def _open(value: object) -> object:
    """`value` without what is secret in it."""
    if isinstance(value, Secret):
        return "secret"
    if isinstance(value, Mapping):
        return {key: _open(item) for key, item in cast("Mapping[str, object]", value).items()}
    return [_open(item) for item in cast("list[object]", value)] if isinstance(value, list) else value


@pytest.mark.parametrize("runtime", ["docker", "kubernetes"])
def test_a_stack_is_whole_on_every_runtime(runtime: str) -> None:
    """Proves that a program gets all parts below one component, on containers and on a cluster, with numbers as the
    wire gives them, and that its secrets are secret in every input."""
    settings = _settings(runtime=runtime, **({"port_offset": 40.0} if runtime == "docker" else {}))
    wanted = build(parse(Settings, settings, file="test", key=""), file="test")
    secrets = {ref.key: f"https://hook.example.com/canary-{ref.key}" for ref in wanted.secrets()}
    found = _declared(lambda: {"settings": settings, "secrets": secrets})
    top = found.resource(TOKEN, "observability")
    inner = found.resource("observability:index:ObservabilityStack", "observability")
    assert f"{TOKEN}$observability:index:ObservabilityStack" in inner.urn
    assert top.parent == ""
    kinds = {resource.type.rpartition(":")[2] for resource in found.resources}
    assert {"Prometheus", "Alertmanager", "Loki", "Jaeger", "Collector", "Grafana"} <= kinds
    assert "canary-" in repr([resource.inputs for resource in found.resources])
    assert "canary-" not in repr([_open(resource.inputs) for resource in found.resources])


def test_what_nobody_has_to_choose_is_made_up() -> None:
    """Proves that a password which no program gives is made up, below the component."""
    found = _declared(lambda: {"settings": _settings(), "secrets": _SECRETS})
    made = [resource for resource in found.resources if resource.type.endswith(":GeneratedSecret")]
    assert [(resource.name, resource.parent) for resource in made] == [
        ("grafana-admin-password", "observability"),
        ("grafana-secret-key", "observability"),
    ]


@pytest.mark.parametrize("part", ["prometheus", "alertmanager", "loki", "jaeger", "collector"])
def test_each_part_can_be_had_alone(part: str) -> None:
    """Proves that a program can have any one part of a stack on a cluster, and gets that workload and no other."""
    found = _declared(lambda: {"settings": _settings(), "secrets": _SECRETS, "parts": [part]})
    placed = {
        resource.name
        for resource in found.resources
        if resource.type in {"kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:StatefulSet"}
    }
    assert placed == {part}


def test_a_part_takes_nothing_of_others_along() -> None:
    """Proves that a part alone needs no secret of the others, has no content of a Grafana that is not there, and only
    its own way in."""
    ingress = {
        "hosts": {"grafana": "grafana.example.com", "loki": "loki.example.com"},
        "controller": ["ingress-nginx"],
        "users": {"secret": "page-users"},
    }
    cluster = _settings(kubernetes={"ingress": ingress})
    users: dict[str, pulumi.Input[str]] = {"page-users": "me:hash"}
    docker = _declared(lambda: {"settings": _settings(runtime="docker"), "parts": ["loki"]})
    without = _declared(lambda: {"settings": cluster, "parts": ["jaeger"]})
    within = _declared(lambda: {"settings": cluster, "parts": ["loki"], "secrets": users})

    unwanted = ("GrafanaContent", ":Ready", ":GeneratedSecret")
    for found in (docker, without, within):
        assert [each.type for each in found.resources if each.type.endswith(unwanted)] == []
    assert [each.name for each in without.resources if each.type.endswith(":Ingress")] == []
    assert [each.name for each in within.resources if each.type.endswith(":Ingress")] == ["loki-ingress"]


def test_the_pieces_can_be_put_together_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that the program of docs/reuse.md which places one part by itself is one."""
    text = (ROOT / "docs" / "reuse.md").read_text(encoding="utf-8")
    (program,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "import Part" in block]
    monkeypatch.chdir(ROOT)
    found = record(lambda: exec(program, {}), stack="dev")  # noqa: S102 - our own documentation
    assert found.resource("observability:index:Loki", "loki").parent == ""
    containers = [each.name for each in found.resources if each.type == "docker:index/container:Container"]
    assert containers == ["loki", "loki-files"]
