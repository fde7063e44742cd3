"""What a stand-in exposes: everything of its profile, in both text formats, the same each time."""

import math
from collections.abc import Iterable
from typing import cast

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,  # pyright: ignore[reportUnknownVariableType]
)
from prometheus_client.parser import text_string_to_metric_families
from sample_app.impersonation import Impersonation, levels
from sample_app.impersonation.simulation import Counted, spread

from specs import profile
from specs.model import SettingsError
from specs.named_signals import signals
from specs.profile import Kind, Profile
from specs.signal import Unit
from tests.examples.replay import replay, scraped

Series = dict[str, dict[tuple[tuple[str, str], ...], float]]
SIXTH = Profile.model_validate({"owner": "somebody", "services": {"web": {}}})


def _series(text: str) -> Series:
    return _by_name(text_string_to_metric_families(text))


def _by_name(families: Iterable[Metric]) -> Series:
    found: Series = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def _later(system: str, seconds: float = 90, rate: float = 1) -> Impersonation:
    made = Impersonation(system, rate=rate)
    made.advance(seconds)
    return made


@pytest.mark.parametrize("system", profile.known())
def test_every_declared_metric_is_there(system: str) -> None:
    """Proves that each metric of a profile is exposed with each of its labels' example values, histograms with all
    their buckets, and that what moves has moved."""
    made = _later(system)
    found = _series(made.exposition())
    for name, metric in made.profile.metrics.items():
        samples = found[f"{name}_bucket" if metric.kind is Kind.HISTOGRAM else name]
        for label, values in metric.labels.items():
            assert {dict(labels)[label] for labels in samples} == set(values), name
        if metric.kind is Kind.HISTOGRAM:
            assert {float(dict(labels)["le"]) for labels in samples} == {*metric.buckets, math.inf}
            assert sum(found[f"{name}_count"].values()) > 0
        if metric.kind is Kind.COUNTER and metric.healthy:
            assert sum(samples.values()) > 0, name


@pytest.mark.parametrize("system", profile.known())
def test_both_formats_say_the_same(system: str) -> None:
    """Proves that every page parses as classic text and as OpenMetrics, with the same series."""
    made = _later(system)
    for entry in scraped(system, made.profile):
        kind, name = entry.page
        show = made.exposition if kind == "service" else made.exporters
        classic, modern = show(name), show(name, openmetrics=True)
        assert modern.endswith("# EOF\n")
        families = openmetrics_families(modern)  # type: ignore[no-untyped-call]
        assert _series(classic) == _by_name(cast("Iterable[Metric]", families))
        assert _series(classic) == _by_name_of_samples(made, entry.page)


def _by_name_of_samples(made: Impersonation, page: tuple[str, str]) -> Series:
    found: Series = {}
    for name, labels, value in made.samples(page):
        found.setdefault(name, {})[tuple(sorted(labels.items()))] = value
    return found


def test_the_same_calls_give_the_same_text() -> None:
    """Proves that nothing looks at the clock, and that another seed is another run of chance."""
    first, again = _later("roadtrip"), _later("roadtrip")
    assert first.exposition() == again.exposition()
    other = Impersonation("roadtrip", seed=1)
    other.advance(90)
    assert other.exposition() != first.exposition()


def test_time_in_pieces_is_the_same_time() -> None:
    """Proves that counters reach the same, however finely time passes."""
    whole, pieces = _later("wwmaa", 600), Impersonation("wwmaa")
    for _ in range(1200):
        pieces.advance(0.5)
    for name in ("http_requests_total", "cache_hits_total"):
        assert pieces.value(name) == pytest.approx(whole.value(name), rel=0.001)


def test_counters_grow_as_often_as_usual_times_the_rate() -> None:
    """Proves that over a tide of load the mean is the profile's, that --rate multiplies it, and that time itself does
    not pass faster."""
    usual, busy = _later("roadtrip", 970), _later("roadtrip", 970, rate=10)
    assert usual.value("http_requests_total") == pytest.approx(970 * 20, rel=0.01)
    assert busy.value("http_requests_total") == pytest.approx(970 * 200, rel=0.01)
    for made in (usual, busy):
        assert made.value("node_cpu_seconds_total") == pytest.approx(970 * 2)
        assert made.value("process_cpu_seconds_total") == pytest.approx(970 * 0.15)


def test_histograms_have_the_shape_of_durations() -> None:
    """Proves that buckets add up, that half is below the median, and 95 of 100 below twice of it."""
    shares = spread((0.05, 0.1, 0.2), 0.1)
    assert sum(shares) == pytest.approx(1)
    assert sum(shares[:2]) == pytest.approx(0.5)
    assert sum(shares[:3]) == pytest.approx(0.95, abs=0.001)
    found = _series(_later("roadtrip").exposition())
    for labels, count in found["http_request_duration_seconds_count"].items():
        whole = tuple(sorted((*labels, ("le", "+Inf"))))
        assert found["http_request_duration_seconds_bucket"][whole] == count
        mean = found["http_request_duration_seconds_sum"][labels] / count
        assert mean == pytest.approx(0.12 * levels.MEAN, rel=0.05)


