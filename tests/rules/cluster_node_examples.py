"""Examples of the alerts about nodes, the API server, DNS and the other parts of a cluster itself."""

from collections.abc import Mapping

from tests.rules.examples import (
    CRITICAL,
    HAIR,
    INFO,
    NO_LIMIT,
    WARNING,
    Course,
    Example,
    Firing,
    counter,
    gauge,
    labels,
    series,
    tried,
    without,
)

STATE = labels(
    "kube-state-metrics", app="cluster", job="kube-state-metrics", instance="kube-state-metrics:8080", node="n1"
)
KUBELET = labels("kubelet", app="cluster", instance="n1", node="n1")
API = labels("apiserver", app="cluster", instance="10.0.0.1:443")
DNS = labels("coredns", app="cluster", instance="coredns-668d6bf9bc-2lbbs:9153")
ITSELF = labels(
    "kube-state-metrics", job="kube-state-metrics-self", instance="kube-state-metrics-75cb4df6c9-bk967:8081"
)


def _node(severity: Mapping[str, str], summary: str, description: str, **more: str) -> Firing:
    of = {"app": "cluster", "environment": "test", "service": "node", "node": "n1", **more}
    return Firing(
        labels={name: value for name, value in {**of, **severity}.items() if value},
        summary=summary,
        description=description,
    )


def _part(of: Mapping[str, str], severity: Mapping[str, str], summary: str, description: str, **more: str) -> Firing:
    return Firing(
        labels={**without(of, "job", "instance"), **more, **severity}, summary=summary, description=description
    )


def _condition(name: str, status: str = "true", node: str = "n1") -> str:
    return series("kube_node_status_condition", STATE | {"node": node}, condition=name, status=status)


NODES = (
    *tried(
        "NodeNotReady",
        {
            _condition("Ready"): gauge(0, 1),
            _condition("Ready", "unknown"): gauge(1, 0),
            series("kube_node_spec_unschedulable", STATE): gauge(0),
        },
        _node(
            WARNING,
            "Node n1 is not ready, or cannot be reached",
            "For 10 minutes its kubelet has not said that all is well (ready is 0): its pods are made anew elsewhere,"
            " where there is room.",
        ),
        wait="10m",
        border=NO_LIMIT,
    ),
    Example(
        alert="NodeNotReady",
        says="it was drained",
        series={_condition("Ready"): "0x80", series("kube_node_spec_unschedulable", STATE): "1x80"},
        at="15m",
    ),
    *tried(
        "NodesNotReady",
        {
            _condition("Ready", node="n1"): gauge(0, 0, 1),
            _condition("Ready", node="n2"): gauge(0, 0, 1),
            _condition("Ready", node="n3"): gauge(0, 1),
            _condition("Ready", node="n4"): gauge(1),
            _condition("Ready", node="n5"): gauge(1),
        },
        _node(
            CRITICAL,
            "A large part of the nodes is not ready",
            "60% of the nodes are not ready (limit 0.4): what ran there finds no room elsewhere.",
            node="",
        ),
        wait="5m",
    ),
    Example(
        alert="NodeReadinessFlapping",
        says="it comes and goes",
        series={_condition("Ready"): "1 0 1 0 1 0 1x60"},
        at="10m",
        resolved_at="45m",
        step="1m",
        fires=(
            _node(
                WARNING,
                "Node n1 is ready, and not, and again",
                "That changed 6 times in half an hour (limit 4): pods are moved back and forth.",
            ),
        ),
    ),
    Example(
        alert="NodeReadinessFlapping",
        says="the boundary: it was away twice",
        series={_condition("Ready"): "1 0 1 0 1x60"},
        at="10m",
        step="1m",
    ),
    *tried(
        "NodePressure",
        {_condition("DiskPressure"): gauge(1, 0), _condition("MemoryPressure"): gauge(0)},
        _node(
            WARNING,
            "Node n1 says of itself: DiskPressure",
            "It has been so for 5 minutes (condition is 1): it takes no new pods, and puts out those that take most.",
            condition="DiskPressure",
        ),
        wait="5m",
        border=NO_LIMIT,
    ),
    *tried(
        "NodePodsNearlyFull",
        {
            series("kubelet_running_pods", KUBELET): gauge(99, 95, 50),
            series("kube_node_status_allocatable", STATE, resource="pods", unit="integer"): gauge(100),
        },
        _node(
            INFO,
            "Node n1 runs nearly as many pods as it may",
            "99% of its places are taken (limit 0.95), whatever CPU and memory are left.",
        ),
        wait="15m",
    ),
)


