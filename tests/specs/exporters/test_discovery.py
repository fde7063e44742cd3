"""Exporters are found, tested, documented, and do not stand in each other's way."""

import re
from pathlib import Path

import pytest

from specs import exporters
from specs.programs import FLOWER
from specs.stack import build
from tests.specs.support import EVERY_EXPORTER, FILE, ROOT, settings, yaml_file
from tools.documents import whole_stack

PORTS = {
    "blackbox": 9115,
    "cadvisor": 8080,
    "celery": 5555,
    "json": 7979,
    "nginx": 9113,
    "node": 9100,
    "postgres": 9187,
    "redis": 9121,
}
EXPORTERS = exporters.discover()
PAGE = (ROOT / "docs" / "exporters.md").read_text(encoding="utf-8")


def test_every_module_is_an_exporter_of_its_own_name() -> None:
    """Proves that discovery finds each file of the package, in the order of the names, and that key and file agree."""
    files = sorted(file.stem for file in (ROOT / "specs" / "exporters").glob("*.py") if file.stem != "__init__")

    assert list(EXPORTERS) == files


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_exporter_has_its_tests(name: str) -> None:
    """Proves that no exporter comes without a test file of its own name that holds a test."""
    file = Path(__file__).with_name(f"test_{name}.py")

    assert re.search(r"^def test_", file.read_text(encoding="utf-8"), re.MULTILINE) is not None


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_exporter_has_its_row(name: str) -> None:
    """Proves that the page of the exporters has a row with key, summary, image and port, and a chapter with an
    example."""
    (workload, *_) = [found for found in whole_stack().workloads if found.ports[0].number == EXPORTERS[name].port]
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| [`{name}`](#{name}) |")]
    chapter = PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]

    assert len(rows) == 1
    assert f"`{workload.program.image}`" in rows[0]
    assert f"| {EXPORTERS[name].port}" in rows[0]
    assert f"```yaml\nexporters:\n  {name}:" in chapter


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_alert_is_named_in_the_chapter(name: str) -> None:
    """Proves that the page names each alert that an exporter brings along, and each as a runbook page."""
    chapter = PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    alerts = [alert.name for group in whole_stack().groups if group.name == name for alert in group.alerts]

    assert alerts != []
    assert [alert for alert in alerts if f"`{alert}`" not in chapter] == []
    assert [alert for alert in alerts if not (ROOT / "docs" / "runbooks" / f"{alert}.md").exists()] == []


def test_no_two_exporters_share_a_port() -> None:
    """Proves that the usual ports are those that people know, and that each is used once."""
    assert {name: exporter.port for name, exporter in EXPORTERS.items()} == PORTS
    assert len(set(PORTS.values())) == len(PORTS)


def test_all_exporters_run_side_by_side() -> None:
    """Proves that a stack takes all exporters at once, scraping each, and that an app's own name reaches its
    targets."""
    stack = whole_stack()
    apps = {
        job["job_name"]: {config["labels"]["app"] for config in job["static_configs"]}
        for job in yaml_file(stack, "prometheus", "prometheus.yml")["scrape_configs"]
        if "static_configs" in job
    }

    scraped = {
        "celery": ["flower-jobs"],
        "json": ["json-exporter"],
        "nginx": ["nginx-exporter-front"],
        "postgres": ["postgres-exporter-main"],
        "redis": ["redis-exporter-cache"],
    }
    assert {name: apps[name] for name in scraped} == {name: {"shop"} for name in scraped}
    assert stack.names >= {name for names in scraped.values() for name in names}


def test_program_that_is_missing_leaves_its_exporter_out() -> None:
    """Proves that an exporter whose program cannot be had is left out with its jobs and alerts, in one line that says
    so."""
    every = settings(exporters=EVERY_EXPORTER)
    whole, left = build(every, file=FILE), build(every, file=FILE, absent=["json_exporter", FLOWER.binary])

    assert left.left_out == (
        "celery exporter: left out, since there is no celery on PATH",
        "json exporter: left out, since there is no json_exporter on PATH",
    )
    assert whole.names - left.names == {"flower-jobs", "json-exporter"}
    assert {job.name for job in whole.jobs} - {job.name for job in left.jobs} == {"celery", "json", "json-exporter"}
    assert {group.name for group in whole.groups} - {group.name for group in left.groups} == {"celery", "json"}
