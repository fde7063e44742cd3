"""An application's program beside a stack, by the real engine: StackReference, secrets, and the mark in Grafana."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.outputs.engine import Engine
from tests.outputs.grafana import Grafana, grafana
from tests.outputs.told import outputs
from tools import native

CANARY = "glsa_canary-of-the-engine"
STACK = """
import json, pulumi
for name, value in json.load(open({file!r})).items():
    if name == "grafana":
        value["annotations"]["token"] = pulumi.Output.secret(value["annotations"]["token"])
    pulumi.export(name, value)
"""
APP = """
import pulumi
from observability_outputs import Stack

config = pulumi.Config()
stack = Stack.of(pulumi.StackReference("organization/observability/dev"))
version = config.require("version")
pulumi.export("env", stack.otel_env("web", app="shop", version=version))
pulumi.export("network", stack.docker_network)
stack.annotate(f"shop {version}", app="shop", version=version)
"""


@pytest.fixture(scope="module", name="engine")
def _engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    native.ensure(["pulumi", "pulumi-language-python"])
    return Engine(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="module", name="server")
def _server() -> Iterator[Grafana]:
    with grafana() as found:
        yield found


@pytest.fixture(scope="module", name="app")
def _app(engine: Engine, server: Grafana) -> Path:
    """The project of the application, beside a stack that tells what `dev` tells."""
    told = {**outputs("dev"), "grafana": {"annotations": {"url": server.url, "token": CANARY}}}
    file = engine.base / "outputs.json"
    file.write_text(json.dumps(told), encoding="utf-8")
    beside = engine.project("observability", STACK.format(file=str(file)))
    engine.run(beside, "stack", "init", "dev")
    engine.run(beside, "up", "--yes", "--skip-preview", "--stack", "dev")
    project = engine.project("shop", APP)
    engine.run(project, "stack", "init", "test")
    return project


def test_a_version_is_marked_once(engine: Engine, app: Path, server: Grafana) -> None:
    """Proves that a preview marks nothing, an update marks each version once, and a mark outlives its resource;
    that what has no secret in it can be read; and that the token is nowhere in the clear."""
    seen = ""

    def work(command: str, version: str) -> int:
        nonlocal seen
        flags = ["--diff"] if command == "preview" else ["--yes", "--skip-preview"]
        named = [] if command == "destroy" else ["--config", f"shop:version={version}"]
        done = engine.run(app, command, "--stack", "test", *flags, *named)
        seen += done.stdout + done.stderr
        return len(server.asked)

    assert work("preview", "1.4.2") == 0
    assert work("up", "1.4.2") == 1
    assert work("up", "1.4.2") == 1
    assert work("up", "1.4.3") == 2
    told = json.loads(engine.run(app, "stack", "output", "--json", "--stack", "test").stdout)
    state = engine.run(app, "stack", "export", "--stack", "test").stdout
    assert work("destroy", "1.4.3") == 2

    assert [body["text"] for _, _, body in server.asked] == ["shop 1.4.2", "shop 1.4.3"]
    assert {authorization for _, authorization, _ in server.asked} == {f"Bearer {CANARY}"}
    assert told["network"] == "observability"
    assert told["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://observability-collector:4318"
    assert CANARY not in seen + state + json.dumps(told)


def test_a_grafana_that_refuses_is_told(engine: Engine, app: Path, server: Grafana) -> None:
    """Proves that an update whose mark is refused fails with the reason, and without the token."""
    server.answers[:] = [(401, "")]
    flags = ["--yes", "--skip-preview", "--config", "shop:version=1.5.0"]
    done = engine.run(app, "up", "--stack", "test", *flags, check=False)

    assert done.returncode != 0
    assert f"{server.url}: annotation not posted: 401: the token is not Grafana's, or has expired" in (
        done.stdout + done.stderr
    )
    assert CANARY not in done.stdout + done.stderr
