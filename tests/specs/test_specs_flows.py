"""Who talks to whom, read out of what is rendered."""

from dataclasses import replace
from typing import Any

import pytest

from specs.dialled import Dialled, dialled, in_text
from specs.flow import ANYWHERE, CLIENT, DNS, EVERY_POD, EVERY_TCP, Flow, Net, Part, Pods, Reach, merged, table
from specs.flows import flows
from specs.monitoring import Discovery, ScrapeJob
from specs.stack import Stack
from specs.workload import ApiAccess, Dials, EveryNode, Port, Probe, Program, Resources, SecretRef, Workload
from tests.golden import assert_golden
from tests.specs.support import EVERY_RECEIVER, committed, stack

OWN = "observability"


def _workload(name: str = "tool", **changes: Any) -> Workload:
    plain = Workload(
        name=name,
        program=Program(name=name, image="", version="1", binary=name),
        ports=(Port(name="http", number=8080),),
        probe=Probe(port="http"),
        resources=Resources(memory="1Mi", cpu="1m"),
    )
    return replace(plain, **changes)


def _bare(**kubernetes: Any) -> Stack:
    """A stack without anything that runs."""
    made = stack(
        runtime="kubernetes",
        grafana=False,
        alerting=EVERY_RECEIVER,
        kubernetes={"watch": False, "discover": False, **kubernetes},
    )
    return replace(made, workloads=(), jobs=())


def _targets(*workloads: Workload, jobs: tuple[ScrapeJob, ...] = (), source: str = "tool") -> dict[str, str]:
    """What `source` may dial in a stack of these, without the name servers: the ports by the target."""
    made = replace(_bare(), workloads=workloads, jobs=jobs)
    return {
        str(flow.target): ", ".join(map(str, flow.ports))
        for flow in flows(made)
        if str(flow.source) == source and flow.ports != DNS
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("http://loki.observability.svc:3100/otlp", [("loki.observability.svc", 3100)]),
        ("https://example.com/hook", [("example.com", 443)]),
        ("http://example.com", [("example.com", 80)]),
        ("redis://:word@cache.shop.svc/0", [("cache.shop.svc", 6379)]),
        ("db.example.com:5432/app?sslmode=require", [("db.example.com", 5432)]),
        ("dns+store-peers.observability.svc:10901", [("store-peers.observability.svc", 10901)]),
        ("dnssrv+_grpc._tcp.store-peers.observability.svc", [("store-peers.observability.svc", 0, "grpc")]),
        ("a.example.com:1,b.example.com:2", [("a.example.com", 1), ("b.example.com", 2)]),
        ("mail:25", [("mail", 25)]),
        ("10.0.0.5:9100", [("10.0.0.5", 9100)]),
        ("${env:NODE_NAME}:10250", [("$node", 10250)]),
        ("https://$(K8S_NODE_NAME):10250/pods", [("$node", 10250)]),
        ("12:30", []),
        ("see example.com:80 for more", []),
        ("unix:///run/x.sock", []),
        ("max by (app:http_rate:5m)", []),
        ("file_log/stack", []),
    ],
)
def test_addresses_are_read_out_of_text(text: str, found: list[tuple[Any, ...]]) -> None:
    """URLs and names of Services anywhere, other addresses where the text is nothing else; times and words are none."""
    assert {*in_text(text)} == {Dialled(*each) for each in found}


def test_links_are_not_dialled() -> None:
    """What people open, what rules and dashboards show, and what a program listens on, is no address that it dials."""
    program = _workload(
        args=("--web.external-url=http://a.observability.svc:1", "--alert.query-url=http://b.observability.svc:2"),
        environment={"GF_SERVER_ROOT_URL": "http://c.observability.svc:3", "LISTEN": "0.0.0.0:4"},
        files={
            "rules/x.yml": "url: http://d.observability.svc:5",
            "dashboards/x.json": '{"url": "http://e.observability.svc:6"}',
            "x.tmpl": "http://f.observability.svc:7",
            "x.yml": "ruler:\n  external_url: http://g.observability.svc:8\nlisten: 127.0.0.1:9\n",
        },
    )

    assert dialled(program) == ()


def test_addresses_are_read_out_of_all_that_a_program_is_told() -> None:
    """Arguments, environment, files of YAML and others, and what stands around a secret; host and port may stand
    apart."""
    program = _workload(
        args=("--to=a.example.com:1", "tcp.example.com:2"),
        environment={"URL": "http://c.example.com:3", "DATABASE_HOST": "d.shop.svc", "DATABASE_PORT": "4"},
        files={
            "x.yml": "out: {hosts: ['http://e.example.com:5'], hostname: f.shop.svc, port: 6}\n",
            "x.conf": 'hosts => ["http://g.example.com:7"]',
        },
        secrets={"secrets/x": SecretRef("x", template='{"redis://h.example.com:8": $secret}')},
    )

    assert {(each.host, each.port) for each in dialled(program)} == {
        ("a.example.com", 1),
        ("tcp.example.com", 2),
        ("c.example.com", 3),
        ("d.shop.svc", 4),
        ("e.example.com", 5),
        ("f.shop.svc", 6),
        ("g.example.com", 7),
        ("h.example.com", 8),
    }


