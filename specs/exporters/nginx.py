"""nginx-prometheus-exporter: nginx servers with stub_status."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from specs.exporter import Exporter, ExporterSettings, Exporting, ServerTarget
from specs.model import HttpUrl, Name
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target
from specs.part import Context, Monitoring
from specs.programs import NGINX_EXPORTER
from specs.settings import Severity
from specs.workload import Outward, Port, Probe, Resources, Workload

NAME = "nginx-exporter"
DASHBOARD = "exporter-nginx"


class NginxTarget(ServerTarget):
    """One nginx server."""

    SERVER: ClassVar[str] = "status_url"

    status_url: HttpUrl | None = None
    """Its stub_status page; or see `exporter`."""


class NginxSettings(ExporterSettings):
    """Settings of `exporters.nginx`."""

    targets: Mapping[Name, NginxTarget] = Field(min_length=1)


def _alerts() -> tuple[Alert, ...]:
    alerts = (
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
        Alert(
            name="NginxAnswersPilingUp",
            expr="nginx_connections_writing > $threshold",
            threshold=200,
            for_="5m",
            severity=Severity.WARNING,
            summary="nginx {{ $labels.instance }} has very many requests at work",
            description="{{ $value }} requests are being answered at once (limit $threshold).",
            action="What stands behind it is slow, or its clients are: $upstream_response_time in the access log tells which.",
        ),
        Alert(
            name="NginxIdleConnectionsHigh",
            expr="nginx_connections_waiting > $threshold",
            threshold=5000,
            for_="10m",
            severity=Severity.WARNING,
            summary="nginx {{ $labels.instance }} keeps very many idle connections",
            description="{{ $value }} clients keep a connection without a request (limit $threshold); they count against worker_connections.",
            action="Lower keepalive_timeout, and see in the access log whether few addresses hold most of them.",
        ),
        Alert(
            name="NginxTrafficStopped",
            # Only where there was traffic an hour ago: a quiet server is no fault.
            expr="rate(nginx_http_requests_total[5m]) < 0.1 and rate(nginx_http_requests_total[15m] offset 1h) > $threshold",
            threshold=5,
            for_="10m",
            severity=Severity.WARNING,
            summary="Nobody asks nginx {{ $labels.instance }} for anything any more",
            description="{{ $value | humanize }} requests a second arrive; an hour ago it were more than $threshold.",
            action="Ask it by its public name, from outside: DNS, the load balancer and the firewall come first.",
        ),
        Alert(
            name="NginxRestarted",
            expr="resets(nginx_connections_accepted[15m]) > $threshold",
            threshold=0,
            severity=Severity.INFO,
            summary="nginx {{ $labels.instance }} was started again",
            description="It started {{ $value }} times in 15 minutes; a reload does not count.",
            action="When nobody did it on purpose: its error log says why.",
        ),
    )
    return tuple(replace(alert, dashboard=DASHBOARD) for alert in alerts)


def build(context: Context, settings: NginxSettings) -> Exporting:
    """One workload and one target for each server."""
    workloads: list[Workload] = []
    targets: list[Target] = []
    for index, (name, target) in enumerate(settings.targets.items()):
        if target.status_url is None:
            address = target.exporter or ""
            targets.append(Target(address=address, labels=context.labels(app=target.app, service="nginx")))
            continue
        # A target keeps its place, whatever becomes of the others.
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
            extras=(Outward(),),
            page="/metrics",
        )
        workloads.append(workload)
        instance = target.status_url.split("/")[2]
        labels = context.labels(app=target.app, service="nginx", instance=instance)
        targets.append(Target(address=context.addresses.dial(workload.name, port), labels=labels))
    return Exporting(
        workloads=tuple(workloads),
        monitoring=Monitoring(
            jobs=(ScrapeJob(name="nginx", targets=tuple(targets)),), groups=(RuleGroup(name="nginx", alerts=_alerts()),)
        ),
    )


EXPORTER = Exporter(name="nginx", summary="nginx servers", port=9113, settings=NginxSettings, build=build)
