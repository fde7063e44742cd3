"""Samples that Prometheus sends to another store as well: a Mimir, a Thanos, a managed Prometheus."""

from collections.abc import Mapping
from typing import Any

from specs.monitoring import Alert, RuleGroup
from specs.part import Context
from specs.settings import Severity
from specs.workload import SecretRef

_LOGIN = "secrets/remote-write"
"""Password or token, below the configuration."""


def spec(context: Context) -> dict[str, Any]:
    """The part of `prometheus.yml` that is about it; empty without."""
    remote = context.settings.remote_write
    if remote is None:
        return {}
    login: dict[str, Any] = {}
    if remote.token:
        login = {"authorization": {"credentials_file": _LOGIN}}
    elif remote.password:
        login = {"basic_auth": {"username": remote.username, "password_file": _LOGIN}}
    sent = {
        "url": remote.url,
        "name": "remote",
        **({"headers": {"X-Scope-OrgID": remote.tenant}} if remote.tenant else {}),
        **login,
        "send_exemplars": True,
        "queue_config": {
            # A store that is busy says so, and gets it later.
            "retry_on_http_429": True,
            "max_shards": 50,
            "max_backoff": "30s",
        },
    }
    return {"remote_write": [sent]}


def login(context: Context) -> Mapping[str, SecretRef]:
    """The file of the login; none without one."""
    remote = context.settings.remote_write
    secret = (remote.token or remote.password) if remote else None
    return {_LOGIN: secret.ref} if secret else {}


def groups(context: Context) -> tuple[RuleGroup, ...]:
    """The alerts about it; none without."""
    if context.settings.remote_write is None:
        return ()
    group = RuleGroup(
        name="remote-write",
        alerts=(
            Alert(
                name="PrometheusRemoteWriteFailing",
                expr="""
sum by (app, environment, service, instance, url) (rate(prometheus_remote_storage_samples_failed_total[15m]))
/ (sum by (app, environment, service, instance, url) (rate(prometheus_remote_storage_samples_total[15m])) > 0)
> $threshold""",
                threshold=0.01,
                for_="15m",
                severity=Severity.CRITICAL,
                summary="Samples do not reach {{ $labels.url }}",
                description="{{ $value | humanizePercentage }} of the samples that {{ $labels.instance }} sends are refused for good (limit $threshold).",
                action="Prometheus' log has the answer it got: a login that ended, a tenant's limit of series, or samples that are too old. What is refused is lost there; this Prometheus still has it.",
            ),
            Alert(
                name="PrometheusRemoteWriteBehind",
                # What is sent is read back from the write-ahead log, which is cut after about two hours.
                expr="""
max_over_time(prometheus_remote_storage_queue_highest_timestamp_seconds[5m])
- max_over_time(prometheus_remote_storage_queue_highest_sent_timestamp_seconds[5m])
> $threshold""",
                threshold=300,
                for_="15m",
                severity=Severity.WARNING,
                summary="{{ $labels.url }} gets samples late",
                description="The newest sample it has from {{ $labels.instance }} is {{ $value | humanizeDuration }} old (limit $threshold s); after about two hours samples are lost.",
                action="See whether it answers slowly or not at all (prometheus_remote_storage_sent_batch_duration_seconds), and whether its limits let so many samples through.",
            ),
        ),
    )
    return (group,)