def test_jobs_in_prometheus_file_are_not_what_it_dials() -> None:
    """Targets that an exporter probes stand in Prometheus' file, too; its other addresses are its own."""
    text = (
        "global: {}\nscrape_configs:\n- job_name: x\n  static_configs:\n  - targets:\n    - probed.shop.svc:1\n"
        "alerting:\n  alertmanagers:\n  - static_configs:\n    - targets: [alertmanager.observability.svc:9093]\n"
    )

    assert dialled(_workload(files={"prometheus.yml": text})) == (Dialled("alertmanager.observability.svc", 9093),)


def test_names_stand_for_parts() -> None:
    """The Service of a part, the name of a replica, and the name of all replicas mean the part; the port may have a
    name; a port of what runs beside it is its own."""
    store = _workload(
        "store",
        ports=(
            Port(name="http", number=1),
            Port(name="gossip", number=2),
            Port(name="gossip-udp", number=2, protocol="udp"),
        ),
        beside=(_workload("sidecar", ports=(Port(name="grpc", number=3),)),),
    )
    for address, ports in {
        "store.observability.svc:1": "1/tcp",
        "http://store.observability.svc.cluster.local:1/x": "1/tcp",
        "store-0.store-peers.observability.svc:2": "2/tcp, 2/udp",
        "store-peers.observability.svc:3": "3/tcp",
        "dnssrv+_grpc._tcp.store-peers.observability.svc": "3/tcp",
        "store:1": "1/tcp",
    }.items():
        assert _targets(_workload(args=(f"--to={address}",)), store) == {"store": ports}, address


def test_what_is_no_part_is_outside() -> None:
    """Services of others mean their namespace, at any port, since the port behind a Service may be another; names and
    addresses elsewhere mean their port alone."""
    assert _targets(_workload(args=("http://web.shop.svc:80",))) == {"namespace shop": "every/tcp"}
    assert _targets(_workload(args=("https://example.com",))) == {"anywhere": "443/tcp"}
    assert _targets(_workload(args=("--to=10.1.2.3:5432",))) == {"10.1.2.3/32": "5432/tcp"}
    assert _targets(_workload(args=("--to=stranger.observability.svc:1",))) == {"namespace observability": "every/tcp"}


def test_replicas_talk_to_each_other_where_the_model_says_so() -> None:
    """`peers` are ports between replicas, also of UDP, and no other port is."""
    ports = (Port(name="http", number=1), Port(name="gossip", number=2), Port(name="udp", number=2, protocol="udp"))

    assert _targets(_workload(ports=ports, peers=("gossip", "udp"), replicas=3)) == {"tool": "2/tcp, 2/udp"}
    assert _targets(_workload(ports=ports)) == {}


def test_extras_open_what_they_name() -> None:
    """ApiAccess is the API server, wherever it is; Dials is a port, of pods and of everything else."""
    assert _targets(_workload(extras=(ApiAccess(()),))) == {"anywhere": "443/tcp, 6443/tcp"}
    assert _targets(_workload(extras=(Dials((6379,), "a broker"),))) == {
        "every namespace": "6379/tcp",
        "anywhere": "6379/tcp",
    }


def test_scrape_jobs_are_flows_of_prometheus_or_of_what_probes() -> None:
    """Targets of a job are dialled by Prometheus, or by the exporter that the job goes through."""
    prometheus = _workload("prometheus")
    exporter = _workload("exporter", ports=(Port(name="http", number=9115),))
    target = stack(alerting=EVERY_RECEIVER).jobs[0].targets[0]
    probes = ScrapeJob(
        name="probe",
        targets=(replace(target, address="http://web.shop.svc/x"),),
        through="exporter.observability.svc:9115",
    )
    plain = ScrapeJob(name="plain", targets=(replace(target, address="db.example.com:9187"),))

    assert _targets(prometheus, exporter, jobs=(probes, plain), source="prometheus") == {
        "exporter": "9115/tcp",
        "anywhere": "9187/tcp",
    }
    assert _targets(prometheus, exporter, jobs=(probes, plain), source="exporter") == {"namespace shop": "every/tcp"}


