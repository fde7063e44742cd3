"""The plugin for programs of other languages: its schema, a program that has it, and the examples."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from components.reusable import TOKEN, Stack
from specs.model import parse
from specs.settings import KEY, Settings, load
from specs.stack import build
from tests.local.servers import free_offset
from tests.reuse.programs import Program, plugin, schema
from tools import native
from tools.paths import ROOT

SCHEMA = ROOT / "package" / "schema.json"
YAML = ROOT / "examples" / "reuse-yaml" / "Pulumi.yaml"
TYPESCRIPT = ROOT / "examples" / "reuse-typescript"
MARKER = "http://127.0.0.1:9/canary-4712"

CONSUMER = """
import json, pulumi

class Stack(pulumi.ComponentResource):
    def __init__(self, name, args):
        outputs = {"urls": None, "contractVersion": None}
        super().__init__("observability:index:Stack", name, {**args, **outputs}, remote=True)

args = json.load(open("args.json"))
if "secrets" in args:
    args["secrets"] = {key: pulumi.Output.secret(value) for key, value in args["secrets"].items()}
stack = Stack("observability", args)
pulumi.export("urls", stack.urls)
pulumi.export("version", stack.contractVersion)
"""


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A program that knows the component by its schema alone, and takes it from the plugin."""
    base = tmp_path_factory.mktemp("consumer")
    plugin(base / "bin")
    program = base / "program"
    program.mkdir()
    (program / "__main__.py").write_text(CONSUMER, encoding="utf-8")
    project = {
        "name": "consumer",
        "runtime": "python",
        "plugins": {"providers": [{"name": "observability", "path": "../bin"}]},
    }
    (program / "Pulumi.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
    made = Program(directory=program, state=base / "state")
    made.pulumi("stack", "init", "dev")
    yield made
    made.destroy()


def _settings(**more: object) -> dict[str, object]:
    hook = {"webhook": {"url": {"secret": "hook-url"}}}
    alerting = {"default": "team", "receivers": {"team": hook}}
    return {"environment": "test", "cluster": "ci", "runtime": "process", "alerting": alerting, **more}


def _give(consumer: Program, **args: object) -> None:
    (consumer.directory / "args.json").write_text(json.dumps(args), encoding="utf-8")


def test_the_schema_is_that_of_the_plugin(tmp_path: Path) -> None:
    """Proves that package/schema.json is what the running plugin says of itself, as `pulumi package` reads it."""
    assert json.loads(schema(tmp_path)) == json.loads(SCHEMA.read_text(encoding="utf-8"))


def test_the_schema_has_every_output_of_the_contract() -> None:
    """Proves that the component has a property for each output of a stack, and no other."""
    stack = build(load(ROOT / "Pulumi.local.yaml"), file="Pulumi.local.yaml")
    assert set(Stack.__annotations__) == set(stack.outputs("/home"))


def test_a_mistake_is_a_sentence(consumer: Program) -> None:
    """Proves that a mistake of a program in another process is told by the name of the argument, without a traceback
    of ours."""
    _give(consumer, settings=_settings(scrape_interval="15 s"))
    done = consumer.pulumi("preview", "--stack", "dev", "--color", "never", check=False)
    assert done.returncode != 0
    line = next(line for line in done.stdout.splitlines() if "has a problem" in line)
    assert 'observability: settings.scrape_interval: "15 s" is not a duration (accepted: ' in line
    assert "reusable.py" not in done.stdout


def test_a_part_is_placed_by_the_plugin(consumer: Program) -> None:
    """Proves that a program which has the component from the plugin gets the one part that it asked for, running, its
    outputs by the schema's names, numbers of its settings as they were, and its secret kept out of the state."""
    offset = free_offset()
    settings = _settings(port_offset=offset, retention={"logs": "7d"})
    _give(consumer, settings=settings, secrets={"hook-url": MARKER}, parts=["loki"])
    consumer.up()
    assert consumer.outputs() == {"urls": {"loki": f"http://127.0.0.1:{3100 + offset}"}, "version": 1}
    assert httpx.get(f"http://127.0.0.1:{3100 + offset}/ready", timeout=5).text == "ready\n"
    state = consumer.pulumi("stack", "export", "--stack", "dev").stdout
    types = [resource["type"] for resource in json.loads(state)["deployment"]["resources"]]
    assert types.count("pulumi-python:dynamic/observability:Process") == 1
    assert TOKEN in types
    assert MARKER not in state


def _component() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))["resources"][TOKEN]
    return found


