"""JSON pages, as json_exporter reads them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import EACH, board, fill, generic
from dashboards.limits import Limits
from dashboards.panels import graph, lights, state

FOLDER = "exporters"
_JOB = 'job="json"'
_PAGES = f"{_JOB}, {EACH}"
_NAME = "{{app}} {{instance}}"


def dashboard(limits: Limits) -> Dashboard:
    """Can the pages be read, how long does it take, and how much is in them."""
    onto = board("JSON Pages", description="Pages of JSON that are turned into metrics.", tags=["exporter", "probes"])
    return fill(
        generic(onto, "up", _JOB),
        [
            lights("Status", description="Pages that can be read now.", queries=[(f"up{{{_PAGES}}}", _NAME)]),
            state("Pages", description="Since when a page can be read or not.", queries=[(f"up{{{_PAGES}}}", _NAME)]),
            graph(
                "Reading Time",
                description="How long it takes to read a page.",
                unit="s",
                queries=[(f"scrape_duration_seconds{{{_PAGES}}}", _NAME)],
                limits=limits.of("JsonPageSlow"),
            ),
            graph(
                "Metrics Found",
                description="Numbers that were found in a page: fewer when its shape changes.",
                unit="short",
                queries=[(f"scrape_samples_post_metric_relabeling{{{_PAGES}}}", _NAME)],
            ),
            graph(
                "Values",
                description="Every number of the chosen pages.",
                unit="short",
                queries=[
                    (
                        f'{{{_PAGES}, __name__!~"up|scrape_.*|ALERTS.*|.*:.*"}}',
                        "{{__name__}} {{instance}}",
                    )
                ],
            ),
        ],
    )
