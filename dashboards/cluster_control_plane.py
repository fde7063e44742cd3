"""API server, DNS, scheduler and controllers of a Kubernetes cluster, as far as they can be scraped."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import WIDTH, alert_marks, fill
from dashboards.clusters import HERE, RATE, WRONG, page
from dashboards.limits import Limits
from dashboards.panels import graph, state
from specs.cluster.control_alerts import slow

FOLDER = "cluster"
_API = f'job="apiserver", {HERE}'
_DNS = f'job="coredns", {HERE}'
_ITSELF = f'job="kube-state-metrics-self", {HERE}'
_PARTS = f'job=~"apiserver|coredns|kube-scheduler|kube-controller-manager|kube-state-metrics-self", {HERE}'


def _requests(where: str, by: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} (rate(apiserver_request_total{{{where}{_API}}}{RATE}))"


def _answers(metric: str, by: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} (rate(coredns_{metric}{{{_DNS}}}{RATE}))"


def _share(code: str) -> str:
    matcher = f'code=~"{code}", '
    return f"{_requests(matcher)} / {_requests('')}"


def dashboard(limits: Limits) -> Dashboard:
    """Does the API server answer, in time; are names found; do the others keep up."""
    onto = page("Cluster Control Plane", description="API server, DNS, scheduler and controllers.")
    duration = f"sum by (le) (rate(coredns_dns_request_duration_seconds_bucket{{{_DNS}}}{RATE}))"
    refused = 'error_type=~"calling_webhook_error|apiserver_internal_error", '
    hits = _answers("cache_hits_total")
    return fill(
        onto.annotation(alert_marks(f'{HERE}, {WRONG}, app="cluster"')),
        [
            state(
                "Up",
                description="Since when each of them answers Prometheus, or does not.",
                queries=[(f"up{{{_PARTS}}}", "{{job}} {{instance}}")],
                width=WIDTH,
            ),
            "API Server",
            graph(
                "Requests",
                description="Requests to all API servers, by what is to be done.",
                unit="suffix:/s",
                queries=[(_requests("", "verb"), "{{verb}}")],
            ),
            graph(
                "Errors",
                description="Share of the requests that end in an error of the API server, and that are told to come again later.",
                unit="percentunit",
                queries=[(_share("5.."), "failed"), (_share("429"), "turned away")],
                limits=limits.of("ApiServerErrors"),
            ),
            graph(
                "Too Slow",
                description="Share of the requests that take more than a second, or half a minute for lists.",
                unit="percentunit",
                queries=[(slow("$__rate_interval", f", {_API}"), "too slow")],
                limits=limits.of("ApiServerSlow"),
            ),
            graph(
                "Requests at Once",
                description="Requests that are being answered, those that change something apart.",
                unit="short",
                queries=[
                    (f"sum by (request_kind) (apiserver_current_inflight_requests{{{_API}}})", "{{request_kind}}")
                ],
            ),
            graph(
                "Failed Requests by Resource",
                description="Requests that end in an error of the API server, by what they are about.",
                unit="suffix:/s",
                queries=[(_requests('code=~"5..", ', "resource, verb"), "{{verb}} {{resource}}")],
            ),
            graph(
                "Refused for Want of a Webhook",
                description="Requests that were refused since an admission webhook did not answer, in ten minutes.",
                unit="short",
                queries=[
                    (
                        f"sum by (name) (increase(apiserver_admission_webhook_rejection_count{{{refused}{_API}}}[10m]))",
                        "{{name}}",
                    )
                ],
                limits=limits.of("AdmissionWebhookFailing"),
            ),
            graph(
                "Aggregated APIs That Do Not Answer",
                description="1 for each API that another program answers, while it does not.",
                unit="short",
                queries=[(f"max by (name) (aggregator_unavailable_apiservice{{{_API}}}) == 1", "{{name}}")],
            ),
            graph(
                "Logins by Certificate",
                description="Requests of clients whose certificate expires within a week, of all that log in by one.",
                unit="suffix:/s",
                queries=[
                    (
                        f'sum (rate(apiserver_client_certificate_expiration_seconds_bucket{{le=~"{le}", {_API}}}{RATE}))',
                        legend,
                    )
                    for le, legend in ((r"604800(\\.0)?", "expires within a week"), (r"\\+Inf", "all"))
                ],
            ),
            graph(
                "Objects",
                description="Objects in the store, of the ten kinds that have most.",
                unit="short",
                queries=[(f"topk(10, max by (resource) (apiserver_storage_objects{{{_API}}}))", "{{resource}}")],
            ),
            graph(
                "Store",
                description="Size of the store; etcd takes 2 GiB unless it is told otherwise, and then only reads.",
                unit="bytes",
                queries=[
                    (
                        f"max by (storage_cluster_id) (apiserver_storage_size_bytes{{{_API}}})",
                        "{{storage_cluster_id}}",
                    )
                ],
            ),
            "DNS",
            graph(
                "Questions",
                description="Questions to CoreDNS, by type.",
                unit="suffix:/s",
                queries=[(_answers("dns_requests_total", "type"), "{{type}}")],
            ),
            graph(
                "Answers",
                description="Answers by their code; SERVFAIL is a failure, NXDOMAIN a name that does not exist.",
                unit="suffix:/s",
                queries=[(_answers("dns_responses_total", "rcode"), "{{rcode}}")],
            ),
            graph(
                "Answer Time",
                description="The median, and the slowest hundredth.",
                unit="s",
                queries=[
                    (f"histogram_quantile(0.5, {duration})", "median"),
                    (f"histogram_quantile(0.99, {duration})", "slowest hundredth"),
                ],
                limits=limits.of("DnsSlow"),
            ),
            graph(
                "Answered from the Cache",
                description="Share of the questions that CoreDNS has an answer to.",
                unit="percentunit",
                queries=[(f"{hits} / ({hits} + {_answers('cache_misses_total')})", "from the cache")],
            ),
            graph(
                "Trouble of DNS",
                description="Panics, configurations that cannot be read, and times at which all upstreams were ill, in ten minutes.",
                unit="short",
                queries=[
                    (f"sum (increase(coredns_{metric}{{{_DNS}}}[10m]))", legend)
                    for metric, legend in (
                        ("panics_total", "panics"),
                        ("reload_failed_total", "configuration"),
                        ("forward_healthcheck_broken_total", "upstreams"),
                    )
                ],
            ),
            "Scheduler and Controllers",
            graph(
                "Pods That Wait for a Node",
                description="By why they wait; only where the scheduler can be scraped.",
                unit="short",
                queries=[(f"max by (queue) (scheduler_pending_pods{{{HERE}}})", "{{queue}}")],
            ),
            graph(
                "Attempts to Schedule",
                description="By how they end; only where the scheduler can be scraped.",
                unit="suffix:/s",
                queries=[(f"sum by (result) (rate(scheduler_schedule_attempts_total{{{HERE}}}{RATE}))", "{{result}}")],
            ),
            graph(
                "Queues of Controllers",
                description="Objects that wait, for the ten controllers with most; only where controllers can be scraped.",
                unit="short",
                queries=[(f"topk(10, max by (name) (workqueue_depth{{{HERE}}}))", "{{name}}")],
                limits=limits.of("ControllersLag"),
            ),
            graph(
                "Reading the Cluster's Objects",
                description="How the requests of kube-state-metrics end.",
                unit="suffix:/s",
                queries=[
                    (
                        f"sum by (result) (rate(kube_state_metrics_{way}_total{{{_ITSELF}}}{RATE}))",
                        f"{way} {{{{result}}}}",
                    )
                    for way in ("list", "watch")
                ],
            ),
            "What They Take",
            graph(
                "CPU",
                description="Cores that each of them uses.",
                unit="short",
                queries=[
                    (
                        f"sum by (job, instance) (rate(process_cpu_seconds_total{{{_PARTS}}}{RATE}))",
                        "{{job}} {{instance}}",
                    )
                ],
            ),
            graph(
                "Memory",
                description="Memory of each of them.",
                unit="bytes",
                queries=[
                    (f"max by (job, instance) (process_resident_memory_bytes{{{_PARTS}}})", "{{job}} {{instance}}")
                ],
            ),
            graph(
                "Started",
                description="How long each of them has run.",
                unit="s",
                queries=[(f"time() - process_start_time_seconds{{{_PARTS}}}", "{{job}} {{instance}}")],
                width=WIDTH,
            ),
        ],
    )
