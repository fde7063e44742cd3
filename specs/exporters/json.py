"""json_exporter: numbers out of JSON pages that speak no Prometheus."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from specs.exporter import Exporter, ExporterSettings, Exporting
from specs.model import HttpUrl, Model, Name
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target, to_yaml
from specs.part import Context, Monitoring
from specs.programs import JSON_EXPORTER
from specs.settings import Severity
from specs.workload import CONFIG, Port, Probe, Resources, Workload

NAME = "json-exporter"


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


ALERTS = (
    Alert(
        name="JsonPageUnreadable",
        expr='up{job="json"} == 0',
        for_="5m",
        severity=Severity.WARNING,
        summary="The JSON page {{ $labels.instance }} cannot be read",
        description="The exporter got no JSON from {{ $labels.instance }} for 5 minutes (up is {{ $value }}).",
        action="Open the page: does it answer, and is it still of the shape that the settings describe?",
    ),
)


def build(context: Context, settings: JsonSettings) -> Exporting:
    """One workload that reads every page."""
    port = settings.port or EXPORTER.port
    modules = {
        name: {"metrics": [{"name": metric, "path": path} for metric, path in target.metrics.items()]}
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
            groups=(RuleGroup(name="json", alerts=ALERTS),),
        ),
    )


EXPORTER = Exporter(name="json", summary="numbers out of JSON pages", port=7979, settings=JsonSettings, build=build)
