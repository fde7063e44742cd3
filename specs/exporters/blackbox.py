"""blackbox_exporter: what answers from outside, and whose certificate ends when."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, model_validator

from specs import alertmanager, collector, jaeger, loki, prometheus
from specs.exporter import Exporter, ExporterSettings, Exporting
from specs.model import Address, Duration, HttpUrl, Model, Name, problem_at, seconds
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target, to_yaml
from specs.part import Context, Monitoring
from specs.programs import BLACKBOX_EXPORTER
from specs.settings import Severity
from specs.workload import CONFIG, Check, Outward, Port, Probe, Reload, Resources, Workload

NAME = "blackbox-exporter"
DASHBOARD = "exporter-blackbox"


class BlackboxProbe(Model):
    """One thing to knock at."""

    url: HttpUrl | None = None
    """HTTP: healthy is an answer of 200 to 299."""
    address: Address | None = None
    """TCP: healthy is an accepted connection."""
    tls: bool = False
    """Whether `address` has to speak TLS, with a certificate that is valid for its name."""
    service: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")] = "probe"
    """Label `service`: which of the system's services is knocked at."""
    app: Name | None = None
    """System it belongs to; none: the stack's own label."""
    interval: Duration = "30s"
    """Time between two knocks."""
    timeout: Duration = "10s"
    """How long an answer may take; at most the interval."""

    @property
    def module(self) -> str:
        """Which of MODULES it takes."""
        if self.url:
            return "http_2xx"
        return "tls_connect" if self.tls else "tcp_connect"

    @model_validator(mode="after")
    def _one_kind(self) -> "BlackboxProbe":
        if (self.url is None) == (self.address is None):
            raise ValueError("a probe knocks at one thing (accepted: either url or address)")
        if self.url and self.tls:
            raise problem_at("a URL says itself whether it is TLS (accepted: https://… as url)", "tls")
        if seconds(self.timeout) > seconds(self.interval):
            raise ValueError(
                f"timeout {self.timeout} is longer than interval {self.interval} (accepted: at most the interval)"
            )
        return self


class BlackboxSettings(ExporterSettings):
    """Settings of `exporters.blackbox`."""

    probes: Mapping[Name, BlackboxProbe] = Field(default_factory=dict[str, BlackboxProbe])
    """By name, beside the probes of the stack's own parts."""


def _own(context: Context) -> dict[str, str]:
    dial = context.addresses.dial
    return {
        "prometheus": f"http://{dial(prometheus.NAME, prometheus.PORT)}/-/ready",
        "alertmanager": f"http://{dial(alertmanager.NAME, alertmanager.PORT)}/-/ready",
        "loki": f"http://{dial(*loki.query_address(context))}/ready",
        "jaeger": f"http://{dial(jaeger.NAME, jaeger.UI)}/",
        "collector": f"http://{dial(collector.NAME, collector.HEALTH)}/",
    }


MODULES: Mapping[str, Mapping[str, Any]] = {
    "http_2xx": {"prober": "http", "http": {"preferred_ip_protocol": "ip4"}},
    "tcp_connect": {"prober": "tcp", "tcp": {"preferred_ip_protocol": "ip4"}},
    "tls_connect": {"prober": "tcp", "tcp": {"preferred_ip_protocol": "ip4", "tls": True}},
}
"""Ways of knocking."""