def test_observations_are_whole_and_near_their_shares() -> None:
    """Proves that buckets hold whole observations and never lose one, and that a rare one comes when it is due, since
    one too early would be a burnt budget."""
    counted, shares = Counted(), spread((1, 10, 30), 8.0)
    before = [0] * len(shares)
    for step in (0.4, 3, 250, 0.1) * 200:
        counted.total += step
        counted.observe(shares)
        assert sum(counted.buckets) == math.floor(counted.total)
        assert all(now >= then for now, then in zip(counted.buckets, before, strict=True))
        for held, share in zip(counted.buckets, shares, strict=True):
            assert abs(held - counted.total * share) < 2
        before = list(counted.buckets)


def test_failing_drives_only_its_own_metrics() -> None:
    """Proves that everything that the alert is not about stays as it was."""
    well, failing = Impersonation("roadtrip"), Impersonation("roadtrip", fail=["SlowAIService"])
    for made in (well, failing):
        made.advance(60)
    before, after = _series(well.exposition()), _series(failing.exposition())
    assert {name for name in before if before[name] != after[name]} == {
        "ai_request_duration_seconds_bucket",
        "ai_request_duration_seconds_sum",
    }


def test_trouble_comes_and_goes() -> None:
    """Proves that counters never fall when trouble begins or ends, and that levels follow."""
    made = _later("mysmartnotes")
    well = made.value("celery_task_queue_size")
    before = _series(made.exposition())
    made.fail("CeleryQueueBackup", "HighErrorRate")
    made.advance(60)
    assert made.value("celery_task_queue_size") > 200
    made.fail()
    made.advance(60)
    assert made.value("celery_task_queue_size") == pytest.approx(well, abs=1)
    after = _series(made.exposition())
    for labels, value in before["http_requests_total"].items():
        assert after["http_requests_total"][labels] > value
    with pytest.raises(SettingsError, match=r"Nothing: no such alert .accepted: HighErrorRate, "):
        made.fail("Nothing")


def test_a_level_of_an_alert_stays_below_the_next() -> None:
    """Proves that name@severity drives that level alone."""
    found = levels.of(profile.find("wwmaa", None, file="", key=""), ["ZeroDBSlow@warning"])
    slow = max(stream.middle for stream in found.metrics["zerodb_query_duration_seconds"].streams)
    assert 1 < slow * 2 < 5


@pytest.mark.parametrize("system", profile.known())
def test_everything_of_the_named_signals_is_there(system: str) -> None:
    """Proves that each metric that a signal of the system is made of is on one of its pages."""
    made = _later(system)
    names = {name for entry in scraped(system, made.profile) for name, _, _ in made.samples(entry.page)} | {"up"}
    for signal in signals(made.profile).values():
        for metric in signal.metrics():
            assert {metric, f"{metric}_bucket"} & names, f"{signal.title}: {metric}"


def test_a_system_of_three_lines_stands_too() -> None:
    """Proves that a profile without metrics exposes what every HTTP server measures."""
    made = Impersonation("bookshop", profile=SIXTH)
    made.advance(60)
    found = _series(made.exposition())
    statuses = {dict(labels)["status"] for labels in found["http_requests_total"]}
    assert statuses == {"200", "404", "500"}
    assert sum(found["http_request_duration_seconds_count"].values()) == pytest.approx(600, rel=0.05)
    assert levels.drivable(SIXTH) == ()


def test_a_system_without_http_has_none() -> None:
    """Proves that nothing about HTTP is made up for one that serves none."""
    quiet = Profile.model_validate({"owner": "somebody", "services": {"batch": {}}, "http": None})
    made = Impersonation("batch", profile=quiet)
    made.advance(60)
    assert made.exposition() == ""


def test_an_unknown_system_or_page_is_refused() -> None:
    """Proves that the error of a system names those that are known."""
    with pytest.raises(SettingsError, match=r"no profile systems/nothing.yaml .accepted: mysmartnotes, narra-forge, "):
        Impersonation("nothing")
    with pytest.raises(KeyError):
        Impersonation("wwmaa").exporters("postgres")


def test_states_are_whole() -> None:
    """Proves that noise never makes a state, or a thing that is counted, a fraction."""
    made = Impersonation("personal-assistant")
    states = {signal.value for signal in signals(made.profile).values() if signal.unit is Unit.STATE} - {"up"}
    for series, values in replay(made, minutes=20).items():
        if series.partition("{")[0] in states:
            assert set(values.split()) == {"1.0"}, series
