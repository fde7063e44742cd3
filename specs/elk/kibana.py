"""Kibana: where people search log lines."""

from dataclasses import replace
from typing import Any

from specs.elk.names import CONFIG, DATA, ELASTICSEARCH, ELASTICSEARCH_PORT, KIBANA, KIBANA_PORT, KIBANA_SYSTEM
from specs.monitoring import to_yaml
from specs.part import Context
from specs.programs import KIBANA as PROGRAM
from specs.workload import Port, Probe, Resources, SecretRef, Workload

_KEYS = {
    "security": "xpack.security.encryptionKey",
    "saved-objects": "xpack.encryptedSavedObjects.encryptionKey",
    "reporting": "xpack.reporting.encryptionKey",
}
"""What Kibana encrypts sessions, saved secrets and reports with. Made up anew at each start, unless it is told them."""


def configuration(context: Context) -> dict[str, Any]:
    """`kibana.yml` as a value."""
    return {
        "server.name": KIBANA,
        "server.host": context.addresses.host(),
        "server.port": KIBANA_PORT,
        "server.publicBaseUrl": f"http://{context.addresses.outside(KIBANA, KIBANA_PORT)}",
        "elasticsearch.hosts": [f"http://{context.addresses.dial(ELASTICSEARCH, ELASTICSEARCH_PORT)}"],
        "elasticsearch.username": KIBANA_SYSTEM.user,
        "path.data": DATA,
        "telemetry.optIn": False,
        "telemetry.allowChangingOptInStatus": False,
        "newsfeed.enabled": False,
        "logging.root.level": "warn",
    }


def workload(context: Context) -> Workload:
    """Kibana, which keeps everything in Elasticsearch."""
    secrets = {
        "password": replace(KIBANA_SYSTEM.password, template="elasticsearch.password: $secret\n"),
        **{
            name: SecretRef(f"kibana-{name}-key", template=f"{key}: $secret\n", generated=True)
            for name, key in _KEYS.items()
        },
    }
    return Workload(
        name=KIBANA,
        program=context.program(PROGRAM),
        summary="searches log lines",
        ports=(Port(name="http", number=KIBANA_PORT, published=True),),
        # It merges its files, so that a secret is a file of its own.
        args=tuple(
            f"--config={CONFIG}/{path}" for path in ("kibana.yml", *(f"secrets/{name}.yml" for name in secrets))
        ),
        environment={"NODE_OPTIONS": "--max-old-space-size=768"},
        files={"kibana.yml": to_yaml(configuration(context))},
        secrets={f"secrets/{name}.yml": ref for name, ref in secrets.items()},
        probe=Probe(port="http", path="/api/status", start_seconds=300),
        resources=Resources(memory="1280Mi", cpu="200m", processors=2),
    )
