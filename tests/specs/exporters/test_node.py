"""The exporter `node`."""

import pytest

from specs.monitoring import ScrapeJob, Target
from specs.workload import HostView
from tests.specs.support import FILE, complaint, exporting


@pytest.mark.parametrize(
    ("runtime", "args", "address"),
    [
        ("process", ("--web.listen-address=127.0.0.1:9100",), "127.0.0.1:9100"),
        ("docker", ("--web.listen-address=0.0.0.0:9100", "--path.rootfs=/host"), "node-exporter:9100"),
        ("kubernetes", ("--web.listen-address=0.0.0.0:9100", "--path.rootfs=/host"), ""),
    ],
)
def test_workload_and_job(runtime: str, args: tuple[str, ...], address: str) -> None:
    """Proves that one workload measures the host, through /host where it is in a container, and is scraped as the
    stack's own."""
    found = exporting("node", {}, runtime=runtime)
    (workload,), (job,) = found.workloads, found.monitoring.jobs

    assert (workload.name, workload.program.binary, workload.args) == ("node-exporter", "node_exporter", args)
    assert (dict(workload.files), dict(workload.secrets), dict(workload.environment)) == ({}, {}, {})
    assert (workload.extras, workload.probe.path) == ((HostView(),), "/")
    labels = {"app": "observability", "environment": "test", "service": "node-exporter"}
    if address:
        assert job == ScrapeJob(name="node", targets=(Target(address=address, labels=labels),))
    else:
        assert (job.name, job.targets, job.labels, job.fleeting) == ("node-exporter", (), labels, True)


def test_every_node_of_a_cluster() -> None:
    """Proves that on a cluster each node's pod is scraped, that its series bear the node's name, which outlives its
    pods, and that other hosts have a job of their own, since a job is either of pods or of addresses."""
    found = exporting("node", {"targets": {"one": {"address": "10.0.0.1:9100"}}}, runtime="kubernetes")
    own, others = found.monitoring.jobs

    assert own.discovery is not None
    assert [step for step in own.discovery.relabel if step.get("target_label") == "instance"] == [
        {
            "source_labels": ["__meta_kubernetes_pod_node_name"],
            "regex": "(.+)",
            "target_label": "instance",
            "replacement": "$1",
        }
    ]
    assert (others.name, others.discovery, others.fleeting) == ("node", None, False)
    assert [target.address for target in others.targets] == ["10.0.0.1:9100"]


def test_port() -> None:
    """Proves that another port is used for listening and scraping alike."""
    found = exporting("node", {"port": 9200})

    assert found.workloads[0].args == ("--web.listen-address=127.0.0.1:9200",)
    assert found.monitoring.jobs[0].targets[0].address == "127.0.0.1:9200"


def test_other_hosts() -> None:
    """Proves that hosts whose exporter already runs are scraped beside the stack's own, as their systems'."""
    targets = {"one": {"address": "10.0.0.1:9100", "app": "shop"}, "two": {"address": "10.0.0.2:9100"}}
    found = exporting("node", {"targets": targets})

    labels = {"environment": "test", "service": "node"}
    assert len(found.workloads) == 1
    assert [(job.name, job.targets[1:]) for job in found.monitoring.jobs] == [
        (
            "node",
            (
                Target(address="10.0.0.1:9100", labels={"app": "shop", **labels}),
                Target(address="10.0.0.2:9100", labels={"app": "observability", **labels}),
            ),
        )
    ]


def test_database_mounts() -> None:
    """Proves that the mount points of databases decide on both sides of the division, and that what is no regular
    expression is refused."""
    (group,) = exporting("node", {"database_mounts": "/srv/db"}).monitoring.groups
    (full,) = (alert.expr for alert in group.alerts if alert.name == "DatabaseDiskFull")

    assert full == (
        'node_filesystem_avail_bytes{mountpoint=~"/srv/db"}'
        ' / (node_filesystem_size_bytes{mountpoint=~"/srv/db"} > 0) < $threshold'
    )
    key = f"{FILE}: observability:settings.exporters.node.database_mounts"
    assert complaint(exporters={"node": {"database_mounts": "/srv/(db"}}) == (
        f"{key}: '/srv/(db' is no regular expression: missing ), unterminated subpattern at position 5"
        " (accepted: one in RE2's form)"
    )
    assert complaint(exporters={"node": {"database_mounts": 'a"b'}}) == (
        f"{key}: 'a\"b' has a quote or a backslash (accepted: a regular expression without them)"
    )


def test_bad_settings() -> None:
    """Proves that a bad port is refused with its key."""
    assert complaint(exporters={"node": {"port": 65536}}) == (
        f"{FILE}: observability:settings.exporters.node.port: 65536 is out of bounds (accepted: at most 65535)"
    )
