"""What one target may answer a scrape with, so that no application takes everybody's Prometheus down."""

from typing import Any

from specs.load import MIB, demand
from specs.model import size_bytes
from specs.monitoring import Alert, RuleGroup
from specs.part import Context
from specs.settings import Severity

OVER = "TargetOverLimit"
"""The alert that names a target whose scrapes are refused."""
_LEAST = 50_000
"""Samples of the largest exporters of one machine, several times over."""
_SAMPLE_BYTES = 512
"""Of a line of exposition, its share of the comments included; cAdvisor's are the longest, with about 400."""


def samples(context: Context) -> int:
    """Most samples of one answer: as the stack file says, else half of the series that a Prometheus is sized for."""
    asked = context.settings.scrape_limits.samples
    return asked or max(_LEAST, int(demand(context).series / context.scale.shards / 2))


def body(context: Context) -> int:
    """Most bytes of one answer, unpacked."""
    asked = context.settings.scrape_limits.body
    return samples(context) * _SAMPLE_BYTES if asked is None else size_bytes(asked)


def spec(context: Context) -> dict[str, Any]:
    """The limits, as they stand in the section `global` of `prometheus.yml`: they hold for every job."""
    limits = context.settings.scrape_limits
    return {
        "sample_limit": samples(context),
        "body_size_limit": f"{-(-body(context) // MIB)}MB",
        "label_limit": limits.labels,
        "label_value_length_limit": limits.label_length,
        # Of each target: its limit, and how many bytes it answered with.
        "extra_scrape_metrics": True,
    }


GROUP = RuleGroup(
    name="scrape-limits",
    alerts=(
        Alert(
            name=OVER,
            # An answer that is too long is not read to its end: -1 bytes, and no samples.
            expr="scrape_samples_post_metric_relabeling > (scrape_sample_limit > 0)\nor scrape_body_size_bytes == -1",
            for_="1m",
            severity=Severity.WARNING,
            summary="{{ $labels.job }} at {{ $labels.instance }} has more series than one target may have",
            description=(
                "It answers with {{ if lt $value 0.0 }}more bytes than it may{{ else }}{{ $value | humanize }} series{{ end }},"
                " so every scrape of it is refused and it counts as down; other targets are not concerned."
            ),
            action="Find the label with very many values (a user, a URL, an id) on its page of metrics, and take it out: it belongs into a log line or a trace. A target that is meant to be so large: raise scrape_limits in the stack file.",
        ),
        Alert(
            name="TargetSeriesChurning",
            # The first scrape after a start counts all series as new.
            expr="sum_over_time(scrape_series_added[1h]) - scrape_samples_post_metric_relabeling > $threshold",
            threshold=100_000,
            for_="5m",
            severity=Severity.WARNING,
            summary="{{ $labels.job }} at {{ $labels.instance }} makes new series all the time",
            description="It brought {{ $value | humanize }} new series within an hour, beside as many as it has (limit $threshold); each stays in memory for two hours or more, though it is told but once.",
            action="Look for a label whose values never come back: a request, a time, a session. Scrapes that are refused for their size cost memory the same way: mend TargetOverLimit soon.",
        ),
    ),
)
"""Alerts about targets with too many series."""
