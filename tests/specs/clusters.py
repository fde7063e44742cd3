"""What tests of clusters share: stacks on Kubernetes, their jobs and their alerts."""

from collections.abc import Mapping
from typing import Any

from specs.monitoring import RuleGroup
from specs.stack import Stack
from tests.specs.support import stack, yaml_file

ALERTING = {"default": "team", "receivers": {"team": {"webhook": {"url": "http://team/hook"}}}, "stand_in": "team"}


def made(flavor: str = "generic", **kubernetes: Any) -> Stack:
    """A stack in a cluster of that flavor."""
    return stack(
        runtime="kubernetes", alerting=ALERTING, exporters={"node": {}}, kubernetes={"flavor": flavor, **kubernetes}
    )


def groups(found: Stack) -> list[RuleGroup]:
    """Groups of alerts about the cluster."""
    return [group for group in found.groups if group.name.startswith("cluster-")]


def scraped(found: Stack) -> Mapping[str, dict[str, Any]]:
    """Scrape configurations by job."""
    return {each["job_name"]: each for each in yaml_file(found, "prometheus", "prometheus.yml")["scrape_configs"]}
