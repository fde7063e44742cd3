"""Deploys the sample app on this machine. All it knows of the observability stack comes from the stack's outputs."""

import json
import signal
from pathlib import Path

import pulumi

from components.runtimes.process import Process, RegistryFile, Supervisor
from processes.home import of_stack

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

home = str(of_stack(APP).path)
address = f"127.0.0.1:{port}"
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
            "--data=.",
            pulumi.Output.concat("--log=", logs["directory"], f"/{APP}/{APP}.json"),
            f"--scenario={config.get('scenario') or 'normal'}",
            f"--app={APP}",
            pulumi.Output.concat("--environment=", environment),
        ],
        "environment": otel_env.apply(
            lambda env: {
                **env,
                "OTEL_SERVICE_NAME": APP,
                "OTEL_RESOURCE_ATTRIBUTES": f"{env['OTEL_RESOURCE_ATTRIBUTES']},app={APP},service.version=1.0.0",
                "PYTHONPATH": str(HERE),
            }
        ),
        "files": {},
        "secrets": {},
        "generated": [],
        "checks": [],
        "reload": None,
        "probe_url": f"http://{address}/metrics",
        "start_seconds": 30,
    },
    pulumi.ResourceOptions(depends_on=[Supervisor("supervisor", home)]),
)
RegistryFile(
    "scrape",
    path=pulumi.Output.concat(scrape["directory"], f"/{APP}.json"),
    text=scrape["labels"].apply(
        lambda labels: json.dumps([{"targets": [address], "labels": {**labels, "app": APP, "service": APP}}], indent=2)
    ),
    opts=pulumi.ResourceOptions(depends_on=[app]),
)
pulumi.export("url", f"http://{address}")
