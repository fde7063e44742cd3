"""The scale benchmark measures what it says: the command's own memory, growth without what every render costs, and
rules that have what they ask for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from processes.place import executable
from specs import objectives
from specs.model import parse
from specs.settings import KEY, Settings
from specs.stack import Stack, build
from tools import bench_scale, paths
from tools.bench import Part
from tools.bench_report import BenchError, Measured, Report, write_document
from tools.scratch import Scratch


def stack(count: int) -> Stack:
    """The stack that watches so many systems."""
    return build(parse(Settings, bench_scale.settings(count), file="bench", key=KEY), file="bench")


def test_growth_leaves_out_what_every_render_costs() -> None:
    """Proves that a cost with a fixed part grows once as fast, and a quadratic one as much faster as it does."""
    assert bench_scale.growth({5: 7 + 5, 50: 7 + 50, 500: 7 + 500}) == pytest.approx(1)
    assert bench_scale.growth({5: 5**2, 50: 50**2, 500: 500**2}) == pytest.approx(550 / 55)


def test_every_system_is_watched_at_its_own_addresses() -> None:
    """Proves that the many systems are scraped, probed and have rules, each by its own name."""
    made = stack(3)
    targets = {(target.labels["app"], target.address) for job in made.jobs for target in job.targets}

    assert [system.name for system in made.systems] == ["s0", "s1", "s2"]
    for index in range(3):
        addresses = {f"h{index}:8000", f"h{index}:9121", f"http://h{index}:8000/health"}
        assert {address for app, address in targets if app == f"s{index}"} == addresses
    assert {f"rules/s{index}.yml" for index in range(3)} <= set(made.workload("prometheus").files)


def test_a_meter_counts_the_command_alone(tmp_path: Path) -> None:
    """Proves that the peak is the command's own, however much memory the process has that asks."""
    scratch = Scratch(project=tmp_path, name="bench", offset=0)
    ballast = bytearray(b"x") * (400 * 2**20)

    little = bench_scale.metered([sys.executable, "-c", "pass"], scratch)
    much = bench_scale.metered([sys.executable, "-c", "bytearray(b'x') * (200 * 2**20)"], scratch)

    assert len(ballast) == 400 * 2**20
    assert little.peak < 100
    assert 200 < much.peak < 300
    assert 0 < much.cpu < much.seconds + 0.5


def test_a_command_that_fails_is_named_with_what_it_said(tmp_path: Path) -> None:
    """Proves that a render that fails gives no figure but its error."""
    scratch = Scratch(project=tmp_path, name="bench", offset=0)

    with pytest.raises(BenchError, match=r"sys\.exit.*: no such thing$"):
        bench_scale.metered([sys.executable, "-c", "import sys; sys.exit('no such thing')"], scratch)


MOMENTS = range(1_800_000_000, 1_800_000_060, 15)


