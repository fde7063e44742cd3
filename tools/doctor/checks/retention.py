"""What is kept is kept as long as declared, and no longer."""

import time
from collections.abc import Iterator

import yaml

from specs import jaeger, programs, prometheus
from specs.model import seconds
from specs.sizing import metrics_size
from tools.doctor.findings import Finding, fail, ok, warn
from tools.doctor.live import Instance, Live
from tools.doctor.scraping import sample

_HOUR = 3600.0
_DAY = 24 * _HOUR


async def check(live: Live) -> list[Finding]:
    """Prometheus and Loki, and what is known of the others."""
    found = [
        *await live.of_each(live.every(programs.PROMETHEUS.name), _prometheus),
        *await live.of_each(live.every(programs.LOKI.name), _loki),
        *(warn(line, "delete old data there by its own means") for line in jaeger.left_out(live.stack.context)),
    ]
    retention = live.stack.context.settings.retention
    return found or [
        ok(f"metrics are kept {retention.metrics} and nothing older is there, log lines {retention.log_archive}")
    ]


async def _prometheus(live: Live, instance: Instance) -> list[Finding]:
    page = (await live.ask(instance, "/metrics")).text
    now = (sample(page, name) for name in _LIMITS)
    keeps, most, oldest = (value or 0.0 for value in now)
    return list(_of_metrics(live, instance, keeps, most, oldest))


_LIMITS = (
    "prometheus_tsdb_retention_limit_seconds",
    "prometheus_tsdb_retention_limit_bytes",
    "prometheus_tsdb_lowest_timestamp_seconds",
)


def _of_metrics(live: Live, instance: Instance, keeps: float, most: float, oldest: float) -> Iterator[Finding]:
    context = live.stack.context
    declared = seconds(context.settings.retention.metrics)
    size = metrics_size(context) or 0
    name, todo = instance.name, live.put_back(instance.workload)
    if keeps != declared:
        yield fail(f"{name}: keeps metrics {_days(keeps)}, not {_days(declared)}", todo)
    # Prometheus is told whole megabytes.
    if round(most / 2**20) != size // 2**20:
        yield fail(f"{name}: keeps at most {most / 2**20:.0f} MB, not {size // 2**20} MB", todo)
    # A block goes when all of it is too old: it is a tenth of the retention long, at most 31 days.
    slack = min(31 * _DAY, max(2 * _HOUR, declared / 10)) + 3 * _HOUR
    age = time.time() - oldest
    if oldest > 0 and age > declared + slack:
        yield fail(
            f"{name}: has samples of {_days(age)} ago, which should be gone after {_days(declared)}",
            f"make logs {live.of}PART={prometheus.NAME} says why: a full disk is the usual reason",
        )


async def _loki(live: Live, instance: Instance) -> list[Finding]:
    declared = yaml.load(instance.workload.files["loki.yml"], Loader=yaml.CSafeLoader)
    effective = yaml.load((await live.ask(instance, "/config")).text, Loader=yaml.CSafeLoader)
    ours, theirs = declared["limits_config"], effective["limits_config"]
    todo = live.put_back(instance.workload)
    found: list[Finding] = []
    if seconds(str(theirs["retention_period"])) != seconds(ours["retention_period"]):
        found.append(
            fail(f"{instance.name}: keeps log lines {theirs['retention_period']}, not {ours['retention_period']}", todo)
        )
    if not effective["compactor"]["retention_enabled"]:
        found.append(fail(f"{instance.name}: deletes nothing: compactor.retention_enabled is false", todo))
    page = (await live.ask(instance, "/metrics")).text
    last = sample(page, "loki_compactor_apply_retention_last_successful_run_timestamp_seconds")
    if last is not None and sample(page, "loki_boltdb_shipper_compactor_running") == 1:
        # Nought until it has done so once.
        since = time.time() - (last or sample(page, "process_start_time_seconds") or time.time())
    else:
        since = 0.0
    if since > _DAY:
        found.append(
            fail(
                f"{instance.name}: has deleted nothing for {_days(since)}",
                f"make logs {live.of}PART={instance.workload.name} says what its compactor waits for",
            )
        )
    return found


def _days(length: float) -> str:
    return f"{length / _DAY:.0f} d" if length >= 2 * _DAY else f"{length / _HOUR:.0f} h"
