"""Celery workers and tasks, as flower sees them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import EACH, board, fill, generic
from dashboards.limits import Limits
from dashboards.panels import Column, graph, number, state, table_of
from specs.named_signals import BY_EXPORTER

FOLDER = "exporters"
_SIGNALS = BY_EXPORTER["celery"]
_RATE = "[$__rate_interval]"
_ENDED = "task-succeeded|task-failed"


def _events(kinds: str, by: str, window: str = _RATE) -> str:
    return f'sum by ({by}) (rate(flower_events_total{{type=~"{kinds}", {EACH}}}{window}))'


def dashboard(limits: Limits) -> Dashboard:
    """Are workers there, what do they do, what fails, what waits."""
    workers = _SIGNALS["celery_workers"]
    failed = _events("task-failed", "app, task", "[5m]")
    onto = board("Celery", description="Celery workers and their tasks.", tags=["exporter", "tasks"])
    return fill(
        generic(onto, "up", 'service="celery"'),
        [
            number(
                "Workers",
                description="Workers that send their heartbeat.",
                unit="short",
                expr=f"sum(flower_worker_online{{{EACH}}})",
            ),
            number(
                "Tasks a Minute",
                description="Tasks that ended, well or not.",
                unit="suffix:/min",
                expr=f'60 * sum(rate(flower_events_total{{type=~"{_ENDED}", {EACH}}}[5m]))',
            ),
            number(
                "At Work",
                description="Tasks that workers carry out now.",
                unit="short",
                expr=f"sum(flower_worker_number_of_currently_executing_tasks{{{EACH}}})",
            ),
            number(
                "Waiting",
                description="Tasks that workers hold and have not begun.",
                unit="short",
                expr=f"sum(flower_worker_prefetched_tasks{{{EACH}}})",
            ),
            state(
                workers.title,
                description=workers.description,
                queries=[(workers.expr(EACH, keep=("app",)), "{{app}} {{worker}}")],
            ),
            graph(
                "Tasks by Outcome",
                description="What becomes of tasks.",
                unit="suffix:/s",
                queries=[(_events("task-.*", "type"), "{{type}}")],
            ),
            graph(
                "Tasks by Name",
                description="Tasks that ended, well or not.",
                unit="suffix:/s",
                queries=[(_events(_ENDED, "app, task"), "{{app}} {{task}}")],
            ),
            graph(
                "Failed Tasks",
                description="Share of the runs of a task that end in an exception.",
                unit="percentunit",
                queries=[
                    (
                        (
                            f"({_events('task-failed', 'app, task')} or 0 * {_events(_ENDED, 'app, task')})"
                            f" / ({_events(_ENDED, 'app, task')} > 0)"
                        ),
                        "{{app}} {{task}}",
                    )
                ],
                limits=limits.of("CeleryTasksFailing"),
            ),
            graph(
                "Task Runtime (p95)",
                description="95% of the runs of a task take no longer.",
                unit="s",
                queries=[
                    (
                        f"histogram_quantile(0.95, sum by (app, task, le) (rate(flower_task_runtime_seconds_bucket{{{EACH}}}{_RATE})))",
                        "{{app}} {{task}}",
                    )
                ],
                limits=limits.of("CeleryTasksSlow"),
            ),
            graph(
                "Wait for a Worker",
                description="How long a task was with a worker before it began.",
                unit="s",
                queries=[(f"max by (app, task) (flower_task_prefetch_time_seconds{{{EACH}}})", "{{app}} {{task}}")],
                limits=limits.of("CeleryTasksWaiting"),
            ),
            graph(
                "Tasks Waiting at Workers",
                description="Tasks that a worker holds and has not begun.",
                unit="short",
                queries=[(f"sum by (app, worker) (flower_worker_prefetched_tasks{{{EACH}}})", "{{app}} {{worker}}")],
                limits=limits.of("CeleryTasksQueued"),
            ),
            graph(
                "More Come than End",
                description="Tasks that arrive, less those that end: above nought the work piles up.",
                unit="suffix:/s",
                queries=[
                    (
                        (
                            f"{_events('task-received', 'app', '[30m]')}"
                            f" - {_events(_ENDED + '|task-retried|task-revoked|task-rejected', 'app', '[30m]')}"
                        ),
                        "{{app}}",
                    )
                ],
                limits=limits.of("CeleryQueueGrowing"),
            ),
            table_of(
                "Tasks",
                description="Every task that ended within five minutes.",
                columns=[
                    Column(title="Runs a second", expr=_events(_ENDED, "app, task", "[5m]"), unit="suffix:/s"),
                    Column(
                        title="Failed a second",
                        expr=f"{failed} or 0 * {_events(_ENDED, 'app, task', '[5m]')}",
                        unit="suffix:/s",
                    ),
                    Column(
                        title="Mean runtime",
                        expr=(
                            f"sum by (app, task) (rate(flower_task_runtime_seconds_sum{{{EACH}}}[5m]))"
                            f" / (sum by (app, task) (rate(flower_task_runtime_seconds_count{{{EACH}}}[5m])) > 0)"
                        ),
                        unit="s",
                    ),
                ],
                labels=("app", "task"),
                sort_by="Runs a second",
            ),
        ],
    )
