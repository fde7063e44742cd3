"""Deploys the service `web` of the application `shop` as a container beside the observability stack.

All it knows of that stack comes from its outputs: where telemetry goes, which network and volume lead there, and where
the deployment is marked.
"""

import pulumi
import pulumi_docker as docker

from observability_outputs import Stack

APP = "shop"
SERVICE = "web"
PORT = 8000

config = pulumi.Config()
version = config.require("version")
stack = Stack.of(pulumi.StackReference(config.require("observability")))

environment = pulumi.Output.all(
    stack.otel_env(SERVICE, app=APP, version=version),
    stack.sentry_env(app=APP, version=version),
    # The collector follows it; a service that sends its log lines by OTLP does without.
    pulumi.Output.concat("/registry/", stack.log_file(SERVICE, app=APP)).apply(lambda path: {"LOG_FILE": path}),
).apply(lambda blocks: [f"{name}={value}" for block in blocks for name, value in sorted(block.items())])

container = docker.Container(
    f"{APP}-{SERVICE}",
    name=f"{APP}-{SERVICE}",
    image=config.require("image"),
    envs=environment,
    networks_advanced=[{"name": stack.docker_network, "aliases": [f"{APP}-{SERVICE}"]}],
    volumes=[{"volume_name": stack.docker_registry, "container_path": "/registry"}],
    # People reach it by this machine alone; put a proxy with a login before it for others.
    ports=[{"internal": PORT, "external": PORT, "ip": "127.0.0.1"}],
    labels=[
        {"label": "app.kubernetes.io/part-of", "value": APP},
        {"label": "app.kubernetes.io/component", "value": SERVICE},
        {"label": "app.kubernetes.io/version", "value": version},
    ],
    memory=256,
    memory_swap=256,
    restart="unless-stopped",
    opts=pulumi.ResourceOptions(delete_before_replace=True),
)
stack.annotate(
    f"{APP} {version}",
    app=APP,
    version=version,
    tags=[SERVICE],
    # The dev stack's Grafana makes one; of a stack without, set it: pulumi config set --secret grafanaToken
    token=config.get_secret("grafanaToken"),
    opts=pulumi.ResourceOptions(depends_on=[container]),
)
pulumi.export("url", f"http://127.0.0.1:{PORT}")
