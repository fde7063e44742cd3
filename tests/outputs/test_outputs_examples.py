"""The deploys of an application that are examples, and what a program makes of a StackReference; against nothing."""

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from specs.flow import Part, Pods
from specs.flows import flows
from specs.settings import load
from specs.stack import build
from tests.outputs.told import ROOT, outputs

# A process of its own: Pulumi's runtime is one for a whole process.
RUN = """
import json, runpy, sys
import pulumi
from pulumi.runtime.config import set_all_config

given, secrets, outputs, program, preview = json.loads(sys.argv[1])
declared = {}

class Mocks(pulumi.runtime.Mocks):
    def call(self, args):
        raise AssertionError(args.token)

    def new_resource(self, args):
        if args.typ == "pulumi:pulumi:StackReference":
            return args.name, {"name": args.name, "outputs": outputs, "secretOutputNames": ["grafana", "sentry_env"]}
        assert args.name not in declared, args.name
        declared[args.name] = {"type": args.typ, **{k: v for k, v in args.inputs.items() if k != "__provider"}}
        # Names that providers make up.
        named = {"metadata": {"name": args.name, **args.inputs["metadata"]}} if "metadata" in args.inputs else {}
        return args.name, {**args.inputs, **named}

pulumi.runtime.set_mocks(Mocks(), project="app", stack="test", preview=preview)
set_all_config({f"app:{key}": value for key, value in {**given, **secrets}.items()}, [f"app:{key}" for key in secrets])

@pulumi.runtime.test
def run():
    runpy.run_path(program, run_name="__main__")

try:
    run()
except pulumi.RunError as problem:
    sys.exit(str(problem))
print(json.dumps(declared))
"""
SIGNATURE = "4dabf18193072939515e22adb298388d"
CONFIG = {
    "observability": "organization/observability/prod",
    "image": "ghcr.io/example/shop-web:1.4.2",
    "version": "1.4.2",
    "namespace": "shop",
}


