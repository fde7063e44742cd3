"""Examples of the alerts about GlitchTip."""

from tests.rules.examples import (
    CRITICAL,
    HAIR,
    NO_LIMIT,
    WARNING,
    Firing,
    counter,
    gauge,
    labels,
    series,
    tried,
    without,
)

WEB = labels("glitchtip")
WORKER = labels("glitchtip-worker")
QUEUE = WORKER | {"queue": "ingest"}
TASK = WORKER | {"task_name": "apps.event_ingest.tasks.ingest_event"}
DONE = TASK | {"queue": "ingest", "status": "success"}
FAILED = TASK | {"queue": "ingest", "status": "failure"}

EXAMPLES = (
    *tried(
        "GlitchTipRequestsFailing",
        {
            series("django_http_responses_total_by_status_total", WEB, status="503"): counter(1, 0.99, 0),
            series("django_http_responses_total_by_status_total", WEB, status="200"): counter(4, 9, 9),
        },
        Firing(
            labels=without(WEB, "job") | WARNING,
            summary="GlitchTip answers with errors",
            description="20% of the answers of its pages and API are server errors (limit 0.1).",
        ),
        wait="10m",
        window="5m",
        border=HAIR,
    ),
    *tried(
        "GlitchTipEventsWaiting",
        {series("vtasks_queue_depth", QUEUE): gauge(1500, 1000, 3)},
        Firing(
            labels=without(QUEUE, "job") | WARNING,
            summary="GlitchTip does not keep up with what it is sent",
            description="1500 tasks wait in the queue ingest (limit 1000).",
        ),
        wait="10m",
    ),
    *tried(
        "GlitchTipTasksFailing",
        {
            series("vtasks_tasks_processed_total", FAILED): counter(1, 0.083, 0),
            series("vtasks_tasks_processed_total", DONE): counter(10),
        },
        Firing(
            labels=without(TASK, "job") | WARNING,
            summary="GlitchTip fails to process apps.event_ingest.tasks.ingest_event",
            description="60 of these tasks failed in 15 minutes (limit 5): what they were about is lost.",
        ),
        wait="5m",
        window="15m",
        border=HAIR,
    ),
    *tried(
        "GlitchTipWorkerStuck",
        {series("vtasks_tasks_processed_total", DONE): counter(0, 1, 1)},
        Firing(
            labels=without(WORKER, "job") | CRITICAL,
            summary="GlitchTip's worker does nothing",
            description="It processed 0 tasks a second for 15 minutes: no error becomes an issue, and nobody is told.",
        ),
        wait="5m",
        window="15m",
        border=NO_LIMIT,
    ),
)
