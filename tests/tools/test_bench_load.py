"""The load benchmark sends what it says, and measures what is the programs' own."""

import mmap
import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from processes.home import Home
from specs import prometheus
from specs.model import parse
from specs.settings import KEY, Settings
from specs.stack import build
from tools import bench_load, bench_telemetry
from tools.bench_programs import free_offset, running
from tools.bench_report import BenchError


def test_a_target_has_the_series_that_count() -> None:
    """Proves that targets have as many series as a load says, and that their samples change."""
    first, second = (bench_telemetry.page(3, turn).decode() for turn in (0, 1))
    series = [
        (sample.name, *sorted(sample.labels.items()))
        for family in text_string_to_metric_families(first)
        for sample in family.samples
    ]

    assert len(series) == len(set(series)) == bench_telemetry.PER_TARGET
    changed = [one for one, other in zip(first.splitlines(), second.splitlines(), strict=True) if one != other]
    assert len(changed) > 4900


def test_messages_have_as_many_lines_and_spans() -> None:
    """Proves that what is sent is counted: lines with their bytes, and spans in whole traces with one root."""
    body, size = bench_telemetry.lines_request(250, 0, 1_800_000_000_000_000_000)
    logs = ExportLogsServiceRequest.FromString(body)
    lines = [
        record.body.string_value
        for found in logs.resource_logs
        for scope in found.scope_logs
        for record in scope.log_records
    ]
    traces = ExportTraceServiceRequest.FromString(bench_telemetry.spans_request(125, 1_800_000_000_000_000_000))
    spans = [[span for scope in found.scope_spans for span in scope.spans] for found in traces.resource_spans]

    assert (len(lines), sum(map(len, lines))) == (250, size)
    assert sorted(map(len, spans)) == [5, *[10] * 12]
    for trace in spans:
        assert len({span.trace_id for span in trace}) == 1
        assert len([span for span in trace if not span.parent_span_id]) == 1
        assert {len(span.attributes) for span in trace} == {8}


def test_files_count_by_what_they_take(tmp_path: Path) -> None:
    """Proves that a file that is longer than what was written to it, as badger's are, counts by what was written."""
    (tmp_path / "inside").mkdir()
    with (tmp_path / "inside" / "sparse").open("wb") as file:
        file.write(b"x" * 65536)
        file.truncate(2**30)

    assert 65536 <= bench_load.disk(tmp_path) < 2**20


def test_memory_is_the_programs_own(tmp_path: Path) -> None:
    """Proves that memory counts what a program took, and not the pages of a file that it maps."""
    file = tmp_path / "mapped"
    file.write_bytes(b"x" * 300 * 2**20)
    before = bench_load.own_memory(os.getpid())
    ballast = bytearray(b"x") * (100 * 2**20)

    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped.find(b"y") == -1
        assert 95 < bench_load.own_memory(os.getpid()) - before < 150
    assert len(ballast) == 100 * 2**20


def test_a_program_that_does_not_start_is_told_and_gone(tmp_path: Path) -> None:
    """Proves that the benchmark ends with the program's own words, and leaves no process."""
    settings = bench_load.settings(free_offset([prometheus.PORT]))
    stack = build(parse(Settings, settings, file="bench", key=KEY), file="bench")
    workload = stack.workload(prometheus.NAME)
    broken = replace(workload, files={**workload.files, "prometheus.yml": "nonsense: true\n"})
    wrong = replace(stack, workloads=(broken,))

    with (
        pytest.raises(BenchError, match=r"prometheus does not start\n(.|\n)*nonsense"),
        running(wrong, prometheus.NAME, Home(tmp_path)),
    ):
        pass

    assert [child for child in psutil.Process().children() if child.name() == "prometheus"] == []