def _asked(pod: str, resource: str, phase: str, course: Course) -> dict[str, Course]:
    of = labels("web", app="shop", job="kube-state-metrics", namespace="shop", pod=pod)
    return {
        series("kube_pod_container_resource_requests", of, container="web", node="n1", resource=resource): course,
        series("kube_pod_status_phase", of, phase=phase): gauge(1),
    }


def _given(resource: str, *nodes: str) -> dict[str, Course]:
    return {
        series("kube_node_status_allocatable", STATE | {"node": node}, resource=resource): gauge(4) for node in nodes
    }


def _overcommitted(name: str, resource: str, words: str) -> tuple[Example, ...]:
    alert = f"Cluster{name}Overcommitted"
    alone = _asked("web-1", resource, "Running", gauge(6)) | _given(resource, "n1")
    ended = _asked("web-1", resource, "Succeeded", gauge(6)) | _asked("web-2", resource, "Running", gauge(1))
    return (
        *tried(
            alert,
            _asked("web-1", resource, "Running", gauge(6, 4, 2)) | _given(resource, "n1", "n2"),
            _node(
                INFO,
                f"The cluster has too little {words} to lose a node",
                f"Pods ask for 150% of the {words} that is left without the largest node (limit 1).",
                node="",
            ),
            wait="30m",
            step="1m",
        ),
        Example(
            alert=alert,
            says="it has one node, and no other to lose",
            series={name: course.bordering(60) for name, course in alone.items()},
            at="1h",
            step="1m",
        ),
        Example(
            alert=alert,
            says="most of it is asked for by pods that have ended",
            series={name: course.bordering(60) for name, course in (ended | _given(resource, "n1", "n2")).items()},
            at="1h",
            step="1m",
        ),
    )


def _buckets(metric: str, of: Mapping[str, str], **counts: Course) -> dict[str, Course]:
    return {
        series(f"{metric}_bucket", of, le=le.removeprefix("le").replace("_", ".").replace("Inf", "+Inf")): course
        for le, course in counts.items()
    }


def _operations(kind: str, failed: Course, every: Course) -> dict[str, Course]:
    return {
        series("kubelet_runtime_operations_errors_total", KUBELET, operation_type=kind): failed,
        series("kubelet_runtime_operations_total", KUBELET, operation_type=kind): every,
    }


KUBELETS = (
    *tried(
        "KubeletDown",
        {series("up", KUBELET): gauge(0, 1)},
        _node(
            WARNING,
            "The kubelet of n1 does not answer",
            "For 10 minutes Prometheus has not been able to scrape it (up is 0), while the node is still a member: its"
            " pods are not measured.",
        ),
        wait="10m",
        border=NO_LIMIT,
    ),
    *tried(
        "KubeletSlow",
        _buckets(
            "kubelet_pleg_relist_duration_seconds",
            KUBELET,
            le2_5=counter(0, 0, 15),
            le5=counter(0, 15),
            le10=counter(15),
            leInf=counter(15),
        ),
        _node(
            WARNING,
            "The kubelet of n1 is slow to see its containers",
            "It takes 9.95s to look at all of them (limit 5 s); after 3 minutes without, the node is not ready.",
        ),
        wait="10m",
        window="5m",
        border=HAIR,
    ),
    *tried(
        "KubeletRuntimeErrors",
        _operations("create_container", counter(4, 2, 0), counter(10)),
        _node(
            WARNING,
            "The container runtime of n1 fails",
            "40% of what its kubelet asks of it ends in an error (limit 0.2).",
        ),
        wait="15m",
        window="10m",
    ),
    Example(
        alert="KubeletRuntimeErrors",
        says="commands fail inside containers",
        series={
            name: course.bordering(160) for name, course in _operations("exec_sync", counter(4), counter(4)).items()
        },
        at="35m",
    ),
    *tried(
        "KubeletEvicts",
        {series("kubelet_evictions", KUBELET, eviction_signal="memory.available"): counter(1, 0)},
        _node(
            WARNING,
            "Node n1 puts pods out for want of resources",
            "60 pods were put out in 15 minutes, for memory.available.",
            eviction_signal="memory.available",
        ),
        window="15m",
    ),
    *tried(
        "KubeletCertificateExpiring",
        {
            series("kubelet_certificate_manager_client_ttl_seconds", KUBELET): gauge(7200, 86400, 2e6),
            series("kubelet_certificate_manager_server_ttl_seconds", KUBELET): gauge(2e6),
        },
        _node(
            WARNING,
            "A certificate of the kubelet of n1 expires, and is not renewed",
            "It is good for another 2h 0m 0s (limit 86400 s); without it, the node leaves the cluster.",
        ),
        wait="1h",
        step="1m",
    ),
)


