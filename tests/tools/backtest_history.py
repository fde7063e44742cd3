"""A real Prometheus with a history that was made up, and rendered trees of rules to evaluate over it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml
from rich.console import Console

from processes.place import executable
from tests.local.servers import await_port, free_port
from tools.backtest import running
from tools.backtest.evaluation import Wishes
from tools.backtest.report import Judged, Report
from tools.backtest.rules import Language

MINUTE, HOUR, DAY = 60, 3600, 86400
DAYS = 16
END = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp())
START = END - DAYS * DAY
Value = Callable[[int], "float | None"]
"""A series: its value at a time in seconds since START; None: no sample."""


def when(day: int, hour: int = 0, minute: int = 0) -> int:
    """Seconds since START."""
    return day * DAY + hour * HOUR + minute * MINUTE


def samples(series: Mapping[str, Value], first: int) -> Iterable[str]:
    """Lines of OpenMetrics: every series as it is scraped every minute, from `first` seconds since START on."""
    for name, value in series.items():
        for since in range(first, DAYS * DAY, MINUTE):
            found = value(since)
            if found is not None:
                yield f"{name} {found} {START + since}\n"
    yield "# EOF\n"


@contextmanager
def running_at(command: Sequence[str], path: str, log: Path) -> Generator[str, None, None]:
    """Runs a server, of whose arguments `{port}` is replaced, until `path` answers 200; yields its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = [word.replace("{port}", str(port)) for word in command]
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=output, start_new_session=True, cwd=log.parent)
        try:
            await_port(port, 60)
            deadline = time.monotonic() + 60
            while httpx.get(f"{url}{path}", timeout=10).status_code != 200:
                assert time.monotonic() < deadline, log.read_text(encoding="utf-8")[-2000:]
                time.sleep(0.1)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a Prometheus recorded, by rules of its own."""

    rules: Sequence[Mapping[str, Any]]
    since: int = 0
    """Seconds since START."""


@contextmanager
def prometheus(
    directory: Path, series: Mapping[str, Value], *recorded: Recorded, first: int = 0, options: Sequence[str] = ()
) -> Generator[str, None, None]:
    """A Prometheus that has `series` from `first` seconds since START on, and what it `recorded` of them every minute,
    one after the other; yields its URL."""
    directory.mkdir(parents=True)
    told = directory / "history.txt"
    with told.open("w", encoding="utf-8") as file:
        file.writelines(samples(series, first))
    data = directory / "data"
    create = [str(executable("promtool")), "tsdb", "create-blocks-from", "--max-block-duration=2048h"]
    subprocess.run([*create, "openmetrics", "-q", str(told), str(data)], check=True, capture_output=True)
    (directory / "prometheus.yml").write_text("{}\n", encoding="utf-8")
    command = [
        str(executable("prometheus")), f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={data}",
        "--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y", "--log.level=warn", *options,
    ]  # fmt: skip
    for number, each in enumerate(recorded):
        group = {"name": "records", "interval": "1m", "rules": list(each.rules)}
        rules = directory / f"recorded-{number}.yml"
        rules.write_text(yaml.safe_dump({"groups": [group]}), encoding="utf-8")
        with running_at(command, "/-/ready", directory / f"recording-{number}.log") as url:
            span = (f"--start={START + each.since}", f"--end={END}", f"--url={url}", f"--output-dir={data}")
            subprocess.run([*create, "rules", *span, str(rules)], check=True, capture_output=True)
    with running_at(command, "/-/ready", directory / "prometheus.log") as url:
        yield url


def alert(name: str, expr: str, severity: str = "critical", **more: Any) -> dict[str, Any]:
    """A rule of a file."""
    labels = {"severity": severity, **more.pop("labels", {})}
    keys = {"for_": "for"}
    return {"alert": name, "expr": expr, **{keys.get(key, key): value for key, value in more.items()}, "labels": labels}


ROUTING: Mapping[str, Any] = {
    "route": {
        "receiver": "chat",
        "group_by": ["alertname", "app"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "12h",
        "routes": [
            {"receiver": "oncall", "matchers": ['severity = "critical"']},
            {"receiver": "dashboards", "matchers": ['severity = "info"']},
        ],
    },
    "receivers": [
        {"name": name, "webhook_configs": [{"url": "http://127.0.0.1:9/", "send_resolved": True}]}
        for name in ("chat", "oncall")
    ]
    + [{"name": "dashboards"}],
}


def tree(
    directory: Path, rules: Sequence[Mapping[str, Any]], routing: Mapping[str, Any] = ROUTING, interval: str = ""
) -> Path:
    """A rendered tree with these rules in one group, evaluated every minute unless said otherwise."""
    (directory / "prometheus" / "rules").mkdir(parents=True)
    (directory / "alertmanager").mkdir()
    group = {"name": "shop", **({"interval": interval} if interval else {}), "rules": list(rules)}
    for path, content in {
        "prometheus/prometheus.yml": {
            "global": {"evaluation_interval": "1m", "external_labels": {"cluster": "here", "replica": "a"}},
            "alerting": {"alert_relabel_configs": [{"action": "labeldrop", "regex": "replica"}]},
        },
        "prometheus/rules/shop.yml": {"groups": [group]},
        "alertmanager/alertmanager.yml": dict(routing),
    }.items():
        (directory / path).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return directory


def evaluated(before: Path, after: Path, url: str, journal: Path, *, loki: str = "", **wishes: Any) -> Report:
    """The report on two trees over a whole history."""
    usual: dict[str, Any] = {"stack": "made", "base": "before", "start": START, "end": END}
    wanted = Wishes(**{**usual, **wishes})
    urls = {Language.PROMQL: url, **({Language.LOGQL: loki} if loki else {})}
    with running.history(urls, {}, 100, journal) as history, Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        return running.run(before, after, history, wanted, Console(file=nowhere))


def one(report: Report, name: str) -> Judged:
    """The alert of that name, of which there is one."""
    (found,) = (each for each in report.alerts if each.name == name)
    return found
