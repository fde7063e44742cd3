"""What made stack files and profiles have found: each is refused in a clear line, or is as good as any other."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from pydantic import BaseModel

from loadtests.journeys import Step
from specs.exporters import discover
from specs.model import PATTERNS, SettingsError, parse
from specs.profile import Profile, read
from specs.settings import KEY, Settings, in_order, read_yaml
from specs.stack import build
from specs.system import SystemSettings
from tests.specs.support import BASE, EVERY_RECEIVER, FILE, complaint, stack

DURATIONS = "(accepted: a number with ms, s, m, h, d, w or y, like 15s, 1h30m or 30d)"
NAMES = "(accepted: small letters, digits and dashes, at most 42)"
TAGS = "(accepted: letters, digits, _ . + and -, like v3.14.0)"
FILES = "(accepted: an absolute path, which may have * and ?, without $)"
SIZES = "(accepted: a number with Mi, Gi or Ti, at least 1Mi, like 20Gi)"
ZONES = "(accepted: like Europe/Berlin or UTC)"
LABELS = "text, with {{ $labels.x }} for a label, {{ $value | humanize }} for the value"
BRACES = f"that are no label or value (accepted: {LABELS})"
URLS = "(accepted: http://host/… or https://host/…)"
DOCKER: Mapping[str, Any] = {"runtime": "docker", "alerting": EVERY_RECEIVER}


def _log(path: str) -> dict[str, Any]:
    return {"log_files": [{"name": "shop", "app": "shop", "include": [path]}]}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"environment": "a\nb"}, f'environment: "a\\nb" is not a name {NAMES}'),
        ({"cluster": "\x1b[31m"}, f'cluster: "\\x1b[31m" is not a name {NAMES}'),
        ({"scrape_interval": "٣s"}, f'scrape_interval: "٣s" is not a duration {DURATIONS}'),
        ({"scrape_interval": "999y"}, f'scrape_interval: "999y" is not a duration {DURATIONS}'),
        ({"retention": {"metrics_size": "99999999Ti"}}, f'retention.metrics_size: "99999999Ti" is not a size {SIZES}'),
        ({**DOCKER, "versions": {"loki": "3\n4"}}, f'versions.loki: "3\\n4" is no tag of an image {TAGS}'),
        (_log("var/log/x"), f'log_files[0].include[0]: "var/log/x" is not a file {FILES}'),
        (_log("/var/${HOME}"), f'log_files[0].include[0]: "/var/${{HOME}}" is not a file {FILES}'),
        ({"links": {"runbooks": "http://%zz/"}}, f'links.runbooks: "http://%zz/" is not a URL {URLS}'),
        ({"links": {"runbooks": "http://a/{{b"}}, f'links.runbooks: "http://a/{{{{b" is not a URL {URLS}'),
        (
            {"traces": {"username": "a"}},
            "traces.password: both or neither of username and password (accepted: password as well)",
        ),
        ({"traces": {"servers": ["a:1"]}}, "traces.servers: not with badger (accepted: another store, or no servers)"),
        (
            {"traces": {"store": "opensearch", "servers": ["https://u:hunter2@host:9200"]}},
            "traces.servers: a server with a user or password (accepted: URLs, and username)",
        ),
        (
            {"alerting": {"grouping": {"by": ["a b"]}}},
            'alerting.grouping.by[0]: "a b" is not accepted here (accepted: letters, digits and _, no digit first)',
        ),
        (
            {"alerting": {"mute_times": {"nights": [{"location": "Nowhere/Land"}]}}},
            'alerting.mute_times.nights[0].location: "Nowhere/Land" is no time zone ' + ZONES,
        ),
        (
            {"port_offset": 10**30},
            "port_offset: 1000000000000000000000000000000 is out of bounds (accepted: at most 40000)",
        ),
    ],
)
def test_settings(changes: dict[str, Any], line: str) -> None:
    """Proves that what no program would take, or would take for something else, is refused here, in one line."""
    assert complaint(**changes) == f"{FILE}: {KEY}.{line}"


@pytest.mark.parametrize(
    "changes",
    [
        {"exporters": {"redis": {"targets": [{"address": "redis://:hunter2@db:6379"}]}}},
        {"links": {"runbooks": "https://u:hunter2/x@host"}},
        {"alerting": {"receivers": {"mail": {"email": {"smarthost": "u:hunter2@mail:25"}}}}},
        {"runtime": "docker", "docker": {"registry": "bob:hunter2@reg.example.com"}},
    ],
)
def test_no_error_repeats_a_password(changes: dict[str, Any]) -> None:
    """Proves that a password that stands where none may is not shown on a terminal or in a log."""
    assert "hunter2" not in complaint(**changes)


@pytest.mark.parametrize(
    ("scalar", "words"),
    [
        *((text, "a value that is no date or number") for text in ("2026-02-30", "0x_", "!!int a", "!!bool maybe")),
        ("9" * 5000, "a value that is no date or number"),
        ("[" * 5000, "nested too deep"),
        ('"\\ud83d"', "half of a character"),
    ],
)
def test_yaml_that_cannot_be_read(scalar: str, words: str, tmp_path: Path) -> None:
    """Proves that what looks like a value and is none is a line, and no traceback."""
    file = tmp_path / "Pulumi.made.yaml"
    file.write_text(f"config:\n  a: {scalar}\n", encoding="utf-8")

    with pytest.raises(SettingsError, match=words) as refused:
        read_yaml(file)

    assert str(refused.value).startswith("Pulumi.made.yaml:")
    assert "\n" not in str(refused.value)


def test_characters_in_halves(tmp_path: Path) -> None:
    """Proves that a character as JSON's escapes write it is that character."""
    file = tmp_path / "Pulumi.made.yaml"
    file.write_text(json.dumps({"title": "on fire 🔥"}), encoding="utf-8")

    assert read_yaml(file) == {"title": "on fire 🔥"}


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"environment": "a\ud83d"}, "environment"),
        ({"runtime": "\udd25"}, "runtime"),
        ({"extra_labels": {"a": ["b", "\ud83d"]}}, "extra_labels.a[1]"),
        ({"extra_labels": {"\ud83d": "a"}}, 'extra_labels."\\ud83d"'),
    ],
)
def test_halves_of_characters(changes: dict[str, Any], where: str) -> None:
    """Proves that half a character, which JSON can hold and no file can, is refused where it stands."""
    line = f"{FILE}: {KEY}.{where}: half a character of UTF-16 (accepted: whole ones)"

    assert complaint(**changes) == line


