"""Loki: stores and queries logs."""

from collections.abc import Mapping, Sequence

from specs import log_alerts, object_storage
from specs.loki_alerts import monitoring
from specs.loki_config import GOSSIP, GRPC, NAME, PORT, TENANT, Target, bucket, configuration, targets
from specs.monitoring import RuleGroup, rule_files, to_yaml
from specs.part import Context
from specs.programs import LOKI
from specs.workload import CONFIG, Check, Identity, Outward, Port, Probe, Resources, SecretRef, Volume, Workload

__all__ = [
    "GRPC",
    "NAME",
    "PORT",
    "TENANT",
    "configuration",
    "log_groups",
    "monitoring",
    "push_address",
    "query_address",
    "workload",
    "workloads",
]

_SUMMARY: dict[Target, str] = {
    "all": "stores and queries logs",
    "read": "answers queries of logs, and evaluates rules on them",
    "write": "takes log lines in",
    "backend": "looks after the index of logs, and shares out queries and rules",
}
_VOLUME: dict[Target, Volume | None] = {
    "all": Volume("20Gi"),
    "read": None,
    "write": Volume("20Gi"),
    "backend": Volume("10Gi"),
}
_MODULES: dict[Target, tuple[str, ...]] = {
    "all": (),
    # Grafana asks for rules where it asks for lines, and only a ruler answers that.
    "read": ("-target=read,ruler",),
    "write": ("-target=write",),
    "backend": ("-target=backend",),
}
_DIALS: dict[Target, tuple[Target, ...]] = {
    "all": (),
    # Results of queries go back to who asked: from the queriers, and when they fail from the schedulers.
    "read": ("write", "backend"),
    "write": (),
    "backend": ("write", "read"),
}
"""Whom a target finds by the ring."""
_FLUSH_SECONDS = 300
"""What handing every line in memory to object storage may take."""


def push_address(context: Context) -> tuple[str, int]:
    """Workload and port that take log lines in."""
    names = targets(context)
    return names.get("write", NAME), PORT


def query_address(context: Context) -> tuple[str, int]:
    """Workload and port that answer queries."""
    names = targets(context)
    return names.get("read", NAME), PORT


def log_groups() -> tuple[RuleGroup, ...]:
    """Alerts on log lines, which Loki evaluates itself."""
    return (log_alerts.GROUP, log_alerts.SLOW)


def workloads(context: Context, groups: Sequence[RuleGroup], *, runbooks: str, dashboards: str) -> tuple[Workload, ...]:
    """Loki with the rules of `groups`: one program, or one for each target."""
    rules = rule_files(groups, runbooks=runbooks, dashboards=dashboards)
    return tuple(_workload(context, target, rules, dashboards) for target in targets(context))


def workload(context: Context, groups: Sequence[RuleGroup], *, runbooks: str, dashboards: str) -> Workload:
    """Loki where it is one program."""
    (found,) = workloads(context, groups, runbooks=runbooks, dashboards=dashboards)
    return found


def _workload(context: Context, target: Target, rules: dict[str, str], dashboards: str) -> Workload:
    names = targets(context)
    several = context.scale.loki > 1
    dial = context.addresses.dial
    secrets: Mapping[str, SecretRef] = object_storage.credentials(context) if bucket(context) else {}
    return Workload(
        name=names[target],
        program=context.program(LOKI),
        summary=_SUMMARY[target],
        ports=(
            Port(name="http", number=PORT, published=target != "backend"),
            Port(name="grpc", number=GRPC),
            *((Port(name="gossip", number=GOSSIP),) if several else ()),
        ),
        args=(
            f"-config.file={CONFIG}/loki.yml",
            *(("-config.expand-env=true",) if several else ()),
            *_MODULES[target],
            # Only who answers queries asks what was deleted.
            *((f"-common.compactor-grpc-address={dial(names['backend'], GRPC)}",) if target == "read" else ()),
        ),
        environment=object_storage.environment(context) if bucket(context) else {},
        files={
            "loki.yml": to_yaml(configuration(context, dashboards=dashboards)),
            **({f"rules/{TENANT}/{name}": text for name, text in rules.items()} if target != "write" else {}),
        },
        secrets=secrets,
        # What it wrote ahead is read at a start, and from the beginning again when that is cut off.
        probe=Probe(port="http", path="/ready", start_seconds=900 if several else 120),
        checks=(Check(("loki", "-config.file=loki.yml", "-verify-config")),),
        resources=Resources(memory="512Mi", cpu="200m"),
        volume=_VOLUME[target],
        extras=(
            *((Outward(),) if target in {"all", "write"} else ()),
            *((Identity(),) if several else ()),
        ),
        replicas=context.scale.loki,
        stop_seconds=_FLUSH_SECONDS if several and target in {"all", "write"} else 60,
        peers=("grpc", "gossip") if several else (),
        dials=tuple(dial(names[other], GRPC) for other in _DIALS[target]),
        page="/config",
    )
