"""nginx-prometheus-exporter: nginx servers with stub_status."""

from collections.abc import Mapping

from pydantic import Field

from specs.exporter import Exporter, ExporterSettings, Exporting
from specs.model import HttpUrl, Model, Name
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target
from specs.part import Context, Monitoring
from specs.programs import NGINX_EXPORTER
from specs.settings import Severity
from specs.workload import Port, Probe, Resources, Workload

NAME = "nginx-exporter"


class NginxTarget(Model):
    """One nginx server."""

    status_url: HttpUrl
    """Its stub_status page."""
    app: Name | None = None
    """System that owns the server; none: the stack's own label."""


class NginxSettings(ExporterSettings):
    """Settings of `exporters.nginx`."""

    targets: Mapping[Name, NginxTarget] = Field(min_length=1)


def _alerts() -> tuple[Alert, ...]:
    return (
        Alert(
            name="NginxDown",
            expr="nginx_up == 0",
            for_="1m",
            severity=Severity.CRITICAL,
            summary="nginx {{ $labels.instance }} does not answer",
            description="The exporter cannot read the status page of {{ $labels.instance }} (nginx_up is {{ $value }}).",
            action="See whether nginx runs and whether the status page is still open to the exporter's address.",
        ),
        Alert(
            name="NginxDropsConnections",
            expr="rate(nginx_connections_accepted[5m]) - rate(nginx_connections_handled[5m]) > $threshold",
            threshold=0,
            for_="5m",
            severity=Severity.WARNING,
            summary="nginx {{ $labels.instance }} drops connections",
            description="{{ $value | humanize }} accepted connections a second are not handled.",
            action="worker_connections or the limit of open files is reached: nginx' error log says which.",
        ),
    )


def build(context: Context, settings: NginxSettings) -> Exporting:
    """One workload and one target for each server."""
    workloads: list[Workload] = []
    targets: list[Target] = []
    for index, (name, target) in enumerate(settings.targets.items()):
        port = (settings.port or EXPORTER.port) + index
        workload = Workload(
            name=f"{NAME}-{name}",
            program=context.program(NGINX_EXPORTER),
            summary=f"metrics of nginx {target.status_url}",
            ports=(Port(name="http", number=port),),
            args=(
                f"--web.listen-address={context.addresses.listen(port)}",
                f"--nginx.scrape-uri={target.status_url}",
            ),
            probe=Probe(port="http", path="/"),
            resources=Resources(memory="64Mi", cpu="50m"),
            page="/metrics",
        )
        workloads.append(workload)
        instance = target.status_url.split("/")[2]
        labels = context.labels(app=target.app, service="nginx", instance=instance)
        targets.append(Target(address=context.addresses.dial(workload.name, port), labels=labels))
    return Exporting(
        workloads=tuple(workloads),
        monitoring=Monitoring(
            jobs=(ScrapeJob(name=NAME, targets=tuple(targets)),), groups=(RuleGroup(name="nginx", alerts=_alerts()),)
        ),
    )


EXPORTER = Exporter(name="nginx", summary="nginx servers", port=9113, settings=NginxSettings, build=build)
