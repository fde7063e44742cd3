"""Deploys the sample app on this machine: the shop, or a stand-in for a monitored system.

All it knows of the observability stack comes from the stack's outputs.
"""

import json
import signal
from collections.abc import Mapping
from pathlib import Path

import pulumi
from sample_app.impersonation.targets import targets

from components.runtimes.process import Process, RegistryFile, Supervisor
from processes.home import of_stack
from specs import profile as profiles

APP = "sample-app"
HERE = Path(__file__).resolve().parent

# The engine interrupts the program when a resource fails; the failure is told already, a traceback would hide it.
signal.signal(signal.SIGINT, signal.SIG_DFL)

config = pulumi.Config()
port = config.get_int("port") or 8000
stack = pulumi.StackReference(config.get("stack") or "organization/observability/local")
scrape, logs, otel_env, environment = (
    stack.require_output(name) for name in ("scrape", "logs", "otel_env", "environment")
)
# None where the stack has no errors to take.
sentry_env = stack.get_output("sentry_env")

home = str(of_stack(APP).path)
address = f"127.0.0.1:{port}"
system = config.get("system") or ""
profile = config.get("profile") or ""
scenario = config.get("scenario") or "normal"
name = system or APP


def arguments() -> list[pulumi.Input[str]]:
    """What the app is to be."""
    if not system:
        log = pulumi.Output.concat("--log=", logs["directory"], f"/{APP}/{APP}.json")
        return ["--data=.", log, f"--scenario={scenario}", f"--app={APP}"]
    trouble = {"normal": [], "down": ["--down"]}.get(scenario, [f"--fail={scenario}"])
    place = [f"--profile={profile}"] if profile else []
    return [f"--system={system}", *place, *trouble, pulumi.Output.concat("--logs=", logs["directory"], f"/{system}")]


def registered(labels: Mapping[str, str]) -> str:
    """Its entries in the stack's file of targets."""
    if not system:
        return json.dumps([{"targets": [address], "labels": {**labels, "app": APP, "service": APP}}], indent=2)
    found = profiles.read(Path(profile)) if profile else profiles.find(system, None, file="config", key="system")
    return json.dumps(targets(system, found, address, labels), indent=2)


def variables(found: list[dict[str, str] | None]) -> dict[str, str]:
    """What the app finds in its environment: the stack's block for OpenTelemetry, and the one for Sentry if any."""
    otel, sentry = (block or {} for block in found)
    return {
        **sentry,
        **otel,
        **({} if system else {"OTEL_SERVICE_NAME": APP}),
        "OTEL_RESOURCE_ATTRIBUTES": f"{otel['OTEL_RESOURCE_ATTRIBUTES']},app={name},service.version=1.0.0",
        "PYTHONPATH": str(HERE),
    }


app = Process(
    APP,
    {
        "home": home,
        "name": APP,
        "version": "1.0.0",
        "command": [
            "python",
            "-m",
            "sample_app",
            f"--port={port}",
            *arguments(),
            pulumi.Output.concat("--environment=", environment),
        ],
        "environment": pulumi.Output.all(otel_env, sentry_env).apply(variables),
        "files": {},
        "secrets": {},
        "generated": [],
        "checks": [],
        "reload": None,
        "probe_url": f"http://{address}{'/alive' if system else '/metrics'}",
        "start_seconds": 30,
    },
    pulumi.ResourceOptions(depends_on=[Supervisor("supervisor", home)]),
)
RegistryFile(
    "scrape",
    path=pulumi.Output.concat(scrape["directory"], f"/{APP}.json"),
    text=scrape["labels"].apply(registered),
    opts=pulumi.ResourceOptions(depends_on=[app]),
)
pulumi.export("url", f"http://{address}")
