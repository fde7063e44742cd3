"""Alerts about whatever is an OpenTelemetry Collector: it loses data, refuses data, or is about to."""

from collections.abc import Sequence

from specs.monitoring import Alert, RuleGroup
from specs.settings import Severity

_SIGNALS = ("spans", "log_records", "metric_points")


def _of(services: Sequence[str]) -> str:
    """The matcher of the parts that are collectors."""
    return f'service="{services[0]}"' if len(services) == 1 else f'service=~"{"|".join(services)}"'


def _rate(metric: str, of: str) -> str:
    """Rate of one of the collector's own counters, which has a suffix or not, and appears only with its first count.

    The label `what` keeps series of several counters apart that are alike otherwise; Prometheus refuses a sum of
    twins, and what `or` finds twice it drops.
    """
    return f'label_replace(rate({{__name__=~"{metric}(_total)?", {of}}}[5m]), "what", "{metric}", "", "")'


def group(name: str, services: Sequence[str], *, lines: float, window: str) -> RuleGroup:
    """The alerts about the parts `services`, as the group `name`. `lines` are how many log lines a second are a flood for
    one of them, over `window`."""
    of = _of(services)
    lost = "\n  or ".join(
        _rate(f"otelcol_exporter_{how}_failed_{what}", of) for how in ("send", "enqueue") for what in _SIGNALS
    )
    accepted = f'rate({{__name__=~"otelcol_receiver_accepted_log_records(_total)?", {of}}}[{window}])'
    refused = "\n  or ".join(_rate(f"otelcol_receiver_refused_{what}", of) for what in _SIGNALS)
    return RuleGroup(
        name=name,
        alerts=(
            Alert(
                name="CollectorDropsData",
                expr=f"sum by (app, environment, service, instance, exporter) (\n  {lost}\n) > $threshold",
                threshold=0,
                for_="5m",
                severity=Severity.CRITICAL,
                summary="The collector cannot deliver by {{ $labels.exporter }}",
                description="{{ $value | humanize }} items a second are lost on the way out by {{ $labels.exporter }}.",
                action="See whether what stands behind that exporter runs and answers; the collector's log has the error.",
            ),
            Alert(
                name="CollectorRefusesData",
                expr=f"sum by (app, environment, service, instance, receiver) (\n  {refused}\n) > $threshold",
                threshold=0,
                for_="5m",
                severity=Severity.WARNING,
                summary="The collector refuses what applications send by {{ $labels.receiver }}",
                description="{{ $value | humanize }} items a second are refused by {{ $labels.receiver }}.",
                action="The collector is over its memory limit, or an exporter holds everything up: see CollectorQueueFilling, then give it more memory.",
            ),
            Alert(
                name="CollectorQueueFilling",
                expr=f"""
max by (app, environment, service, instance, exporter) (otelcol_exporter_queue_size{{{of}}})
/ max by (app, environment, service, instance, exporter) (otelcol_exporter_queue_capacity{{{of}}})
> $threshold""",
                threshold=0.8,
                for_="5m",
                severity=Severity.WARNING,
                summary="The collector's queue to {{ $labels.exporter }} fills up",
                description="{{ $value | humanizePercentage }} of the queue is taken; when it is full, data is lost.",
                action="What stands behind that exporter is too slow or away. Mend that before the queue is full.",
            ),
            Alert(
                name="CollectorLogFlood",
                expr=f"sum by (app, environment, service, instance, receiver) (\n  {accepted}\n) > $threshold",
                threshold=lines,
                for_="1m",
                severity=Severity.WARNING,
                summary="Very many log lines come in by {{ $labels.receiver }}",
                description="{{ $value | humanize }} lines a second are taken in by {{ $labels.instance }} (limit $threshold). They wait on disk for Loki, and when there is no more room, senders are refused or wait.",
                action="See who writes so much: logcli volume '{app=~\".+\"}' --since=15m --targetLabels=app,service_name. Mend that program, or raise its log level; alerts on log lines come late until then.",
            ),
        ),
    )
