"""Every host of the environment, and what runs on it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import EACH, SCOPE, board, fill, generic
from dashboards.limits import Limits
from dashboards.panels import bars, firing, graph, shown, state
from specs.named_signals import BY_EXPORTER

FOLDER = "observability"
_HOST = BY_EXPORTER["node"]


def dashboard(limits: Limits) -> Dashboard:
    """What is used up first, then what goes through, then what is wrong."""
    disk = _HOST["host_disk"]
    received, sent = _HOST["host_network_in"], _HOST["host_network_out"]
    onto = board(
        "System Overview",
        description="Every host: how busy, how full, and whether what runs there is up.",
        tags=["hosts"],
    )
    return fill(
        generic(onto, "up"),
        [
            shown(_HOST["host_cpu"], limits=limits.of("HighCPUUsage")),
            shown(_HOST["host_memory"], limits=limits.of("HighMemoryUsage")),
            bars(
                disk.title,
                description=disk.description,
                unit="percentunit",
                queries=[(disk.expr(EACH, keep=("app", "environment")), "{{app}} {{instance}} {{mountpoint}}")],
                limits=limits.of("DiskSpaceLow", rest=True),
                highest=1,
                width=12,
            ),
            shown(_HOST["host_disk_io"], limits=limits.of("HostDiskSaturated")),
            graph(
                "Network Traffic",
                description="Bytes that reach and leave each host, without the loopback.",
                unit="binBps",
                queries=[
                    (
                        signal.expr(EACH, keep=("app", "environment"), window="$__rate_interval"),
                        f"{{{{app}}}} {{{{instance}}}} {way}",
                    )
                    for signal, way in ((received, "in"), (sent, "out"))
                ],
            ),
            state(
                "Container Health",
                description=(
                    "Whether every target of a service answers Prometheus, be it a container, a pod or a process:"
                    " what does not answer is down, however well its container looks from outside."
                ),
                queries=[(f"min by (app, environment, service) (up{{{EACH}}})", "{{app}} {{service}}")],
            ),
            firing("Firing Alerts", SCOPE, width=24),
        ],
    )