@pytest.mark.parametrize(
    ("found", "targets"),
    [
        (Discovery(role="node"), {"anywhere": "10250/tcp"}),
        (
            Discovery(role="node", relabel=({"target_label": "__address__", "replacement": "$1:10249"},)),
            {"anywhere": "10249/tcp"},
        ),
        (Discovery(role="endpointslice", namespaces=("default",)), {"anywhere": "443/tcp, 6443/tcp"}),
        (Discovery(role="pod", namespaces=("shop",)), {"namespace shop": "every/tcp"}),
        (
            Discovery(
                role="pod",
                relabel=(
                    {
                        "source_labels": ["__meta_kubernetes_pod_annotation_prometheus_io_scrape"],
                        "regex": "true",
                        "action": "keep",
                    },
                ),
            ),
            {"every namespace": "every/tcp"},
        ),
    ],
)
def test_discovery_is_a_flow_to_what_it_can_find(found: Discovery, targets: dict[str, str]) -> None:
    """Nodes, the API server, the namespaces that are looked in; none of the stack's own pods that relabelling drops."""
    job = ScrapeJob(name="found", targets=(), discovery=found)

    assert _targets(_workload("prometheus"), _workload("other"), jobs=(job,), source="prometheus") == targets


def test_name_servers_are_for_those_who_dial() -> None:
    """Whatever dials asks for names, also at addresses that the settings add; what dials nothing asks nobody."""
    made = replace(
        _bare(dns=["10.96.0.10/32"]), workloads=(_workload(args=("https://example.com",)), _workload("idle"))
    )
    part = Part("tool", OWN)

    assert flows(made) == merged(
        (
            Flow(source=part, target=ANYWHERE, ports=(Reach(443),), why="is told its address"),
            *(
                Flow(source=part, target=server, ports=DNS, why="asks for names")
                for server in (
                    Pods("kube-system"),
                    Net(("169.254.20.10/32", "169.254.169.254/32")),
                    Net(("10.96.0.10/32",)),
                )
            ),
        )
    )


def test_addresses_of_the_settings_are_told_with_their_ports() -> None:
    """Object storage and databases of traces stand without their port in files; what uses neither dials neither."""
    made = committed("prod")
    dials = {(str(flow.source), port.number) for flow in flows(made) if flow.target == ANYWHERE for port in flow.ports}

    assert {source for source, port in dials if port == 9200} == {"jaeger"}
    assert {source for source, port in dials if port == 5432} == {"grafana"}
    assert {"loki", "prometheus", "thanos-store", "thanos-compactor"} <= {
        source for source, port in dials if port == 443
    }
    assert not {source for source, _ in dials} & {
        "thanos-query",
        "thanos-query-frontend",
        "node-exporter",
        "json-exporter",
    }


def test_a_pod_that_has_an_identity_may_ask_for_it() -> None:
    """Without keys, what uses object storage asks its cloud who it is; with keys it does not."""
    made = committed("prod")
    storage = made.context.settings.object_storage
    assert storage
    bare = storage.model_copy(update={"access_key": None, "secret_key": None})
    asking = {str(flow.source) for flow in flows(committed("prod", object_storage=bare)) if "identity" in flow.why}

    assert asking == {"loki", "prometheus", "thanos-store", "thanos-compactor"}
    assert not [flow for flow in flows(made) if "identity" in flow.why]


def test_published_ports_are_for_clients() -> None:
    """What takes telemetry in, or has a login, is open to every pod of others; what shows everything to everybody is
    open to pods with the label of clients; what is not published to none."""
    made = replace(
        _bare(),
        workloads=tuple(
            _workload(name, ports=(Port(name="http", number=1, published=True), Port(name="own", number=2)))
            for name in ("collector", "grafana", "prometheus")
        ),
    )

    assert {(str(flow.target), flow.source, flow.ports) for flow in flows(made)} == {
        ("collector", EVERY_POD, (Reach(1),)),
        ("grafana", EVERY_POD, (Reach(1),)),
        ("prometheus", Pods(labels=(CLIENT,)), (Reach(1),)),
    }


def test_what_sees_its_node_is_in_the_namespace_of_nodes() -> None:
    """The ends of flows are pods where they are."""
    made = replace(_bare(), workloads=(_workload(extras=(EveryNode(),), args=("https://example.com",)),))

    assert {flow.source for flow in flows(made)} == {Part("tool", f"{OWN}-node")}


def test_settings_add_what_only_secrets_know() -> None:
    """kubernetes.dials names further addresses."""
    made = replace(_bare(), workloads=(_workload(),))
    settings = made.context.settings
    kubernetes = settings.kubernetes.model_copy(update={"dials": {"tool": ("rabbit.shop.svc:5672",)}})
    context = replace(made.context, settings=settings.model_copy(update={"kubernetes": kubernetes}))

    assert [flow.target for flow in flows(replace(made, context=context)) if flow.ports == EVERY_TCP] == [Pods("shop")]


def test_no_address_of_the_stack_leads_nowhere() -> None:
    """In each size, every name in the stack's own namespace that a part dials is a part's: none is of a Service that
    does not exist."""
    for size in ("small", "medium", "large"):
        lost = [flow for flow in flows(committed("prod", size=size)) if flow.target == Pods(OWN)]
        assert lost == [], size


def test_the_flows_of_the_production_stack_are_those_that_were_read() -> None:
    """Who talks to whom in the project's own stack is a file to be read in diffs."""
    assert_golden("flows-prod.md", "# Who talks to whom: prod\n\n" + table(flows(committed("prod"))))
