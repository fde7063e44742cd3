"""The exporter `blackbox`."""

import yaml

from specs.monitoring import ScrapeJob, Target
from specs.workload import Check
from tests.specs.support import FILE, complaint, exporting

OWN = {
    "stack-prometheus": "http://127.0.0.1:9090/-/ready",
    "stack-alertmanager": "http://127.0.0.1:9093/-/ready",
    "stack-loki": "http://127.0.0.1:3100/ready",
    "stack-jaeger": "http://127.0.0.1:16686/",
    "stack-collector": "http://127.0.0.1:13133/",
}


def _target(
    address: str, probe: str, module: str = "http_2xx", app: str = "observability", service: str = "probe"
) -> Target:
    labels = {"app": app, "environment": "test", "service": service, "probe": probe, "__param_module": module}
    return Target(address=address, labels=labels)


def test_workload() -> None:
    """Proves what the exporter is started with, its ways of knocking, and that it is reloaded, not restarted."""
    (workload,) = exporting("blackbox", {}).workloads

    assert (workload.name, workload.program.binary, workload.args) == (
        "blackbox-exporter",
        "blackbox_exporter",
        ("--config.file=../config/blackbox.yml", "--web.listen-address=127.0.0.1:9115"),
    )
    assert {path: yaml.safe_load(text) for path, text in workload.files.items()} == {
        "blackbox.yml": {
            "modules": {
                "http_2xx": {"prober": "http", "http": {"preferred_ip_protocol": "ip4"}},
                "tcp_connect": {"prober": "tcp", "tcp": {"preferred_ip_protocol": "ip4"}},
                "tls_connect": {"prober": "tcp", "tcp": {"preferred_ip_protocol": "ip4", "tls": True}},
            }
        }
    }
    assert (dict(workload.secrets), dict(workload.environment)) == ({}, {})
    assert workload.checks == (Check(("blackbox_exporter", "--config.check", "--config.file=blackbox.yml")),)
    assert workload.reload is not None


def test_jobs() -> None:
    """Proves that the stack's own parts are probed, and what the settings name; probes of one timing share a job."""
    probes = {
        "shop": {"url": "https://shop.example.com/", "app": "shop"},
        "mail": {"address": "mail.example.com:25"},
        "vault": {"address": "vault.example.com:8200", "tls": True, "app": "shop", "service": "vault"},
        "slow": {"url": "http://slow.example.com/", "interval": "5m", "timeout": "1m"},
    }
    exporter, usual, slow = exporting("blackbox", {"probes": probes}).monitoring.jobs

    own = {"app": "observability", "environment": "test", "service": "blackbox-exporter"}
    assert exporter == ScrapeJob(name="blackbox-exporter", targets=(Target(address="127.0.0.1:9115", labels=own),))
    assert usual == ScrapeJob(
        name="probe",
        targets=(
            *(_target(url, name) for name, url in OWN.items()),
            _target("https://shop.example.com/", "shop", app="shop"),
            _target("mail.example.com:25", "mail", module="tcp_connect"),
            _target("vault.example.com:8200", "vault", module="tls_connect", app="shop", service="vault"),
        ),
        path="/probe",
        interval="30s",
        timeout="10s",
        through="127.0.0.1:9115",
    )
    assert slow == ScrapeJob(
        name="probe-5m-1m",
        targets=(_target("http://slow.example.com/", "slow"),),
        path="/probe",
        interval="5m",
        timeout="1m",
        through="127.0.0.1:9115",
    )


def test_bad_settings() -> None:
    """Proves that a probe of two things, or of none, is refused."""
    for probe in ({}, {"url": "http://a/", "address": "a:1"}):
        assert complaint(exporters={"blackbox": {"probes": {"shop": probe}}}) == (
            f"{FILE}: observability:settings.exporters.blackbox.probes.shop:"
            " a probe knocks at one thing (accepted: either url or address)"
        )


def test_tls_is_for_addresses() -> None:
    """Proves that a URL, which says itself whether it is TLS, is not told again."""
    assert complaint(exporters={"blackbox": {"probes": {"shop": {"url": "http://a/", "tls": True}}}}) == (
        f"{FILE}: observability:settings.exporters.blackbox.probes.shop.tls:"
        " a URL says itself whether it is TLS (accepted: https://… as url)"
    )
