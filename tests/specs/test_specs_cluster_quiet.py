"""A healthy cluster, just made: none of its alerts fires."""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from processes.place import executable
from specs.monitoring import rule_files
from tests.contract.promql import selectors
from tests.specs.clusters import groups, made


def _healthy() -> dict[str, str]:
    """Series of a small cluster that was made two minutes ago, every fifteen seconds, for an hour and a half."""
    late = "0x7 1x352"
    soon = "1x7 0x352"
    of = 'app="cluster", environment="test"'
    pod = f'{of}, namespace="kube-system", service="coredns", pod="coredns-668d6bf9bc-2lbbs"'
    workload = f'{of}, namespace="kube-system", service="coredns"'
    progress = f'{workload}, deployment="coredns", condition="Progressing"'
    claim = f'{workload}, persistentvolumeclaim="data"'
    waiting = f'kube_pod_container_status_waiting_reason{{{pod}, container="coredns", reason='
    node = f'{of}, service="kube-state-metrics", node="n1"'
    kubelet = f'{of}, service="kubelet", node="n1", instance="n1", job="kubelet"'
    api = f'{of}, service="apiserver", job="apiserver", instance="10.0.0.1:443"'
    dns = f'{of}, service="coredns", job="coredns", instance="coredns-668d6bf9bc-2lbbs:9153"'
    own = 'app="observability", environment="test", service="kube-state-metrics", job="kube-state-metrics-self"'
    duration = "apiserver_request_sli_duration_seconds"
    return {
        f"up{{{kubelet}}}": late,
        f'kube_node_status_condition{{{node}, condition="Ready", status="true"}}': late,
        f'kube_node_status_condition{{{node}, condition="DiskPressure", status="true"}}': "0x359",
        f"kube_node_spec_unschedulable{{{node}}}": "0x359",
        f'kube_node_status_allocatable{{{node}, resource="cpu"}}': "2x359",
        f'kube_node_status_allocatable{{{node}, resource="memory"}}': "4000x359",
        f'kube_node_status_allocatable{{{node}, resource="pods"}}': "110x359",
        f'kube_deployment_spec_replicas{{{workload}, deployment="coredns"}}': "2x359",
        f'kube_deployment_status_replicas_available{{{workload}, deployment="coredns"}}': "0x7 2x352",
        f'kube_deployment_status_replicas_updated{{{workload}, deployment="coredns"}}': "2x359",
        f'kube_deployment_status_condition{{{progress}, status="false"}}': "0x359",
        f'kube_daemonset_status_desired_number_scheduled{{{workload}, daemonset="kube-proxy"}}': "1x359",
        f'kube_daemonset_status_number_ready{{{workload}, daemonset="kube-proxy"}}': late,
        f'kube_daemonset_status_updated_number_scheduled{{{workload}, daemonset="kube-proxy"}}': "1x359",
        f'kube_statefulset_replicas{{{workload}, statefulset="loki"}}': "1x359",
        f'kube_statefulset_status_replicas_ready{{{workload}, statefulset="loki"}}': late,
        f'kube_statefulset_status_replicas_updated{{{workload}, statefulset="loki"}}': "1x359",
        f'kube_poddisruptionbudget_status_desired_healthy{{{workload}, poddisruptionbudget="coredns"}}': "1x359",
        f'kube_poddisruptionbudget_status_current_healthy{{{workload}, poddisruptionbudget="coredns"}}': "0x7 2x352",
        f'kube_poddisruptionbudget_status_expected_pods{{{workload}, poddisruptionbudget="coredns"}}': "2x359",
        f'kube_poddisruptionbudget_status_pod_disruptions_allowed{{{workload}, poddisruptionbudget="coredns"}}': late,
        f"kube_pod_status_unschedulable{{{pod}}}": "1x7 stale",
        f'kube_pod_status_ready{{{pod}, condition="false"}}': soon,
        f'kube_pod_status_phase{{{pod}, phase="Pending"}}': soon,
        f'kube_pod_status_phase{{{pod}, phase="Running"}}': late,
        f'{waiting}"ContainerCreating"}}': "1x7 stale",
        # While DNS was not there, something ended and was started again.
        f'kube_pod_container_status_restarts_total{{{pod}, container="coredns"}}': "0x3 1x3 2x353",
        f'{waiting}"CrashLoopBackOff"}}': "_x3 1x3 stale",
        f'kube_pod_container_resource_requests{{{pod}, container="coredns", node="n1", resource="cpu"}}': "1.9x359",
        f'prober_probe_total{{{pod}, container="coredns", probe_type="Liveness", result="failed"}}': "0x3 2x356",
        f'container_cpu_cfs_periods_total{{{pod}, container="coredns"}}': "0+100x359",
        f'container_cpu_cfs_throttled_periods_total{{{pod}, container="coredns"}}': "0+10x359",
        f'container_memory_working_set_bytes{{{pod}, container="coredns"}}': "50x359",
        f'container_spec_memory_limit_bytes{{{pod}, container="coredns"}}': "170x359",
        f'kube_persistentvolumeclaim_status_phase{{{claim}, phase="Pending"}}': soon,
        f'kube_persistentvolumeclaim_status_phase{{{claim}, phase="Lost"}}': "0x359",
        # A new volume takes its first data quickly.
        f"kubelet_volume_stats_available_bytes{{{claim}}}": "1000-0.5x359",
        f"kubelet_volume_stats_capacity_bytes{{{claim}}}": "1000x359",
        f"kubelet_volume_stats_inodes_free{{{claim}}}": "900x359",
        f"kubelet_volume_stats_inodes{{{claim}}}": "1000x359",
        f"kubelet_running_pods{{{kubelet}}}": "12x359",
        f'kubelet_pleg_relist_duration_seconds_bucket{{{kubelet}, le="0.1"}}': "0+15x359",
        f'kubelet_pleg_relist_duration_seconds_bucket{{{kubelet}, le="+Inf"}}': "0+15x359",
        f'kubelet_runtime_operations_total{{{kubelet}, operation_type="create_container"}}': "0+3x20 60x339",
        f'kubelet_runtime_operations_errors_total{{{kubelet}, operation_type="create_container"}}': "0+1x6 6x353",
        f"kubelet_certificate_manager_client_ttl_seconds{{{kubelet}}}": "30000000x359",
        f"kubelet_certificate_manager_server_ttl_seconds{{{kubelet}}}": "30000000x359",
        f'apiserver_request_total{{{api}, code="200"}}': "0+300x359",
        f'apiserver_request_total{{{api}, code="503"}}': "0+10x6 60x353",
        f'{duration}_bucket{{{api}, scope="resource", verb="GET", le="1.0"}}': "0+290x359",
        f'{duration}_count{{{api}, scope="resource", verb="GET"}}': "0+300x359",
        f'aggregator_unavailable_apiservice{{{api}, name="v1beta1.metrics.k8s.io"}}': soon,
        f'apiserver_client_certificate_expiration_seconds_bucket{{{api}, le="604800.0"}}': "0x359",
        f'scheduler_schedule_attempts_total{{{api}, result="unschedulable"}}': "0+5x8 40x351",
        f'scheduler_schedule_attempts_total{{{api}, result="scheduled"}}': "0x8 0+1x20 20x331",
        f'scheduler_schedule_attempts_total{{{api}, result="error"}}': "0x359",
        f'workqueue_depth{{{api}, name="job"}}': "30x4 0x355",
        f'coredns_dns_responses_total{{{dns}, rcode="NOERROR"}}': "_x7 0+30x352",
        f'coredns_dns_responses_total{{{dns}, rcode="NXDOMAIN"}}': "_x7 0+60x352",
        f'coredns_dns_responses_total{{{dns}, rcode="SERVFAIL"}}': "_x7 0+30x4 120x348",
        f'coredns_dns_request_duration_seconds_bucket{{{dns}, le="0.512"}}': "_x7 0+89x352",
        f'coredns_dns_request_duration_seconds_bucket{{{dns}, le="+Inf"}}': "_x7 0+89x352",
        f"coredns_panics_total{{{dns}}}": "_x7 0x352",
        f"coredns_reload_failed_total{{{dns}}}": "_x7 0x352",
        f"coredns_forward_healthcheck_broken_total{{{dns}}}": "_x7 0x352",
        f'kube_state_metrics_watch_total{{{own}, resource="*v1.Pod", result="success"}}': "1x359",
    }


