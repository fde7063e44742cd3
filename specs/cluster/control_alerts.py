"""Alerts about API server, scheduler and controllers, DNS, and what tells of the cluster's objects."""

from specs.cluster.names import CONTROL_PLANE, most
from specs.monitoring import Alert
from specs.settings import Severity

DASHBOARD = CONTROL_PLANE
_WHO = "by (app, environment, service)"
_STREAMS = "log|proxy|exec|attach|portforward"
"""Parts of pods that last for as long as somebody listens."""


def slow(window: str = "5m", scope: str = "") -> str:
    """The share of requests that take too long: more than a second for one object, half a minute for many."""
    matchers = f'verb!~"WATCH|CONNECT", subresource!~"{_STREAMS}"{scope}'
    bucket, count = (f"apiserver_request_sli_duration_seconds_{what}" for what in ("bucket", "count"))
    one = f'rate({bucket}{{scope="resource", le=~"1(\\\\.0)?", {matchers}}}[{window}])'
    many = f'rate({bucket}{{scope=~"namespace|cluster", le=~"30(\\\\.0)?", {matchers}}}[{window}])'
    every = f'rate({count}{{scope=~"resource|namespace|cluster", {matchers}}}[{window}])'
    return f"1 - sum {_WHO} ({one} or {many}) / sum {_WHO} ({every})"


def api() -> tuple[Alert, ...]:
    """About the API server."""
    requests = f"sum {_WHO} (rate(apiserver_request_total[5m]))"
    failed = f'sum {_WHO} (rate(apiserver_request_total{{code=~"5.."}}[5m]))'
    refused = f'sum {_WHO} (rate(apiserver_request_total{{code="429"}}[5m]))'
    return (
        Alert(
            name="ApiServerErrors",
            expr=f"{failed} / ({requests} > 1) > $threshold",
            threshold=0.05,
            for_="10m",
            severity=Severity.CRITICAL,
            summary="The API server answers with errors",
            description="{{ $value | humanizePercentage }} of the requests end in an error of its own (limit $threshold): controllers and deployments do not get on.",
            action="See on its dashboard which verbs and resources. All of them: its store (etcd). Some: a webhook or an aggregated API (ApiServiceUnavailable).",
        ),
        Alert(
            name="ApiServerSlow",
            expr=f"{slow()} > $threshold and {requests} > 1",
            threshold=0.1,
            for_="15m",
            severity=Severity.WARNING,
            summary="The API server is slow",
            description="{{ $value | humanizePercentage }} of the requests take more than a second, or half a minute for lists (limit $threshold).",
            action="Look for clients that list everything again and again, for slow webhooks, and at the disk below etcd.",
        ),
        Alert(
            name="ApiServerOverloaded",
            expr=f"{refused} / ({requests} > 1) > $threshold",
            threshold=0.05,
            for_="10m",
            severity=Severity.WARNING,
            summary="The API server turns requests away",
            description="{{ $value | humanizePercentage }} of the requests are told to come again later (limit $threshold).",
            action="Some client asks too much: kubectl get --raw /debug/api_priority_and_fairness/dump_priority_levels shows whose queue is full.",
        ),
        Alert(
            name="ApiServiceUnavailable",
            expr=f"{most('aggregator_unavailable_apiservice', 'name')} == 1",
            for_="10m",
            severity=Severity.WARNING,
            summary="The aggregated API {{ $labels.name }} does not answer",
            description="What answers it is away (unavailable is {{ $value }}): kubectl and controllers that list all kinds of objects get errors.",
            action="kubectl get apiservice names its Service: see its pods (metrics-server most often), or delete the APIService of what is gone for good.",
        ),
        Alert(
            name="AdmissionWebhookFailing",
            expr='sum by (app, environment, service, name) (increase(apiserver_admission_webhook_rejection_count{error_type=~"calling_webhook_error|apiserver_internal_error"}[10m])) > $threshold',
            threshold=0,
            for_="10m",
            severity=Severity.WARNING,
            summary="Admission webhook {{ $labels.name }} does not answer, and so refuses",
            description="{{ $value | humanize }} requests were refused in 10 minutes for want of its answer (limit $threshold): pods may not be made at all.",
            action="See its pods and its certificate. When the cluster stands still because of it, delete its webhook configuration: its operator makes it again.",
        ),
    )


def certificates() -> tuple[Alert, ...]:
    """About certificates, where it is the user who renews them."""
    return (
        Alert(
            name="ApiClientCertificateExpiring",
            expr=f'sum {_WHO} (increase(apiserver_client_certificate_expiration_seconds_bucket{{le=~"604800(\\\\.0)?"}}[1h])) > $threshold',
            threshold=0,
            for_="1h",
            severity=Severity.WARNING,
            summary="Somebody logs in to the API server with a certificate that expires within a week",
            description="{{ $value | humanize }} requests in an hour. Parts of the control plane do so too, and are out when it has expired.",
            action="kubeadm certs check-expiration lists those of the control plane, and kubeadm certs renew all renews them; k3s does so when it starts.",
        ),
    )