def test_the_example_in_yaml_keeps_the_schema() -> None:
    """Proves that the YAML program gives inputs and reads outputs that the schema has, that its settings are
    acceptable, and that its secrets are those which they name. Its language host is not run."""
    program = yaml.safe_load(YAML.read_text(encoding="utf-8"))
    resource = program["resources"]["stack"]
    component = _component()
    assert resource["type"] == TOKEN
    assert set(resource["properties"]) <= set(component["inputProperties"])
    settings = parse(Settings, resource["properties"]["settings"], file=YAML.name, key=KEY)
    wanted = {ref.key for ref in build(settings, file=YAML.name).secrets() if not ref.generated}
    assert set(resource["properties"]["secrets"]) == wanted
    read = {value.removeprefix("${stack.").removesuffix("}") for value in program["outputs"].values()}
    assert read <= set(component["properties"])


def _type(one: Mapping[str, Any]) -> str:
    if "$ref" in one:
        return "any"
    match one["type"]:
        case "object":
            return f"{{[key: string]: {_type(one['additionalProperties'])}}}"
        case "array":
            return f"{_type(one['items'])}[]"
        case "integer":
            return "number"
        case plain:
            return str(plain)


def _input(one: Mapping[str, Any]) -> str:
    if one.get("additionalProperties", {}).get("type") == "string":
        return "{[key: string]: pulumi.Input<string>}"
    return _type(one)


_PULUMI = """declare module "@pulumi/pulumi" {
  export interface Output<T> { apply<U>(f: (value: T) => U): Output<U>; }
  export type Input<T> = T | Output<T>;
  export class Config { requireSecret(key: string): Output<string>; }
}
"""


def _declarations() -> str:
    """The part of Pulumi's SDK for TypeScript that the example has, and of the one that the schema would make."""
    component = _component()
    required = component.get("required", [])
    inputs = "".join(f"    {name}?: {_input(each)};\n" for name, each in component["inputProperties"].items())
    outputs = "".join(
        f"    readonly {name}: pulumi.Output<{_type(each)}{'' if name in required else ' | undefined'}>;\n"
        for name, each in component["properties"].items()
    )
    return f"""{_PULUMI}declare module "@pulumi/observability" {{
  import * as pulumi from "@pulumi/pulumi";
  export interface StackArgs {{
{inputs}  }}
  export class Stack {{
    constructor(name: string, args: StackArgs);
{outputs}  }}
}}
"""


def _compiled(directory: Path, source: str) -> str:
    compiler = native.ensure(["observability-typescript"])["observability-typescript"].path
    (directory / "index.ts").write_text(source, encoding="utf-8")
    (directory / "sdk.d.ts").write_text(_declarations(), encoding="utf-8")
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "preserve"]
    done = subprocess.run(
        [compiler, *options, "--types", "", "--pretty", "false", "index.ts", "sdk.d.ts"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


def test_the_example_in_typescript_keeps_the_schema(tmp_path: Path) -> None:
    """Proves that TypeScript's own compiler takes the example with types made of the schema, and does not take it with
    an output misspelt; and that its settings are acceptable. Its language host is not run."""
    source = (TYPESCRIPT / "index.ts").read_text(encoding="utf-8")
    assert _compiled(tmp_path, source) == ""
    assert "Property 'otelEnvs' does not exist" in _compiled(
        tmp_path, source.replace("stack.otelEnv;", "stack.otelEnvs;")
    )
    file = TYPESCRIPT / "observability.yaml"
    settings = parse(Settings, yaml.safe_load(file.read_text(encoding="utf-8")), file=file.name, key="")
    given = {"hook-url"}
    assert {ref.key for ref in build(settings, file=file.name).secrets() if not ref.generated} == given
