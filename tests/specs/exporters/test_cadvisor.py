"""The exporter `cadvisor`."""

import pytest

from specs.monitoring import ScrapeJob, Target
from specs.workload import HostPaths, KernelLog, Workload
from tests.specs.support import FILE, complaint, exporting


def workload(**settings: object) -> Workload:
    """Return its one workload on Docker."""
    (found,) = exporting("cadvisor", settings, runtime="docker", scrape_interval="30s").workloads
    return found


def test_workload() -> None:
    """Proves that only kinds of metrics are measured that somebody looks at, as often as they are scraped."""
    assert workload().args == (
        "--listen_ip=0.0.0.0",
        "--port=8080",
        "--docker=unix:///var/run/docker.sock",
        "--docker_only=true",
        "--enable_metrics=cpu,memory,network,diskIO,oom_event",
        "--store_container_labels=false",
        "--whitelisted_container_labels=com.docker.compose.project,com.docker.compose.service",
        "--housekeeping_interval=30s",
        "--storage_duration=1m",
        "--v=0",
    )
    assert [port.published for port in workload().ports] == [False]


def test_it_sees_no_more_than_it_needs() -> None:
    """Proves that it has the engine's socket and directory, /proc and /sys, and neither the host's files nor its
    processes."""
    assert workload().extras == (
        HostPaths(
            (
                ("/var/run", "/var/run"),
                ("/sys", "/sys"),
                ("/proc", "/rootfs/proc"),
                ("/var/lib/docker", "/rootfs/var/lib/docker"),
            )
        ),
        KernelLog(),
    )
    elsewhere = workload(socket="/srv/engine/docker.sock", data_root="/srv/docker", kernel_log=False)
    assert elsewhere.args[2] == "--docker=unix:///srv/engine/docker.sock"
    assert elsewhere.extras == (
        HostPaths(
            (
                ("/srv/engine", "/srv/engine"),
                ("/sys", "/sys"),
                ("/proc", "/rootfs/proc"),
                ("/srv/docker", "/rootfs/srv/docker"),
            )
        ),
    )


def test_job() -> None:
    """Proves that it is scraped by its alias, as the stack's own."""
    assert exporting("cadvisor", {}, runtime="docker").monitoring.jobs == (
        ScrapeJob(
            name="cadvisor",
            targets=(
                Target(
                    address="cadvisor:8080",
                    labels={"app": "observability", "environment": "test", "service": "cadvisor"},
                ),
            ),
        ),
    )


@pytest.mark.parametrize("runtime", ["process", "kubernetes"])
def test_only_where_there_is_an_engine(runtime: str) -> None:
    """Proves that elsewhere it is refused in one line."""
    alerting = {"receivers": {"team": {"webhook": {"url": "http://team/hook"}}}, "default": "team"}

    assert complaint(runtime=runtime, exporters={"cadvisor": {}}, alerting=alerting) == (
        f"{FILE}: observability:settings.exporters.cadvisor: does not run on {runtime} (accepted: docker)"
    )


def test_bad_settings() -> None:
    """Proves that a URL where a path belongs is refused."""
    assert complaint(runtime="docker", exporters={"cadvisor": {"socket": "tcp://engine:2376"}}) == (
        f"{FILE}: observability:settings.exporters.cadvisor.socket:"
        ' "tcp://engine:2376" is not accepted here (accepted: a path that begins with / and has no colon)'
    )