def _requests(**courses: Course) -> dict[str, Course]:
    return {
        series("apiserver_request_total", API, code=code.removeprefix("c"), verb="GET"): course
        for code, course in courses.items()
    }


def _durations(quick: Course) -> dict[str, Course]:
    name = "apiserver_request_sli_duration_seconds"
    one = {"scope": "resource", "verb": "GET", "subresource": ""}
    many = {"scope": "cluster", "verb": "LIST", "subresource": ""}
    return {
        series(f"{name}_bucket", API, le="1.0", **one): quick,
        series(f"{name}_bucket", API, le="30.0", **one): counter(300),
        series(f"{name}_count", API, **one): counter(300),
        # A list may take longer.
        series(f"{name}_bucket", API, le="1.0", **many): counter(0),
        series(f"{name}_bucket", API, le="30.0", **many): counter(20),
        series(f"{name}_count", API, **many): counter(20),
        # It lasts as long as somebody listens.
        series(f"{name}_count", API, scope="resource", verb="GET", subresource="log"): counter(300),
    }


WEBHOOK = {"name": "check.example.com", "type": "admit", "operation": "CREATE", "rejection_code": "0"}
APIS = (
    *tried(
        "ApiServerErrors",
        _requests(c200=counter(270, 285, 300), c500=counter(30, 15, 0)),
        _part(
            API,
            CRITICAL,
            "The API server answers with errors",
            "10% of the requests end in an error of its own (limit 0.05): controllers and deployments do not get on.",
        ),
        wait="10m",
        window="5m",
    ),
    *tried(
        "ApiServerSlow",
        _durations(counter(240, 268, 300)) | _requests(c200=counter(320)),
        _part(
            API,
            WARNING,
            "The API server is slow",
            "18.75% of the requests take more than a second, or half a minute for lists (limit 0.1).",
        ),
        wait="15m",
        window="5m",
    ),
    *tried(
        "ApiServerOverloaded",
        _requests(c200=counter(270, 285, 300), c429=counter(30, 15, 0)),
        _part(
            API,
            WARNING,
            "The API server turns requests away",
            "10% of the requests are told to come again later (limit 0.05).",
        ),
        wait="10m",
        window="5m",
    ),
    *tried(
        "ApiServiceUnavailable",
        {series("aggregator_unavailable_apiservice", API, name="v1beta1.metrics.k8s.io"): gauge(1, 0)},
        _part(
            API,
            WARNING,
            "The aggregated API v1beta1.metrics.k8s.io does not answer",
            "What answers it is away (unavailable is 1): kubectl and controllers that list all kinds of objects get"
            " errors.",
            name="v1beta1.metrics.k8s.io",
        ),
        wait="10m",
        border=NO_LIMIT,
    ),
    *tried(
        "AdmissionWebhookFailing",
        {
            series(
                "apiserver_admission_webhook_rejection_count", API | WEBHOOK, error_type="calling_webhook_error"
            ): counter(1, 0),
            series("apiserver_admission_webhook_rejection_count", API | WEBHOOK, error_type="no_error"): counter(3),
        },
        _part(
            API,
            WARNING,
            "Admission webhook check.example.com does not answer, and so refuses",
            "40 requests were refused in 10 minutes for want of its answer (limit 0): pods may not be made at all.",
            name="check.example.com",
        ),
        wait="10m",
        window="10m",
    ),
    *tried(
        "ApiClientCertificateExpiring",
        {
            series("apiserver_client_certificate_expiration_seconds_bucket", API, le="604800.0"): counter(1, 0),
            series("apiserver_client_certificate_expiration_seconds_bucket", API, le="+Inf"): counter(5),
        },
        _part(
            API,
            WARNING,
            "Somebody logs in to the API server with a certificate that expires within a week",
            "60 requests in an hour. Parts of the control plane do so too, and are out when it has expired.",
        ),
        wait="1h",
        window="1h",
        step="1m",
    ),
    *tried(
        "SchedulerFailing",
        {
            series("scheduler_schedule_attempts_total", API, result="error"): counter(4, 2, 0),
            series("scheduler_schedule_attempts_total", API, result="scheduled"): counter(4, 6, 10),
            series("scheduler_schedule_attempts_total", API, result="unschedulable"): counter(2),
        },
        _part(
            API,
            WARNING,
            "The scheduler fails",
            "40% of its attempts end in an error (limit 0.2), which want of room is none of.",
        ),
        wait="10m",
        window="10m",
    ),
    *tried(
        "ControllersLag",
        {series("workqueue_depth", API, name="job"): gauge(1200, 500, 0)},
        _part(
            API,
            WARNING,
            "Controller job does not keep up",
            "1.2k objects wait for it (limit 500): what is declared comes about late.",
            name="job",
        ),
        wait="15m",
    ),
)

