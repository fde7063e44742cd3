"""The Pulumi program of the sample app, run against nothing: what it starts, and how it has itself scraped."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sample_app import settings
from sample_app.impersonation import command
from sample_app_support import EXAMPLE

from specs import profile
from tests.specs.support import ROOT, stack

HOME = "/nowhere/local"
# A process of its own: Pulumi's runtime is one for a whole process.
RUN = """
import json, runpy, sys
import pulumi
from pulumi.runtime.config import set_all_config

given, outputs, program = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
declared = {}

class Mocks(pulumi.runtime.Mocks):
    def call(self, args):
        raise AssertionError(args.token)

    def new_resource(self, args):
        if args.typ == "pulumi:pulumi:StackReference":
            return args.name, {"name": args.name, "outputs": outputs}
        declared[args.name] = {key: value for key, value in args.inputs.items() if key != "__provider"}
        return args.name, args.inputs

pulumi.runtime.set_mocks(Mocks(), project="sample-app", stack="local", preview=False)
set_all_config({f"sample-app:{key}": value for key, value in given.items()})

@pulumi.runtime.test
def run():
    runpy.run_path(program, run_name="__main__")

run()
print(json.dumps(declared))
"""


def _declared(*, told: Mapping[str, object] | None = None, **config: str) -> Mapping[str, Mapping[str, Any]]:
    """What is declared beside a stack, which says what is `told`, too."""
    outputs = json.dumps({**stack().outputs(home=HOME), **(told or {})})
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(config), outputs, str(EXAMPLE / "__main__.py")],
        cwd=EXAMPLE, capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{EXAMPLE}:{ROOT}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_without_a_system_it_is_the_shop() -> None:
    """Proves that the command line is one that the shop reads, and that one target is registered under its name."""
    declared = _declared(scenario="slow", port="8123")
    process = declared["sample-app"]
    assert process["command"][:3] == ["python", "-m", "sample_app"]
    read = settings.parse(process["command"][3:])
    assert (read.port, read.scenario, read.app, read.environment) == (8123, "slow", "sample-app", "test")
    assert read.log == Path(HOME, "registry/logs/sample-app/sample-app.json")
    assert process["probe_url"] == "http://127.0.0.1:8123/metrics"
    assert process["environment"]["OTEL_SERVICE_NAME"] == "sample-app"
    assert declared["scrape"]["path"] == f"{HOME}/registry/scrape/sample-app.json"
    labels = {"environment": "test", "app": "sample-app", "service": "sample-app"}
    assert json.loads(declared["scrape"]["text"]) == [{"targets": ["127.0.0.1:8123"], "labels": labels}]


@pytest.mark.parametrize(
    ("scenario", "fail", "down"),
    [("normal", (), False), ("down", (), True), ("SlowAIService", ("SlowAIService",), False)],
)
def test_with_a_system_it_stands_in_for_it(scenario: str, fail: tuple[str, ...], down: bool) -> None:
    """Proves that the command line is one that the stand-in reads, that its log files are the system's, and that its
    services and exporters are registered as targets of the system."""
    declared = _declared(system="roadtrip", scenario=scenario)
    process = declared["sample-app"]
    read = command.parse(process["command"][3:])
    assert (read.system, read.fail, read.down, read.environment) == ("roadtrip", fail, down, "test")
    assert read.logs == Path(HOME, "registry/logs/roadtrip")
    assert process["probe_url"] == "http://127.0.0.1:8000/alive"
    assert "OTEL_SERVICE_NAME" not in process["environment"]
    assert "app=roadtrip" in process["environment"]["OTEL_RESOURCE_ATTRIBUTES"].split(",")
    entries = json.loads(declared["scrape"]["text"])
    assert {entry["labels"]["service"] for entry in entries} == {"api", "node", "postgres", "redis", "json", "blackbox"}
    for entry in entries:
        assert entry["targets"] == ["127.0.0.1:8000"]
        assert (entry["labels"]["app"], entry["labels"]["environment"]) == ("roadtrip", "test")
        page = (entry["labels"]["__metrics_path__"], entry["labels"].get("__param_name"))
        assert page in {("/metrics", None), ("/exporters", entry["labels"]["service"])}


def test_a_profile_elsewhere_is_handed_on(tmp_path: Path) -> None:
    """Proves that a system of one's own is read from where the stack file says it is."""
    place = tmp_path / "sixth.yaml"
    place.write_text("owner: somebody\nservices:\n  web: {}\n")
    declared = _declared(system="sixth", profile=str(place))
    assert command.parse(declared["sample-app"]["command"][3:]).profile == profile.read(place)
    [entry] = json.loads(declared["scrape"]["text"])
    assert (entry["labels"]["app"], entry["labels"]["service"]) == ("sixth", "web")


def test_errors_go_where_the_stack_says() -> None:
    """Proves that the app is started with the stack's block for Sentry's SDKs, and without one where there is none."""
    block = {"ENABLE_SENTRY": "true", "SENTRY_DSN": "http://key@127.0.0.1:8010/1"}
    environment = _declared(told={"sentry_env": block})["sample-app"]["environment"]

    assert block.items() <= environment.items()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in environment
    assert not any("SENTRY" in name for name in _declared()["sample-app"]["environment"])
