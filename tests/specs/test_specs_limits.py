"""How much a target and an application may give: limits of scrapes, and of Loki."""

from typing import Any

import pytest
import yaml

from specs import routing, scrape_limits
from specs.stack import Stack
from tests.specs.support import complaint, stack
from tests.specs.test_specs_sizing import CLUSTER


def _global(made: Stack, name: str = "prometheus") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(made.workload(name).files["prometheus.yml"])
    assert not [job for job in found["scrape_configs"] if "sample_limit" in job]
    section: dict[str, Any] = found["global"]
    return section


def _loki(made: Stack) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(made.workload("loki").files["loki.yml"])
    return found


def test_every_job_has_limits() -> None:
    """Proves that limits stand where they hold for every job, and tell of each target what they are."""
    found = _global(stack())
    assert found["sample_limit"] == 50_000
    assert found["body_size_limit"] == "25MB"
    assert (found["label_limit"], found["label_value_length_limit"]) == (100, 4096)
    assert found["extra_scrape_metrics"] is True


@pytest.mark.parametrize(
    ("series", "limit", "body"), [(10_000, 50_000, "25MB"), (100_000, 50_000, "25MB"), (500_000, 250_000, "123MB")]
)
def test_limits_follow_the_size(series: int, limit: int, body: str) -> None:
    """Proves that one target may have half of the series that a Prometheus is sized for, and never too few for any
    usual exporter."""
    found = _global(stack(**CLUSTER, load={"series": series}))
    assert (found["sample_limit"], found["body_size_limit"]) == (limit, body)


def test_a_stack_file_sets_limits() -> None:
    """Proves that each limit can be set, and that bytes follow the number of samples unless they are said."""
    assert _global(stack(scrape_limits={"samples": 2048}))["body_size_limit"] == "1MB"
    found = _global(stack(scrape_limits={"samples": 9, "body": "3Mi", "labels": 7, "label_length": 80}))
    assert (found["sample_limit"], found["body_size_limit"]) == (9, "3MB")
    assert (found["label_limit"], found["label_value_length_limit"]) == (7, 80)


@pytest.mark.parametrize("key", ["samples", "labels", "label_length"])
def test_no_limit_is_nought(key: str) -> None:
    """Proves that nought, which Prometheus takes for no limit at all, is refused by the key's name."""
    assert complaint(scrape_limits={key: 0}).startswith(
        f"Pulumi.test.yaml: observability:settings.scrape_limits.{key}: "
    )


def test_why_a_target_is_down_is_never_held_back() -> None:
    """Proves that the alert that names a target over its limit is told, though the target counts as down."""
    assert routing.WHY_DOWN == scrape_limits.OVER
    labels = {"app": "shop", "environment": "test", "service": "web", "instance": "shop:80", "severity": "warning"}
    down = {**labels, "alertname": routing.DOWN, "severity": "critical"}
    every = {**labels, "alertname": routing.ALL_DOWN, "severity": "info"}
    told = {**labels, "alertname": scrape_limits.OVER}
    other = {**labels, "alertname": "TargetSlow"}
    assert routing.silenced(routing.INHIBITIONS, [down, every], other)
    assert not routing.silenced(routing.INHIBITIONS, [down, every], told)


def test_loki_keeps_what_the_collector_accepted_once() -> None:
    """Proves that on one machine no rate refuses a request in part, and no retry stores it twice; on a cluster rates
    follow its size; and that a long line is cut everywhere."""
    here, there = _loki(stack()), _loki(stack(**CLUSTER, load={"log_lines": 20_000}))
    assert here["limits_config"]["ingestion_rate_mb"] == 64
    assert here["limits_config"]["per_stream_rate_limit"] == "64MB"
    assert here["limits_config"]["shard_streams"] == {"enabled": False}
    assert here["ingester_client"] == {"remote_timeout": "30s"}
    assert there["limits_config"]["ingestion_rate_mb"] == 18
    assert here["limits_config"]["max_line_size_truncate"] is there["limits_config"]["max_line_size_truncate"] is True