def test_a_healthy_cluster_is_quiet(tmp_path: Path) -> None:
    """Proves that in a cluster that has just been made, with what is usual while it starts, nothing fires; and that
    something does where its only node stays away."""
    found = made("k3s")
    files = rule_files(groups(found), runbooks="r", dashboards="d")
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    times = ("2m", "5m", "10m", "15m", "20m", "30m", "45m", "60m", "80m")
    firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
    test: dict[str, Any] = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in _healthy().items()],
        "promql_expr_test": [{"expr": firing, "eval_time": each, "exp_samples": []} for each in times],
    }
    ready = 'condition="Ready"'
    gone = {name: "0x359" if ready in name else values for name, values in _healthy().items()}
    lost = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in ("NodeNotReady", "NodesNotReady")]
    other: dict[str, Any] = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in gone.items()],
        "promql_expr_test": [{"expr": firing, "eval_time": "20m", "exp_samples": lost}],
    }
    asked = {metric for group in groups(found) for alert in group.alerts for metric in _metrics(alert.expr)}
    told = {re.split(r"\{", name)[0] for name in _healthy()}
    document: dict[str, Any] = {"rule_files": sorted(files), "evaluation_interval": "15s", "tests": [test, other]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document), encoding="utf-8")

    done = _promtool(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    # What a healthy cluster has none of.
    assert asked - told <= {
        *("kube_job_failed", "kube_cronjob_next_schedule_time", "kube_cronjob_spec_suspend", "kube_resourcequota"),
        *(metric for metric in asked if metric.startswith("kube_horizontalpodautoscaler_")),
        *("kube_persistentvolume_status_phase", "kube_pod_container_status_last_terminated_reason"),
        *("kubelet_evictions", "apiserver_admission_webhook_rejection_count", "kube_state_metrics_list_total"),
    }


def test_a_rollout_pages_nobody(tmp_path: Path) -> None:
    """Proves that a target of a system is told after a minute, one of the stack's own, which are replaced one after the
    other, after five, and what goes with its node by none of both."""
    found = made("k3s")
    for name, text in rule_files(found.groups, runbooks="r", dashboards="d").items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    of = {
        "shop": 'app="shop", job="shop"',
        "loki": 'app="observability", job="loki"',
        "agent": 'app="observability", job="agent"',
    }
    firing = 'group by (job) (ALERTS{alertname="ServiceDown", alertstate="firing"})'
    told = {"45s": (), "1m": ("shop",), "4m45s": ("shop",), "5m": ("loki", "shop"), "30m": ("loki", "shop")}
    test: dict[str, Any] = {
        "interval": "15s",
        "input_series": [{"series": f"up{{{labels}}}", "values": "0x130"} for labels in of.values()],
        "promql_expr_test": [
            {
                "expr": firing,
                "eval_time": at,
                "exp_samples": [{"labels": f'{{job="{job}"}}', "value": 1} for job in jobs],
            }
            for at, jobs in told.items()
        ],
    }
    (file,) = (path.name for path in tmp_path.iterdir() if "ServiceDown" in path.read_text(encoding="utf-8"))
    document = {"rule_files": [file], "evaluation_interval": "15s", "tests": [test]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document), encoding="utf-8")

    done = _promtool(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def _promtool(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(executable("promtool")), "test", "rules", "test.yml"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _metrics(expr: str) -> set[str]:
    return {each.metric for each in selectors(expr.replace("$threshold", "1")) if each.metric}