def test_the_month_continues_what_the_rules_record(tmp_path: Path) -> None:
    """Proves that promtool takes the month's text, and that its series are those that the recording rules write."""
    made = stack(2)
    text = "".join(bench_scale.past(made.systems, "bench", MOMENTS, MOMENTS))
    (tmp_path / "month.txt").write_text(text, encoding="utf-8")
    # A database without one cannot be read.
    (tmp_path / "data" / "wal").mkdir(parents=True)

    subprocess.run(
        [str(executable("promtool")), "tsdb", "create-blocks-from", "openmetrics", "month.txt", "data"],
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    dumped = subprocess.run(
        [str(executable("promtool")), "tsdb", "dump", "data"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout

    found = [
        dict(re.findall(r'(\w+)="([^"]*)"', line.partition("}")[0])) for line in dumped.splitlines() if line[0] == "{"
    ]
    records = [
        {"__name__": rule.record, "app": group.file, "environment": "bench", **rule.labels}
        for group in made.groups
        for rule in group.records
        if rule.record in objectives.AVERAGED
    ]
    records += [{**record, "__name__": objectives.AVERAGED[record["__name__"]]} for record in records]
    # Events and bad events, each as they are and averaged.
    assert len(records) == 4 * sum(len(system.profile.objectives) for system in made.systems) > 0
    assert sorted(map(repr, map(sorted, (one.items() for one in found)))) == sorted(
        repr(sorted(one.items())) for one in records for _ in range(4)
    )


def test_the_stand_in_answers_for_its_system_and_exporters() -> None:
    """Proves that each page has the series that the rules of its kind ask for, and that they grow."""
    stand_in = bench_scale.StandIn()

    assert re.search(r"^http_requests_total\{.+\} ", stand_in.page(), re.MULTILINE)
    assert re.search(r"^redis_up 1\.0$", stand_in.page("redis"), re.MULTILINE)
    assert re.search(r"^probe_success\{.+\} 1\.0$", stand_in.page("blackbox"), re.MULTILINE)
    total = re.compile(r"^cache_hits_total (\S+)$", re.MULTILINE)
    first, second = (float(total.findall(stand_in.page())[0]) for _ in range(2))
    assert second > first


def test_figures_are_shown_in_their_unit() -> None:
    """Proves how seconds, factors, memory and counts are written."""

    def shown(value: float, unit: str = "s") -> str:
        return Measured(what="it", values=(value,), unit=unit).shown(value)

    assert [shown(0.023), shown(0.4), shown(15.36)] == ["23 ms", "0.40 s", "15.4 s"]
    assert shown(1.1, "times") == "1.10 times"
    assert [shown(164.6, "MB"), shown(1165, "rules")] == ["165 MB", "1165 rules"]


def test_a_report_of_scale_alone_has_no_table_of_memory() -> None:
    """Proves that a part that was not measured is not shown, and that a missed target is."""
    missed = Measured(what="a cycle", values=(3.4,), target=3)
    report = Report(machine="here", date="2026-01-02", measured=(missed,), memory=())

    assert report.markdown().splitlines()[-1] == "| a cycle | 3.40 s |  | < 3 s | **no** |"
    assert len(report.tables()) == 1


def test_a_part_is_written_to_its_own_table(tmp_path: Path) -> None:
    """Proves that the figures of a table are of one machine and day: the other tables stay as they are."""
    page = tmp_path / "benchmarks.md"
    tables = "".join(f"<!-- bench {part}: begin -->\nold\n<!-- bench {part}: end -->\n" for part in ("stack", "load"))
    page.write_text(tables, encoding="utf-8")
    found = Report(machine="here", date="2026-01-02", measured=(Measured(what="x", values=(2.0,)),), memory=())

    write_document({"load": found}, page)

    stack, _, load = page.read_text(encoding="utf-8").partition("<!-- bench load: begin -->")
    assert stack == "<!-- bench stack: begin -->\nold\n<!-- bench stack: end -->\n"
    assert load == f"\n\n{found.markdown()}\n\n<!-- bench load: end -->\n"


def test_a_page_without_the_table_is_left_alone(tmp_path: Path) -> None:
    """Proves that nothing is written when a table has no place, also not the tables before it."""
    page = tmp_path / "benchmarks.md"
    page.write_text("<!-- bench load: begin --><!-- bench load: end -->\n", encoding="utf-8")
    found = Report(machine="here", date="2026-01-02", measured=(), memory=())

    with pytest.raises(BenchError, match="bench stack: begin"):
        write_document({"load": found, "stack": found}, page)

    assert page.read_text(encoding="utf-8") == "<!-- bench load: begin --><!-- bench load: end -->\n"


def test_the_page_has_a_place_for_every_part() -> None:
    """Proves that --write finds each table in docs/benchmarks.md."""
    text = (paths.ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")

    for part in Part:
        assert text.count(f"<!-- bench {part.value}: begin -->") == 1
        assert text.count(f"<!-- bench {part.value}: end -->") == 1
