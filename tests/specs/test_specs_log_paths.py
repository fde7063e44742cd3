"""Log files of a host, as the collector's container finds them."""

import pytest

from specs import log_paths
from specs.workload import HostPaths, Outward, Registry
from tests.specs.support import FILE, complaint, stack, yaml_file

RECEIVERS = {"default": "team", "receivers": {"team": {"webhook": {"url": "http://team.example.com"}}}}


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("/srv/shop/logs/*.log", "/srv/shop/logs"),
        ("/srv/shop/app.log", "/srv/shop"),
        ("/srv/*/logs/[ab].log", "/srv"),
        ("/srv/{a,b}/app?.log", "/srv"),
        # What an application makes there some day is not there yet.
        ("/var/log/shop/*.log", "/var/log"),
        ("/var/log/messages", "/var/log"),
        ("/var/logs/x.log", "/var/logs"),
    ],
)
def test_a_glob_is_seen_by_the_directory_above_it(glob: str, expected: str) -> None:
    """Proves that a container sees the part before the first pattern, and of /var/log all."""
    assert log_paths.directory(glob) == expected


@pytest.mark.parametrize("glob", ["/*.log", "/app.log", "/srv/../etc/*.log"])
def test_the_whole_host_is_refused(glob: str) -> None:
    """Proves that a glob that could be anywhere is refused, with the form that is accepted."""
    files = [{"name": "shop", "app": "shop", "include": [glob]}]

    assert complaint(runtime="docker", alerting=RECEIVERS, log_files=files) == (
        f'{FILE}: observability:settings.log_files: "{glob}" is not below a directory of the host'
        " (accepted: /directory/…, without ..)"
    )


def test_directories_are_seen_once() -> None:
    """Proves that a directory inside of another is not asked for again, and one of a similar name is."""
    assert log_paths.seen(
        ["/srv/a/x/*.log", "/srv/a/*.log", "/srv/ab/*.log", "/var/log/x.log", "/var/log/y/*.log"]
    ) == (
        ("/srv/a", "/host/srv/a"),
        ("/srv/ab", "/host/srv/ab"),
        ("/var/log", "/host/var/log"),
    )


def test_the_collector_follows_them_on_docker() -> None:
    """Proves that the container sees the directories and its receivers look where it sees them; that nothing is said
    to be left out; and that without log files it sees nothing of its host."""
    files = [{"name": "shop", "app": "shop", "include": ["/srv/shop/*.log", "/var/log/shop/*.log"]}]
    made = stack(runtime="docker", alerting=RECEIVERS, log_files=files)
    collector = yaml_file(made, "collector", "collector.yml")

    assert collector["receivers"]["file_log/shop"]["include"] == ["/host/srv/shop/*.log", "/host/var/log/shop/*.log"]
    assert made.workload("collector").extras == (
        Registry(),
        HostPaths((("/srv/shop", "/host/srv/shop"), ("/var/log", "/host/var/log"))),
        Outward(),
    )
    assert made.left_out == ()
    assert stack(runtime="docker", alerting=RECEIVERS).workload("collector").extras == (Registry(), Outward())


def test_elsewhere_paths_are_the_hosts_own() -> None:
    """Proves that processes read the paths as they are, and that on a cluster each node's agent sees its own."""
    files = [{"name": "shop", "app": "shop", "include": ["/srv/shop/*.log"]}]
    processes = stack(log_files=files)
    pods = stack(runtime="kubernetes", alerting=RECEIVERS, log_files=files)

    collector = yaml_file(processes, "collector", "collector.yml")
    assert collector["receivers"]["file_log/shop"]["include"] == ["/srv/shop/*.log"]
    assert processes.workload("collector").extras == (Registry(), Outward())
    assert pods.left_out == ()
    agent = yaml_file(pods, "agent", "agent.yml")
    assert agent["receivers"]["file_log/shop"]["include"] == ["/host/srv/shop/*.log"]
    assert HostPaths((("/srv/shop", "/host/srv/shop"),)) in pods.workload("agent").extras