@pytest.mark.parametrize(("runtime", "own"), [("process", "stack"), ("kubernetes", "pods")])
def test_log_files_do_not_take_the_place_of_others(runtime: str, own: str) -> None:
    """Proves that a name that the stack's own log lines have is refused: nobody would read them any more."""
    files = [{"name": own, "app": "shop", "include": ["/var/log/x"]}]
    told = {"alerting": EVERY_RECEIVER} if runtime == "kubernetes" else {}

    assert f'log_files: "{own}" is the name of other log lines already' in complaint(
        runtime=runtime, log_files=files, **told
    )


def test_order_of_keys_does_not_matter() -> None:
    """Proves that the same settings in another order are the same files: a plugin gets its keys in any."""
    several: dict[str, dict[str, Any]] = {
        "systems": {"wwmaa": {}, "roadtrip": {}},
        "exporters": {"node": {}, "blackbox": {}},
    }
    given: dict[str, Any] = {**BASE, **several}
    shuffled: dict[str, Any] = {
        **{key: dict(reversed(value.items())) for key, value in reversed(several.items())},
        **BASE,
    }
    made = [build(parse(Settings, in_order(each), file=FILE, key=KEY), file=FILE) for each in (given, shuffled)]

    assert list(made[0].workload("prometheus").files.items()) == list(made[1].workload("prometheus").files.items())
    assert made[0].workload("alertmanager").files == made[1].workload("alertmanager").files


@pytest.mark.parametrize("profile", ["a\x00b", "a" * 5000], ids=["with a nought", "endless"])
def test_no_path_at_all(profile: str) -> None:
    """Proves that a path that no file can have is a file that is not there."""
    said = complaint(systems={"made": {"profile": profile}})

    assert said.startswith(f"{FILE}: {KEY}.systems.made.profile: no file a")
    assert said.isprintable()


