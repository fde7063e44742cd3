"""Elastic's APM server, beside Elasticsearch: takes what Elastic's agents and OpenTelemetry send of requests."""

from typing import Any

from specs.elk import watch
from specs.elk.names import APM_SERVER, CONFIG, DATA, ELASTICSEARCH, ELASTICSEARCH_PORT
from specs.exporter import Exporting
from specs.monitoring import to_yaml
from specs.part import Context, Monitoring
from specs.programs import APM_SERVER as PROGRAM
from specs.workload import Outward, Port, Probe, Resources, SecretRef, Workload

NAME = watch.APM
PORT = 8200
PAGE = 5066
"""Where it tells of itself."""
TOKEN = SecretRef("apm-secret-token", generated=True)
"""What agents show to be let in."""


def configuration(context: Context) -> dict[str, Any]:
    """`apm-server.yml` as a value."""
    return {
        "apm-server": {"host": context.addresses.listen(PORT)},
        "output.elasticsearch": {
            "hosts": [f"http://{context.addresses.dial(ELASTICSEARCH, ELASTICSEARCH_PORT)}"],
            "username": APM_SERVER.user,
        },
        "http": {"enabled": True, "host": context.addresses.host(), "port": PAGE},
        "path.data": DATA,
        "path.logs": f"{DATA}/logs",
        "logging": {"level": "warning", "to_stderr": True, "to_files": False},
    }


def parts(context: Context) -> tuple[Exporting, ...]:
    """What the stack runs of it, and how that is watched; nothing where the stack does not ask for it."""
    if not context.settings.apm:
        return ()
    secrets = {
        "secrets/token.yml": SecretRef(TOKEN.key, template="apm-server.auth.secret_token: $secret\n", generated=True),
        "secrets/password.yml": SecretRef(
            APM_SERVER.password.key, template="output.elasticsearch.password: $secret\n", generated=True
        ),
    }
    workload = Workload(
        name=NAME,
        program=context.program(PROGRAM),
        summary="takes traces of Elastic's agents",
        ports=(Port(name="http", number=PORT, published=True), Port(name="page", number=PAGE)),
        # It merges its files, so that a secret is a file of its own.
        args=(
            *(arg for path in ("apm-server.yml", *secrets) for arg in ("-c", f"{CONFIG}/{path}")),
            # Files of the stack belong to root on some runtimes, and to the program on others.
            "--strict.perms=false",
        ),
        files={"apm-server.yml": to_yaml(configuration(context))},
        secrets=secrets,
        probe=Probe(port="http", path="/", start_seconds=120),
        resources=Resources(memory="512Mi", cpu="100m"),
        extras=(Outward(),),
    )
    page = f"http://{context.addresses.dial(NAME, PAGE)}/"
    return (Exporting(workloads=(workload,), monitoring=Monitoring(jobs=(watch.pages_job(context, NAME, page),))),)