def controllers() -> tuple[Alert, ...]:
    """About scheduler and controllers, where they tell their metrics."""
    attempts = "increase(scheduler_schedule_attempts_total"
    return (
        Alert(
            name="SchedulerFailing",
            expr=f'sum {_WHO} ({attempts}{{result="error"}}[10m])) / (sum {_WHO} ({attempts}[10m])) > 0) > $threshold',
            threshold=0.2,
            for_="10m",
            severity=Severity.WARNING,
            summary="The scheduler fails",
            description="{{ $value | humanizePercentage }} of its attempts end in an error (limit $threshold), which want of room is none of.",
            action="Its log has the errors: a plugin or an extender that does not answer, or an API server that it may not ask.",
        ),
        Alert(
            name="ControllersLag",
            expr=f"{most('workqueue_depth', 'name')} > $threshold",
            threshold=500,
            for_="15m",
            severity=Severity.WARNING,
            summary="Controller {{ $labels.name }} does not keep up",
            description="{{ $value | humanize }} objects wait for it (limit $threshold): what is declared comes about late.",
            action="Look for very many objects of its kind (finished Jobs, evicted pods), and at ApiServerSlow.",
        ),
    )


def dns() -> tuple[Alert, ...]:
    """About CoreDNS."""
    answers = f"sum {_WHO} (rate(coredns_dns_responses_total[5m]))"
    failed = f'sum {_WHO} (rate(coredns_dns_responses_total{{rcode="SERVFAIL"}}[5m]))'
    duration = "sum by (app, environment, service, le) (rate(coredns_dns_request_duration_seconds_bucket[5m]))"
    return (
        Alert(
            name="DnsErrors",
            expr=f"{failed} / ({answers} > 0.1) > $threshold",
            threshold=0.05,
            for_="10m",
            severity=Severity.CRITICAL,
            summary="DNS of the cluster fails",
            description="{{ $value | humanizePercentage }} of the answers are SERVFAIL (limit $threshold): everything that dials a name is at risk.",
            action="kubectl logs -n kube-system -l k8s-app=kube-dns. Names of the cluster: it cannot reach the API server. Others: its upstream (DnsUpstreamDown).",
        ),
        Alert(
            name="DnsSlow",
            expr=f"histogram_quantile(0.99, {duration}) > $threshold and {answers} > 1",
            threshold=1,
            for_="10m",
            severity=Severity.WARNING,
            summary="DNS of the cluster is slow",
            description="The slowest hundredth of the answers takes {{ $value | humanizeDuration }} or more (limit $threshold s).",
            action="An upstream that is slow or away is the usual reason; else CoreDNS is starved: see its CPU, add a replica.",
        ),
        Alert(
            name="DnsUpstreamDown",
            expr=f"sum {_WHO} (increase(coredns_forward_healthcheck_broken_total[5m])) > $threshold",
            threshold=0,
            for_="10m",
            severity=Severity.WARNING,
            summary="CoreDNS reaches none of its upstreams",
            description="{{ $value | humanize }} times in 5 minutes all of them were ill (limit $threshold): names outside of the cluster are not found.",
            action="See what the Corefile forwards to (kubectl -n kube-system get cm coredns), and whether a node reaches it.",
        ),
        Alert(
            name="DnsReloadFailed",
            expr=f"sum {_WHO} (increase(coredns_reload_failed_total[15m])) > $threshold",
            threshold=0,
            severity=Severity.WARNING,
            summary="CoreDNS cannot read its new configuration",
            description="{{ $value | humanize }} attempts failed in 15 minutes: it goes on with the old one, and a new pod does not start.",
            action="Its log names the line of the Corefile.",
        ),
        Alert(
            name="DnsPanics",
            expr=f"sum {_WHO} (increase(coredns_panics_total[10m])) > $threshold",
            threshold=0,
            severity=Severity.WARNING,
            summary="CoreDNS panics",
            description="{{ $value | humanize }} panics in 10 minutes: each is a question without an answer.",
            action="Its log has the trace; most often a plugin. Look for a newer version.",
        ),
    )


def state() -> tuple[Alert, ...]:
    """About kube-state-metrics."""

    def asked(result: str = "") -> str:
        listed, seen = (f"increase(kube_state_metrics_{way}_total{result}[10m])" for way in ("list", "watch"))
        # Both have the same labels, and lists are made only where the API server cannot stream them.
        return f'sum {_WHO} ({listed} or label_replace({seen}, "way", "watch", "", ""))'

    failed = '{result="error"}'
    return (
        Alert(
            name="ClusterObjectsUnread",
            expr=f"{asked(failed)} / ({asked()} > 0) > $threshold",
            threshold=0.1,
            for_="10m",
            severity=Severity.WARNING,
            summary="kube-state-metrics cannot read the cluster's objects",
            description="{{ $value | humanizePercentage }} of its requests to the API server fail (limit $threshold): alerts about pods, workloads and nodes are blind.",
            action="Its log names the kind: a right that its ClusterRole lacks, or an API server that does not answer.",
        ),
    )