ANSWERS = {"server": "dns://:53", "zone": ".", "view": "", "plugin": "forward"}


def _answers(**courses: Course) -> dict[str, Course]:
    return {
        series("coredns_dns_responses_total", DNS, rcode=rcode, **ANSWERS): course for rcode, course in courses.items()
    }


NAMES = (
    *tried(
        "DnsErrors",
        _answers(NOERROR=counter(27, 28.5, 30), SERVFAIL=counter(3, 1.5, 0)),
        _part(
            DNS,
            CRITICAL,
            "DNS of the cluster fails",
            "10% of the answers are SERVFAIL (limit 0.05): everything that dials a name is at risk.",
        ),
        wait="10m",
        window="5m",
    ),
    *tried(
        "DnsSlow",
        _answers(NOERROR=counter(30))
        | _buckets(
            "coredns_dns_request_duration_seconds",
            DNS,
            le0_512=counter(0, 0, 30),
            le1_0=counter(0, 30),
            le2_0=counter(30),
            leInf=counter(30),
        ),
        _part(
            DNS,
            WARNING,
            "DNS of the cluster is slow",
            "The slowest hundredth of the answers takes 1.99s or more (limit 1 s).",
        ),
        wait="10m",
        window="5m",
        border=HAIR,
    ),
    *tried(
        "DnsUpstreamDown",
        {series("coredns_forward_healthcheck_broken_total", DNS): counter(1, 0)},
        _part(
            DNS,
            WARNING,
            "CoreDNS reaches none of its upstreams",
            "20 times in 5 minutes all of them were ill (limit 0): names outside of the cluster are not found.",
        ),
        wait="10m",
        window="5m",
    ),
    *tried(
        "DnsReloadFailed",
        {series("coredns_reload_failed_total", DNS): counter(1, 0)},
        _part(
            DNS,
            WARNING,
            "CoreDNS cannot read its new configuration",
            "60 attempts failed in 15 minutes: it goes on with the old one, and a new pod does not start.",
        ),
        window="15m",
    ),
    *tried(
        "DnsPanics",
        {series("coredns_panics_total", DNS): counter(1, 0)},
        _part(DNS, WARNING, "CoreDNS panics", "40 panics in 10 minutes: each is a question without an answer."),
        window="10m",
    ),
)

STATES = (
    *tried(
        "ClusterObjectsUnread",
        {
            series("kube_state_metrics_watch_total", ITSELF, resource="*v1.Pod", result="error"): counter(5, 1, 0),
            series("kube_state_metrics_watch_total", ITSELF, resource="*v1.Pod", result="success"): counter(3, 4, 5),
            series("kube_state_metrics_list_total", ITSELF, resource="*v1.Pod", result="success"): counter(2, 5, 5),
        },
        _part(
            ITSELF,
            WARNING,
            "kube-state-metrics cannot read the cluster's objects",
            "50% of its requests to the API server fail (limit 0.1): alerts about pods, workloads and nodes are blind.",
        ),
        wait="10m",
        window="10m",
    ),
)

EXAMPLES = (
    *NODES,
    *_overcommitted("Cpu", "cpu", "CPU"),
    *_overcommitted("Memory", "memory", "memory"),
    *KUBELETS,
    *APIS,
    *NAMES,
    *STATES,
)
