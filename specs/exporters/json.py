"""json_exporter: numbers out of JSON pages that speak no Prometheus."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from specs.exporter import Exporter, ExporterSettings, Exporting
from specs.model import HttpUrl, Model, Name
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target, to_yaml
from specs.part import Context, Monitoring
from specs.programs import JSON_EXPORTER
from specs.settings import Severity
from specs.workload import CONFIG, Outward, Port, Probe, Resources, Workload

NAME = "json-exporter"
DASHBOARD = "exporter-json"


class JsonTarget(Model):
    """One JSON page."""

    url: HttpUrl
    """Its address."""
    metrics: Mapping[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")], str] = Field(
        min_length=1, examples=[{"database_health_status": "{ .database.healthy }"}]
    )
    """Name of a metric → JSONPath of its value, in Kubernetes' form with braces."""
    app: Name | None = None
    """System it belongs to; none: the stack's own label."""


class JsonSettings(ExporterSettings):
    """Settings of `exporters.json`."""

    targets: Mapping[Name, JsonTarget] = Field(min_length=1)


STATUS_CODES = (200, 503)
"""A page that says with its status that something is ill still has its numbers."""


def _fewer(target: Target, numbers: int) -> str:
    where = f'job="json", app="{target.labels["app"]}", instance={json.dumps(target.address)}'
    return f"scrape_samples_scraped{{{where}}} < {numbers}"


def _alerts(settings: JsonSettings, targets: Sequence[Target]) -> tuple[Alert, ...]:
    fewer = (_fewer(target, len(page.metrics)) for target, page in zip(targets, settings.targets.values(), strict=True))
    return (
        Alert(
            name="JsonPageUnreadable",
            # The exporter answers all the same, without what it did not find; ServiceDown tells when it does not.
            expr=f'({" or ".join(fewer)}) and up{{job="json"}} == 1',
            for_="5m",
            severity=Severity.WARNING,
            summary="The JSON page {{ $labels.instance }} lacks numbers",
            description="{{ $labels.instance }} has answered for 5 minutes, but with only {{ $value }} of the numbers that the settings name.",
            action="Open the page: is it JSON, and does it still have every path that the settings name? The exporter's log says which one it misses.",
            dashboard=DASHBOARD,
        ),
        Alert(
            name="JsonPageSlow",
            expr='scrape_duration_seconds{job="json"} > $threshold',
            threshold=5,
            for_="5m",
            severity=Severity.WARNING,
            summary="The JSON page {{ $labels.instance }} is slow",
            description="Reading {{ $labels.instance }} takes {{ $value | humanizeDuration }} (limit $threshold s); after the timeout its metrics are missing.",
            action="Ask for the page by hand and see which of the things that it checks takes so long.",
            dashboard=DASHBOARD,
        ),
    )


def build(context: Context, settings: JsonSettings) -> Exporting:
    """One workload that reads every page."""
    port = settings.port or EXPORTER.port
    modules = {
        name: {
            "metrics": [{"name": metric, "path": path} for metric, path in target.metrics.items()],
            "valid_status_codes": list(STATUS_CODES),
        }
        for name, target in settings.targets.items()
    }
    workload = Workload(
        name=NAME,
        program=context.program(JSON_EXPORTER),
        summary="metrics out of JSON pages",
        ports=(Port(name="http", number=port),),
        args=(f"--config.file={CONFIG}/json.yml", f"--web.listen-address={context.addresses.listen(port)}"),
        files={"json.yml": to_yaml({"modules": modules})},
        probe=Probe(port="http", path="/metrics"),
        resources=Resources(memory="64Mi", cpu="50m"),
        extras=(Outward(),),
        page="/metrics",
    )
    targets = tuple(
        Target(address=target.url, labels=context.labels(app=target.app, service="json", __param_module=name))
        for name, target in settings.targets.items()
    )
    return Exporting(
        workloads=(workload,),
        monitoring=Monitoring(
            jobs=(
                context.job(NAME, port),
                ScrapeJob(name="json", targets=targets, path="/probe", through=context.addresses.dial(NAME, port)),
            ),
            groups=(RuleGroup(name="json", alerts=_alerts(settings, targets)),),
        ),
    )


EXPORTER = Exporter(name="json", summary="numbers out of JSON pages", port=7979, settings=JsonSettings, build=build)