def _alerts() -> tuple[Alert, ...]:
    expiring = Alert(
        name="CertificateExpiring",
        expr="(probe_ssl_earliest_cert_expiry - time()) / 86400 < $threshold",
        threshold=14,
        for_="1h",
        severity=Severity.WARNING,
        summary="The certificate of {{ $labels.probe }} ends soon",
        description="{{ $value | humanize }} days are left (limit $threshold).",
        action="Renew it, and see why the renewal that should have come by itself did not.",
    )
    alerts = (
        Alert(
            name="ProbeFailed",
            expr="probe_success == 0",
            for_="2m",
            severity=Severity.CRITICAL,
            summary="{{ $labels.probe }} does not answer",
            description="{{ $labels.instance }} has not answered as it should for 2 minutes (probe_success is {{ $value }}).",
            action="Ask for it by hand from the same network; then see whether what should answer runs.",
        ),
        Alert(
            name="ProbeStatusBad",
            expr="probe_http_status_code >= $threshold",
            threshold=400,
            for_="2m",
            severity=Severity.WARNING,
            summary="{{ $labels.probe }} answers with status {{ $value }}",
            description="{{ $labels.instance }} answers, but with HTTP status {{ $value }} (limit $threshold).",
            action="401 and 403: the page is not open to the exporter. 404: it moved. 5xx: its own log says why.",
        ),
        Alert(
            name="ProbeSlow",
            expr="probe_duration_seconds > $threshold and probe_success == 1",
            threshold=2,
            for_="5m",
            severity=Severity.WARNING,
            summary="{{ $labels.probe }} answers slowly",
            description="{{ $labels.instance }} takes {{ $value | humanizeDuration }} to answer (limit $threshold s).",
            action="probe_http_duration_seconds tells its phases apart: name, connection, TLS, processing, transfer.",
        ),
        Alert(
            name="ProbeFlapping",
            expr="changes(probe_success[30m]) > $threshold",
            threshold=5,
            severity=Severity.WARNING,
            summary="{{ $labels.probe }} comes and goes",
            description="{{ $labels.instance }} changed {{ $value }} times between answering and not in half an hour (limit $threshold).",
            action="One bad replica behind a load balancer, a process that keeps crashing, or a timeout that is too close: compare with its log.",
        ),
        expiring,
        replace(expiring, threshold=3, severity=Severity.CRITICAL),
        Alert(
            name="BlackboxConfigReloadFailed",
            expr="blackbox_exporter_config_last_reload_successful == 0",
            for_="5m",
            severity=Severity.WARNING,
            summary="The blackbox exporter runs on an old configuration",
            description="The last reload of {{ $labels.instance }} failed (successful is {{ $value }}).",
            action="Read its log for the line it refuses, mend the stack file, deploy again.",
        ),
    )
    return tuple(replace(alert, dashboard=DASHBOARD) for alert in alerts)


def build(context: Context, settings: BlackboxSettings) -> Exporting:
    """One workload that probes the stack's own parts and what the settings name."""
    port = settings.port or EXPORTER.port
    own = {name: BlackboxProbe(url=url) for name, url in _own(context).items()}
    probes = {**{f"stack-{name}": probe for name, probe in own.items()}, **settings.probes}
    workload = Workload(
        name=NAME,
        program=context.program(BLACKBOX_EXPORTER),
        summary="probes from outside",
        ports=(Port(name="http", number=port),),
        args=(f"--config.file={CONFIG}/blackbox.yml", f"--web.listen-address={context.addresses.listen(port)}"),
        files={"blackbox.yml": to_yaml({"modules": {name: dict(module) for name, module in MODULES.items()}})},
        probe=Probe(port="http", path="/-/healthy"),
        checks=(Check(("blackbox_exporter", "--config.check", "--config.file=blackbox.yml")),),
        reload=Reload(
            port="http",
            metric="blackbox_exporter_config_last_reload_successful",
            timestamp_metric="blackbox_exporter_config_last_reload_success_timestamp_seconds",
        ),
        resources=Resources(memory="64Mi", cpu="50m"),
        extras=(Outward(),),
    )
    through = context.addresses.dial(NAME, port)
    jobs: dict[tuple[str, str], ScrapeJob] = {}
    for name, probe in probes.items():
        target = Target(
            address=probe.url or probe.address or "",
            labels=context.labels(app=probe.app, service=probe.service, probe=name, __param_module=probe.module),
        )
        # Prometheus sets interval and timeout for a whole job: probes that share them share a job.
        timing = (probe.interval, probe.timeout)
        job = jobs.get(timing) or ScrapeJob(
            name="probe" if not jobs else f"probe-{probe.interval}-{probe.timeout}",
            targets=(),
            path="/probe",
            interval=probe.interval,
            timeout=probe.timeout,
            through=through,
        )
        jobs[timing] = replace(job, targets=(*job.targets, target))
    return Exporting(
        workloads=(workload,),
        monitoring=Monitoring(
            jobs=(context.job(NAME, port), *jobs.values()), groups=(RuleGroup(name="blackbox", alerts=_alerts()),)
        ),
    )


EXPORTER = Exporter(
    name="blackbox",
    summary="what answers from outside: HTTP, TCP, certificates",
    port=9115,
    settings=BlackboxSettings,
    build=build,
)
