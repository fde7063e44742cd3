"""What answers from outside, as blackbox_exporter finds by knocking."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import EACH, board, fill, generic
from dashboards.limits import Limits
from dashboards.panels import Column, graph, lights, state, table_of

FOLDER = "exporters"
_NAME = "{{app}} {{probe}}"


def dashboard(limits: Limits) -> Dashboard:
    """Does it answer, how fast, where the time goes, how long its certificate lasts."""
    onto = board(
        "Blackbox", description="Pages and ports that are knocked at from outside.", tags=["exporter", "probes"]
    )
    return fill(
        generic(onto, "probe_success"),
        [
            lights("Status", description="What answers now.", queries=[(f"probe_success{{{EACH}}}", _NAME)]),
            state(
                "Health Checks",
                description="Since when something answers or does not.",
                queries=[(f"probe_success{{{EACH}}}", _NAME)],
            ),
            table_of(
                "Availability",
                description="Share of the knocks that were answered.",
                columns=[
                    Column(title="Last hour", expr=f"avg_over_time(probe_success{{{EACH}}}[1h])", unit="percentunit"),
                    Column(title="Last day", expr=f"avg_over_time(probe_success{{{EACH}}}[1d])", unit="percentunit"),
                    Column(title="Last week", expr=f"avg_over_time(probe_success{{{EACH}}}[7d])", unit="percentunit"),
                ],
                labels=("app", "probe", "instance"),
                hidden=("environment", "job", "service"),
            ),
            graph(
                "Response Time",
                description="How long a knock takes.",
                unit="s",
                queries=[(f"max by (app, probe) (probe_duration_seconds{{{EACH}}})", _NAME)],
                limits=limits.of("ProbeSlow"),
            ),
            graph(
                "Response Time by Phase",
                description="Where the time of a request goes: name, connection, TLS, processing, transfer.",
                unit="s",
                queries=[(f"avg by (phase) (probe_http_duration_seconds{{{EACH}}})", "{{phase}}")],
                stacked=True,
            ),
            graph(
                "HTTP Status",
                description="Status of the last answer; 0 when there was none.",
                unit="none",
                queries=[(f"max by (app, probe) (probe_http_status_code{{{EACH}}})", _NAME)],
                limits=limits.of("ProbeStatusBad"),
            ),
            graph(
                "Name Lookup",
                description="How long it takes to find the address of a name.",
                unit="s",
                queries=[(f"max by (app, probe) (probe_dns_lookup_time_seconds{{{EACH}}})", _NAME)],
            ),
            table_of(
                "Certificates",
                description="Days until the first certificate of a chain ends; one row that says so where nothing speaks TLS.",
                columns=[
                    Column(
                        title="Days left",
                        expr=(
                            f"(min by (app, probe, instance) (probe_ssl_earliest_cert_expiry{{{EACH}}}) - time()) / 86400"
                            ' or on () label_replace(vector(0), "probe", "nothing speaks TLS", "", "")'
                        ),
                        unit="none",
                        limits=limits.of("CertificateExpiring", below=True),
                    )
                ],
                labels=("app", "probe", "instance"),
                width=24,
            ),
        ],
    )
