"""Whom alerts would have told and when: the same as a real Alertmanager, and by its file alone."""

import json
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from processes.place import executable
from tests.tools.backtest_history import DAY, HOUR, MINUTE, running_at
from tools.backtest import muting, telling
from tools.backtest.firing import Firing
from tools.backtest.relabel import sent
from tools.backtest.rules import Language, RenderedError, Rules

_PAGES = {"first notification", "new alerts added", "repeat interval elapsed"}


@contextmanager
def _receiver() -> Generator[tuple[str, list[tuple[float, str, str]]], None, None]:
    """A receiver of notifications; yields its URL and (time, path, reason) of each that arrived."""
    arrived: list[tuple[float, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            arrived.append((time.time(), self.path.strip("/"), body["notification_reason"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", arrived
        server.shutdown()


def _routing(url: str, **root: Any) -> dict[str, Any]:
    return {
        "route": {
            "receiver": "chat",
            "group_by": ["alertname"],
            "group_wait": "2s",
            "group_interval": "3s",
            "repeat_interval": "7s",
            "routes": [
                {"receiver": "oncall", "matchers": ['severity = "critical"'], "continue": True},
                {"matchers": ['app =~ "shop|blog"'], "group_by": ["alertname", "app"], "group_wait": "1s"},
            ],
            **root,
        },
        "inhibit_rules": [
            {
                "name": "down",
                "source_matchers": ['alertname = "Down"'],
                "target_matchers": ['alertname != "Down"'],
                "equal": ["app"],
            }
        ],
        "receivers": [
            {"name": name, "webhook_configs": [{"url": f"{url}/{name}", "send_resolved": resolved}]}
            for name, resolved in (("chat", True), ("oncall", False))
        ],
    }  # fmt: skip


# Labels, from which second to which.
_SCENE: Sequence[tuple[Mapping[str, str], float, float]] = [
    ({"alertname": "Busy", "app": "shop", "severity": "critical", "i": "a"}, 0.0, 9.5),
    ({"alertname": "Busy", "app": "shop", "severity": "critical", "i": "b"}, 4.5, 19.5),
    ({"alertname": "Short", "app": "blog", "severity": "warning"}, 1.0, 1.6),
    ({"alertname": "Again", "app": "blog", "severity": "warning"}, 2.0, 5.5),
    ({"alertname": "Again", "app": "blog", "severity": "warning"}, 14.0, 18.5),
    ({"alertname": "Down", "app": "wiki", "severity": "critical"}, 3.0, 12.5),
    ({"alertname": "Held", "app": "wiki", "severity": "warning"}, 3.5, 21.0),
]


def _firings(begin: float) -> list[Firing]:
    return [Firing(labels=labels, begin=begin + first, end=begin + last) for labels, first, last in _SCENE]


def test_a_real_alertmanager_agrees(tmp_path: Path) -> None:
    """Proves the simulation of groups by a real Alertmanager: what it pages whom and when, to the second.

    Alerts join a group, end, come again, are over before they are told, go on until they are repeated, and are held
    back by another one."""
    (tmp_path / "alertmanager").mkdir()
    file = tmp_path / "alertmanager" / "alertmanager.yml"
    with _receiver() as (url, arrived):
        file.write_text(yaml.safe_dump(_routing(url), sort_keys=False), encoding="utf-8")
        command = [
            str(executable("alertmanager")), f"--config.file={file}", f"--storage.path={tmp_path}/data",
            "--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn",
        ]  # fmt: skip
        with running_at(command, "/-/ready", tmp_path / "alertmanager.log") as server, httpx.Client() as client:
            begin = time.time() + 0.2
            events = sorted(
                [(first, labels, first, None) for labels, first, _ in _SCENE]
                + [(last, labels, first, last) for labels, first, last in _SCENE],
                key=lambda event: event[0],
            )
            for at, labels, first, last in events:
                time.sleep(max(0.0, begin + at - time.time()))
                times = {"startsAt": first, **({"endsAt": last} if last else {})}
                alert = {key: datetime.fromtimestamp(begin + value, UTC).isoformat() for key, value in times.items()}
                client.post(f"{server}/api/v2/alerts", json=[{"labels": labels, **alert}]).raise_for_status()
            time.sleep(3)
    real = sorted((receiver, round(at - begin, 1)) for at, receiver, reason in arrived if reason in _PAGES)
    found = telling.pages(telling.read(tmp_path), _firings(0.0), _firings(0.0), 24.0)
    said = sorted((page.receiver, page.at) for page in found)
    assert [receiver for receiver, _ in real] == [receiver for receiver, _ in said], (real, said)
    assert all(abs(is_ - told) < 1.0 for (_, is_), (_, told) in zip(real, said, strict=True)), (real, said)
    assert len(said) > 8


def _told(tmp_path: Path, routing: Mapping[str, Any], firings: Sequence[Firing], end: float) -> list[telling.Page]:
    (tmp_path / "alertmanager").mkdir()
    (tmp_path / "alertmanager" / "alertmanager.yml").write_text(yaml.safe_dump(dict(routing)), encoding="utf-8")
    return telling.pages(telling.read(tmp_path), firings, firings, end)


_MONDAY = datetime(2026, 3, 2, tzinfo=UTC).timestamp()


def test_mute_times_put_off(tmp_path: Path) -> None:
    """Proves that what fires within a mute time is told with the first look after it, and what ends before never."""
    night = {"name": "night", "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "06:00"}]}]}
    routing = {
        **_routing("http://there", mute_time_intervals=["night"], group_interval="5m", repeat_interval="1d", routes=[]),
        "time_intervals": [night],
        "inhibit_rules": [],
    }
    firings = [
        Firing(labels={"alertname": "Long"}, begin=_MONDAY + HOUR, end=_MONDAY + 8 * HOUR),
        Firing(labels={"alertname": "Short"}, begin=_MONDAY + HOUR, end=_MONDAY + 2 * HOUR),
    ]
    (page,) = _told(tmp_path, routing, firings, _MONDAY + DAY)
    assert 6 * HOUR <= page.at - _MONDAY < 6 * HOUR + 5 * MINUTE


@pytest.mark.parametrize(
    ("interval", "day", "hour", "inside"),
    [
        ({"weekdays": ["monday:friday"], "times": [{"start_time": "09:00", "end_time": "17:00"}]}, 0, 9, True),
        ({"weekdays": ["monday:friday"], "times": [{"start_time": "09:00", "end_time": "17:00"}]}, 0, 17, False),
        ({"weekdays": ["monday:friday"], "times": [{"start_time": "09:00", "end_time": "17:00"}]}, 5, 9, False),
        ({"weekdays": ["saturday", "sunday"]}, 6, 3, True),
        ({"times": [{"start_time": "18:00", "end_time": "24:00"}]}, 0, 23, True),
        ({"times": [{"start_time": "00:00", "end_time": "02:00"}], "location": "Europe/Berlin"}, 0, 0, True),
        ({"times": [{"start_time": "00:00", "end_time": "02:00"}], "location": "Europe/Berlin"}, 0, 1, False),
        ({"days_of_month": ["-1"]}, 29, 0, True),
        ({"days_of_month": ["1:2"]}, 1, 0, False),
        ({"months": ["march:april"], "years": ["2026"]}, 0, 0, True),
        ({"months": ["4"]}, 0, 0, False),
    ],
)
def test_time_intervals(interval: Mapping[str, Any], day: int, hour: int, inside: bool) -> None:
    """Proves each condition of a time interval, days and hours counted from Monday, 2 March 2026."""
    assert muting.within([interval], _MONDAY + day * DAY + hour * HOUR) is inside


def test_labels_as_they_are_sent() -> None:
    """Proves that alerts get the external labels that they lack, that replicas' labels are dropped, and that
    relabelling sets, keeps and drops as Prometheus does."""
    relabel = yaml.safe_load("""
- {action: labeldrop, regex: replica|shard}
- {source_labels: [environment], regex: "", target_label: environment, replacement: prod}
- {source_labels: [app, team], separator: /, regex: (.+)/(.*), target_label: of, replacement: "$2-${1}"}
- {action: drop, source_labels: [alertname], regex: Quiet.*}
""")
    external = {Language.PROMQL: {"cluster": "prod", "replica": "a"}, Language.LOGQL: {"cluster": "logs"}}
    rules = Rules(external=external, relabel=tuple(relabel))
    assert sent({"app": "shop", "team": "x", "cluster": "own"}, Language.PROMQL, rules) == {
        "app": "shop",
        "team": "x",
        "cluster": "own",
        "environment": "prod",
        "of": "x-shop",
    }
    assert sent({"environment": "dev"}, Language.LOGQL, rules) == {"environment": "dev", "cluster": "logs"}
    assert sent({"alertname": "QuietPlease"}, Language.PROMQL, rules) is None


def test_the_worst_week() -> None:
    """Proves that the most within a length is counted wherever it begins, and that a week later is another one."""
    assert telling.most([0, 1, 6, 7, 8], 7) == 3
    assert telling.most([0, 1, 6, 6.9, 8], 7) == 4
    assert telling.most([0, 7], 7) == 1
    assert telling.most([], 7) == 0


@pytest.mark.parametrize("text", ["", "[]", "route: {}\n", "route: {receiver: a}\nreceivers: 3\n", "\t"])
def test_files_that_are_none(tmp_path: Path, text: str) -> None:
    """Proves that a file which Alertmanager would not read is refused by its name."""
    (tmp_path / "alertmanager").mkdir()
    (tmp_path / "alertmanager" / "alertmanager.yml").write_text(text, encoding="utf-8")
    with pytest.raises(RenderedError, match=r"alertmanager\.yml: no file of Alertmanager"):
        telling.read(tmp_path)