def _run(
    program: str, told: Mapping[str, Any], *, preview: bool = False, secrets: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    given = json.dumps([CONFIG, secrets or {}, told, program, preview])
    return subprocess.run(
        [sys.executable, "-c", RUN, given], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@cache
def _done(example: str, stack: str) -> str:
    own = {"grafanaToken": "glsa_own"} if example == "deploy-kubernetes" else {}
    sentry = {"ENABLE_SENTRY": "true", "SENTRY_DSN": "https://key@errors.example.com/1"}
    done = _run(str(ROOT / "examples" / example / "__main__.py"), {**outputs(stack), "sentry_env": sentry}, secrets=own)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def _declared(example: str, stack: str) -> dict[str, dict[str, Any]]:
    """Inputs of what the example declares, by name; each with its type."""
    found: dict[str, dict[str, Any]] = json.loads(_done(example, stack))
    return found


def _secret(value: Any) -> Any:
    """The value of what reached the engine as a secret."""
    assert value[SIGNATURE], value
    return value["value"]


def test_a_container_finds_the_stack() -> None:
    """Proves that the container is on the stack's network, dials the collector there, writes to a file that the
    collector follows, and is open to this machine alone."""
    shop = _declared("deploy-docker", "dev")["shop-web"]
    env = dict(line.split("=", 1) for line in _secret(shop["envs"]))

    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://observability-collector:4318"
    assert env["OTEL_SERVICE_NAME"] == "web"
    assert {"app=shop", "service.version=1.4.2", "environment=dev"} <= {*env["OTEL_RESOURCE_ATTRIBUTES"].split(",")}
    assert env["LOG_FILE"] == "/registry/logs/shop/web.json"
    assert env["SENTRY_RELEASE"] == "shop@1.4.2"
    assert shop["networksAdvanced"] == [{"name": "observability", "aliases": ["shop-web"]}]
    assert shop["volumes"] == [{"volumeName": "observability-registry", "containerPath": "/registry"}]
    assert [port["ip"] for port in shop["ports"]] == ["127.0.0.1"]


def test_a_pod_finds_the_stack() -> None:
    """Proves that pods are scraped and known by labels, have OpenTelemetry's environment in the clear and Sentry's in a
    Secret."""
    declared = _declared("deploy-kubernetes", "prod")
    pod = declared["shop-web"]["spec"]["template"]
    env = {each["name"]: each["value"] for each in pod["spec"]["containers"][0]["env"]}
    errors = declared["shop-web-errors"]

    assert pod["metadata"]["annotations"]["prometheus.io/port"] == "8000"
    assert pod["metadata"]["annotations"]["observability/app"] == "shop"
    assert pod["metadata"]["labels"].items() >= declared["shop-web"]["spec"]["selector"]["matchLabels"].items()
    assert "app.kubernetes.io/version" not in declared["shop-web"]["spec"]["selector"]["matchLabels"]
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector.observability.svc:4318"
    assert "SENTRY_DSN" not in env
    assert errors["type"] == "kubernetes:core/v1:Secret"
    assert _secret(errors["stringData"])["SENTRY_DSN"] == "https://key@errors.example.com/1"


def test_a_pod_may_dial_the_collector() -> None:
    """Proves that the policy lets the pod dial the pods that the stack's own policies open to every pod, at OTLP's
    ports, and name servers."""
    spec = _declared("deploy-kubernetes", "prod")["shop-web-telemetry"]["spec"]
    telemetry, names = spec["egress"]
    stack = build(load(ROOT / "Pulumi.prod.yaml"), file="Pulumi.prod.yaml")
    anybody = Pods(namespace="", labels=())
    collector = Part("collector", "observability")
    ports = [flow.ports for flow in flows(stack) if (flow.source, flow.target) == (anybody, collector)]
    open_to_all = {port.number for each in ports for port in each}

    [peer] = telemetry["to"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "observability"}
    assert peer["podSelector"]["matchLabels"] == {"app.kubernetes.io/instance": "collector"}
    assert {port["port"] for port in telemetry["ports"]} == {4317, 4318}
    assert {port["port"] for port in telemetry["ports"]} <= open_to_all
    assert {(port["port"], port["protocol"]) for port in names["ports"]} == {(53, "UDP"), (53, "TCP")}


@pytest.mark.parametrize(("example", "stack"), [("deploy-docker", "dev"), ("deploy-kubernetes", "prod")])
def test_a_deploy_is_marked(example: str, stack: str) -> None:
    """Proves that the mark says what is deployed, and that its token is a secret wherever it comes from."""
    mark = _declared(example, stack)["shop-deployment"]

    assert mark["text"] == "shop 1.4.2"
    assert mark["tags"] == ["deployment", "shop", "version:1.4.2", f"environment:{stack}", "web"]
    assert _secret(mark["token"]) == ("glsa_own" if stack == "prod" else "<secret: deployments>")


def test_cluster_without_a_token_is_no_error() -> None:
    """Proves that the example on Kubernetes leaves the mark to CI where it is given no token."""
    done = _run(str(ROOT / "examples/deploy-kubernetes/__main__.py"), outputs("prod"), preview=True)

    assert done.returncode == 0, done.stderr
    assert "shop-deployment" not in json.loads(done.stdout.splitlines()[-1])


def test_an_app_may_be_marked_twice(tmp_path: Path) -> None:
    """Proves that a program that deploys two services of an app marks each, by a name of its own."""
    program = tmp_path / "program.py"
    program.write_text(
        "import pulumi\nfrom observability_outputs import Stack\n"
        "stack = Stack.of(pulumi.StackReference('organization/observability/dev'))\n"
        "stack.annotate('web', app='shop', version='1')\n"
        "stack.annotate('worker', app='shop', version='1', name='shop-worker-deployment')\n",
        encoding="utf-8",
    )
    done = _run(str(program), outputs("dev"))

    assert done.returncode == 0, done.stderr
    assert {"shop-deployment", "shop-worker-deployment"} <= json.loads(done.stdout.splitlines()[-1]).keys()


@pytest.mark.parametrize("example", ["deploy-docker", "deploy-kubernetes"])
def test_another_major_version_is_one_line(example: str) -> None:
    """Proves that a program beside a stack of another major version ends with a line that says what to install."""
    done = _run(str(ROOT / "examples" / example / "__main__.py"), {**outputs("prod"), "schema_version": "2.3"})

    assert done.returncode == 1
    assert (
        "outputs.schema_version: 2.3 is another major version than this package's (accepted: 1.x; install"
        " observability-outputs 2.x)"
    ) in done.stderr.splitlines()[-1]


def test_the_workflow_is_careful() -> None:
    """Proves that the workflow's actions are pinned by commit, that it may only read, that it says all that the program
    wants to know, and that no secret is in a command."""
    file = ROOT / "examples/deploy-kubernetes/.github/workflows/deploy.yml"
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    [job] = workflow["jobs"].values()
    [deployed] = [step["with"] for step in job["steps"] if step.get("with", {}).get("command") == "up"]
    project = yaml.safe_load((ROOT / "examples/deploy-kubernetes/Pulumi.yaml").read_text(encoding="utf-8"))
    wanted = {key for key, item in project["config"].items() if "default" not in item}

    assert wanted <= json.loads(deployed["config-map"]).keys()
    assert workflow["permissions"] == {"contents": "read"}
    for step in job["steps"]:
        commit = step.get("uses", "@" + "0" * 40).partition("@")[2]
        assert len(commit) == 40, step
        assert "${{" not in step.get("run", ""), step