def test_a_long_value_is_cut() -> None:
    """Proves that an error does not repeat what is endless."""
    assert len(complaint(environment="a" * 10_000)) < 2_500


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Path]:
    """Where a profile is written."""
    yield tmp_path / "made.yaml"
    read.cache_clear()


def _refused(file: Path, profile: Mapping[str, Any]) -> str:
    file.write_text(yaml.safe_dump({"owner": "us", "services": {"web": {}}, **profile}), encoding="utf-8")
    read.cache_clear()
    try:
        build(parse(Settings, {**BASE, "systems": {"made": {"profile": str(file)}}}, file=FILE, key=KEY), file=FILE)
    except SettingsError as refused:
        return str(refused)
    return ""


def _signal(**more: object) -> dict[str, Any]:
    return {
        "metrics": {"m_total": {"kind": "counter", "labels": {"a": ["b"]}}},
        "signals": {"x": {"title": "X", "rate": "m_total", **more}},
    }


@pytest.mark.parametrize(
    ("profile", "line"),
    [
        (
            _signal(where={"a": "(b"}),
            (
                'signals.x.where.a: "(b" is no regular expression: missing ), unterminated subpattern at position 0'
                " (accepted: like 5..)"
            ),
        ),
        (
            _signal(title="{{ .X"),
            f'signals.x.title: "{{{{ .X" has braces {BRACES}',
        ),
        (_signal(title="on {{ hostname }}"), f'signals.x.title: "on {{{{ hostname }}}}" has braces {BRACES}'),
        (_signal(title="}} {{"), f'signals.x.title: "}}}} {{{{" has braces {BRACES}'),
        (
            _signal(where={"a": "(?!c).*"}),
            (
                'signals.x.where.a: "(?!c).*" is no regular expression of Prometheus, which looks neither ahead nor'
                " behind (accepted: like 5..)"
            ),
        ),
        (
            {"services": {"web": {"metrics": "/metrics?format=prometheus"}}},
            (
                'services.web.metrics: "/metrics?format=prometheus" is not accepted here (accepted: a path that begins'
                " with /, of the letters that paths of URLs have)"
            ),
        ),
        (
            {"dashboards": [{"title": "A", "uid": "home", "panels": [{"title": "x", "kind": "alerts"}]}]},
            "dashboards: home is the uid of observability/home.json as well (accepted: another uid)",
        ),
        (
            {"probes": {"page": {"service": "web", "path": "/a{{b"}}},
            (
                'probes.page.path: "/a{{b" is not accepted here'
                " (accepted: a path that begins with /, of the letters that URLs have)"
            ),
        ),
    ],
)
def test_profiles(profile: dict[str, Any], line: str, made: Path) -> None:
    """Proves the same of profiles."""
    assert _refused(made, profile) == f"made.yaml: {line}"


def test_names_that_are_long_together(made: Path) -> None:
    """Proves that log lines of a service are followed however long its name and the system's are together."""
    word = "a" * 60
    made.write_text(
        yaml.safe_dump({"owner": "us", "services": {"web": {}}, "logs": [{"service": word, "path": "/var/log/x"}]}),
        encoding="utf-8",
    )
    found = stack(systems={"made": {"profile": str(made)}}).workload("collector").files["collector.yml"]

    assert f"service.name: {word}" in found or f"value: {word}" in found


def _patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        here = cast("dict[str, object]", schema)
        if here.get("type") == "str" and here.get("pattern"):
            yield str(here["pattern"])
        for value in here.values():
            yield from _patterns(value)
    elif isinstance(schema, list | tuple):
        for value in cast("Sequence[object]", schema):
            yield from _patterns(value)


def test_no_error_shows_a_pattern() -> None:
    """Proves that each pattern of the models stands in an error as words, or lists its values itself."""
    of_exporters = (exporter.settings for exporter in discover().values())
    models: tuple[type[BaseModel], ...] = (Settings, Profile, SystemSettings, Step, *of_exporters)
    found = {pattern for model in models for pattern in _patterns(model.__pydantic_core_schema__)}

    assert {pattern for pattern in found if not pattern.startswith("^(disable|")} == set(PATTERNS)
