"""Secrets that nobody has to choose."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from components import configuration
from components.generated import GeneratedSecretProvider, make_up, place
from components.recording import Recording, Registered, record
from specs.settings import RuntimeKind
from specs.stack import Stack
from tests.deployment import inputs_of, settings_for

GENERATED = "pulumi-python:dynamic/observability:GeneratedSecret"
RECEIVERS = {"default": "team", "receivers": {"team": {"webhook": {"url": "http://team.example.com"}}}}


def asked(runtime: RuntimeKind, *, secrets: dict[str, str] | None = None, **more: Any) -> tuple[Recording, list[str]]:
    """Return what reading the secrets of a stack with a Grafana declares, and the keys of the secrets."""
    settings = settings_for(runtime, alerting=RECEIVERS, **more).model_dump(
        mode="json", by_alias=True, exclude_unset=True
    )
    keys: list[str] = []

    def program() -> None:
        stack: Stack = configuration.stack()
        keys.extend(configuration.secrets(stack))

    recording = record(program, stack="made", config={"settings": json.dumps(settings)}, secrets=secrets)
    return recording, keys


def generated(recording: Recording) -> list[Registered]:
    """Return the secrets that the engine makes up."""
    return [resource for resource in recording.resources if resource.type == GENERATED]


@pytest.mark.parametrize(
    ("runtime", "docker", "kept"),
    [
        (RuntimeKind.DOCKER, {}, True),
        (RuntimeKind.DOCKER, {"keep_volumes": False}, False),
        (RuntimeKind.KUBERNETES, {}, False),
    ],
)
def test_what_nobody_set_is_made_up(runtime: RuntimeKind, docker: dict[str, Any], *, kept: bool) -> None:
    """A secret that may be made up needs no configuration; it outlives the stack where volumes do."""
    recording, keys = asked(runtime, docker=docker)

    assert "grafana-admin-password" in keys
    assert inputs_of(recording, GENERATED, "grafana-admin-password") == {
        "stack": "made",
        "key": "grafana-admin-password",
        "kept": kept,
    }


def test_what_somebody_set_is_taken() -> None:
    """A secret of the configuration is not made up as well."""
    recording, keys = asked(RuntimeKind.DOCKER, secrets={"grafana-admin-password": "chosen"})

    assert "grafana-admin-password" in keys
    assert [resource.name for resource in generated(recording) if resource.name == "grafana-admin-password"] == []


def test_processes_make_up_their_own() -> None:
    """On a process stack nothing is declared: the value is made where the program runs."""
    recording, _ = asked(RuntimeKind.PROCESS)

    assert generated(recording) == []


def test_values_are_long_and_never_the_same() -> None:
    """192 bits, in characters that need no quotes anywhere."""
    values = {make_up(None) for _ in range(50)}

    assert len(values) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", value) for value in values)


def test_a_value_outlives_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the stack is gone and made again, what its data knows is still the secret; only its owner can read it."""
    monkeypatch.setenv("OBSERVABILITY_STATE", str(tmp_path))
    props = {"stack": "dev", "key": "pass", "kept": True, "value": None}
    provider = GeneratedSecretProvider()

    first, again = provider.create(props), provider.create(props)
    other = provider.create({**props, "key": "other"})

    file = place("dev", "pass")
    assert (first.id, first.outs) == ("pass", {**props, "value": file.read_text(encoding="utf-8")})
    assert again.outs == first.outs
    assert other.outs is not None
    assert other.outs["value"] != file.read_text(encoding="utf-8")
    assert file == tmp_path / "dev" / "generated" / "pass"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_value_that_does_not_outlive_it_is_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on the developer's own machine the engine's state is the only place that has it."""
    monkeypatch.setenv("OBSERVABILITY_STATE", str(tmp_path))
    made = GeneratedSecretProvider().create({"stack": "prod", "key": "pass", "kept": False, "value": None})

    assert made.outs is not None
    assert made.outs["value"]
    assert list(tmp_path.iterdir()) == []


def test_it_never_changes() -> None:
    """No change of its inputs is a reason for another value."""
    assert GeneratedSecretProvider().diff("pass", {"kept": True}, {"kept": False}).changes is False
