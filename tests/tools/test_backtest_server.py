"""How a history is asked: with restraint, in pieces where it must be, and never twice for the same."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from specs.model import SettingsError
from tests.specs.support import ROOT
from tests.tools.backtest_history import DAYS, END, HOUR, START, Value, alert, evaluated, one, prometheus, tree, when
from tools.backtest import journal, running, server
from tools.backtest.history import CHUNK, History, Question
from tools.backtest.rules import Language
from tools.backtest.server import Pace, RefusedError, Server, TooMuchError

_SERIES: dict[str, Value] = {
    'up{job="shop"}': lambda _: 1.0,
    'busy{i="a"}': lambda since: float(since % (6 * HOUR) < HOUR),
    'busy{i="b"}': lambda since: float(since % (7 * HOUR) < HOUR),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that loads few samples for one query."""
    options = ["--query.max-samples=12000"]
    with prometheus(
        tmp_path_factory.mktemp("server") / "prometheus", _SERIES, first=when(DAYS - 4), options=options
    ) as at:
        yield at


_Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body."""


def _nothing(path: str, count: int) -> _Answer | None:
    del path, count
    return None


def _always(answer: _Answer) -> Callable[[str, int], _Answer]:
    def say(path: str, count: int) -> _Answer:
        del path, count
        return answer

    return say


@dataclass
class _Between:
    """What stands before a Prometheus, and counts."""

    url: str = ""
    asked: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """Range queries by expression and start."""
    at_once: int = 0
    most: int = 0
    """Most queries that were under way at a time."""
    tokens: set[str] = field(default_factory=set[str])
    answer: Callable[[str, int], _Answer | None] = field(default=_nothing)
    """What to answer to a path, by how often it was asked; None: what the Prometheus says."""
    paths: Counter[str] = field(default_factory=Counter[str])


@contextmanager
def _between(prometheus_url: str) -> Generator[_Between, None, None]:
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            said = parse_qs(body.decode())
            with lock:
                made.at_once += 1
                made.most = max(made.most, made.at_once)
                made.paths[self.path] += 1
                made.tokens.add(self.headers.get("Authorization", ""))
                if self.path.endswith("query_range"):
                    made.asked[said["query"][0], said["start"][0]] += 1
                own = made.answer(self.path, made.paths[self.path])
            if own is None:
                kind = {"Content-Type": self.headers["Content-Type"]}
                found = client.post(f"{prometheus_url}{self.path}", content=body, headers=kind)
                own = (found.status_code, dict[str, str](), found.content)
            with lock:
                made.at_once -= 1
            status, headers, content = own
            # Who asked may be dead by now.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with httpx.Client(timeout=60) as client, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        made = _Between(url=f"http://127.0.0.1:{listening.server_port}")
        Thread(target=listening.serve_forever, daemon=True).start()
        yield made
        listening.shutdown()


_WINDOW: dict[str, Any] = {"start": START + 12 * 86400 + 600, "end": END}
_INTERVAL = "10s"
"""Four days of which are four chunks."""


def _trees(directory: Path) -> tuple[Path, Path]:
    rules = [alert("Busy", "busy == 1", for_="2m"), alert("Other", "busy > 0.5")]
    return tree(directory / "before", [], interval=_INTERVAL), tree(directory / "after", rules, interval=_INTERVAL)


def test_a_large_question_is_asked_in_halves(url: str, tmp_path: Path) -> None:
    """Proves that a Prometheus which refuses a chunk for its samples is asked for parts of it, at most two at a time,
    and that every firing of the history is found in them, once."""
    with _between(url) as between:
        found = one(evaluated(*_trees(tmp_path), between.url, tmp_path / "journal", **_WINDOW), "Busy")
    assert found.after is not None
    assert found.after.evaluated
    begins = {(one_.labels["i"], int(one_.begin.timestamp()) - START) for one_ in found.after.firings}
    expected = {
        (name, since + 120)
        for name, hours in (("a", 6), ("b", 7))
        for since in range(0, DAYS * 86400, hours * HOUR)
        if since >= 12 * 86400 + 600
    }
    # What began before the window fires from its start.
    assert begins - {(name, 12 * 86400 + 600) for name in "ab"} == expected
    chunks = {start for _, start in between.asked}
    assert len(chunks) > 5
    assert between.most <= 2


def test_what_was_answered_is_not_asked_again_after_a_kill(url: str, tmp_path: Path) -> None:
    """Proves that a backtest that is killed goes on where it was: what was answered and kept is not asked a second
    time, all the rest is, and the report is that of one which nobody killed."""
    before, after = _trees(tmp_path)
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from rich.console import Console
from tools.backtest import running
from tools.backtest.evaluation import Wishes
from tools.backtest.rules import Language
wishes = Wishes(stack="made", base="before", start={_WINDOW["start"]}, end={_WINDOW["end"]})
with running.history({{Language.PROMQL: sys.argv[1]}}, {{}}, 8, Path({str(tmp_path / "journal")!r})) as history:
    found = running.run(Path({str(before)!r}), Path({str(after)!r}), history, wishes, Console(stderr=True))
print(found.model_dump_json())
"""
    with _between(url) as between:
        command = [sys.executable, "-c", program, between.url]
        first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "journal").glob("*.json"))) < 3:
            assert time.monotonic() < deadline
            assert first.poll() is None, "it was done before it could be killed"
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
        first.communicate(timeout=30)
        kept = len(list((tmp_path / "journal").glob("*.json")))
        time.sleep(0.5)
        earlier = between.asked.copy()
        between.asked.clear()
        second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        again = between.asked.copy()
        between.asked.clear()
        third = evaluated(before, after, between.url, tmp_path / "journal", **_WINDOW)
    # What was under way when it was killed, in halves, is asked again; of all else that was kept nothing is.
    whole = evaluated(before, after, url, tmp_path / "other", **_WINDOW)
    assert json.loads(second.stdout)["alerts"] == json.loads(whole.model_dump_json())["alerts"]
    top = CHUNK * 10
    chunks = {(query, start) for query, start in again if float(start) % top == 0}
    every = chunks | {(query, start) for query, start in earlier if float(start) % top == 0}
    assert kept >= 3
    assert len(chunks) == len(every) - kept
    assert {query for query, _ in between.asked} <= {"count(up)"}
    assert third.alerts == whole.alerts


def _asked(between: _Between, pauses: list[float]) -> Server:
    client = httpx.Client(timeout=5)
    return Server(url=between.url, language=Language.PROMQL, pace=Pace(1000), client=client, sleep=pauses.append)


def test_a_busy_server_is_asked_again_later(url: str) -> None:
    """Proves that 503 and 429 are waited for, ever longer and at least as long as the server says, and that it then
    answers."""
    pauses: list[float] = []
    busy: dict[int, _Answer] = {1: (503, {}, b""), 2: (429, {"Retry-After": "7"}, b"")}
    with _between(url) as between:
        between.answer = lambda _, count: busy.get(count)
        found = _asked(between, pauses).range("up", END - 60, END, 60)
    assert [series["metric"]["job"] for series in found] == ["shop"]
    assert pauses == [1.0, 7.0]


def test_a_server_that_stays_busy_is_given_up(url: str) -> None:
    """Proves that it is asked four times and not for ever, and what is said then."""
    pauses: list[float] = []
    with _between(url) as between:
        between.answer = _always((502, {}, b"<html>bad gateway</html>"))
        with pytest.raises(RefusedError, match=r"^answers 502$"):
            _asked(between, pauses).range("up", END - 60, END, 60)
        assert between.paths.total() == 4
    assert pauses == [1.0, 2.0, 4.0]


_EMPTY: _Answer = (200, {}, b'{"data": {"resultType": "matrix", "result": []}}')
_MUCH: _Answer = (422, {}, b'{"error": "query processing would load too many samples"}')


def test_when_a_history_begins_is_asked_in_halves(url: str, tmp_path: Path) -> None:
    """Proves that a look at a long time which is too much for the server is divided, and still finds the minute."""
    with _between(url) as between:
        between.answer = lambda _, count: _MUCH if count in {1, 2} else None
        history = History(servers={Language.PROMQL: _asked(between, [])}, journal=journal.Journal(tmp_path))
        run = (START // 60, END // 60)
        found = history.since(Question(expr="up", language=Language.PROMQL, step=60_000), run)
    assert found == START + when(DAYS - 4)


def test_what_the_server_does_not_tell_ends_no_run(url: str, tmp_path: Path) -> None:
    """Proves that a server which never says when the history begins, or whether it has what an alert asks for, is told
    of, and that "never" is then no answer."""
    before, after = _trees(tmp_path)
    with _between(url) as between:
        refused: _Answer = (400, {}, b'{"error": "not allowed"}')

        def answer(path: str, count: int) -> _Answer | None:
            if path.endswith("query_range"):
                return refused if count == 1 else _EMPTY
            return refused if path.endswith("series") else None

        between.answer = answer
        found = evaluated(before, after, between.url, tmp_path / "journal", **_WINDOW)
    assert found.notes == ["not known when the history begins: not allowed"]
    busy = one(found, "Busy").after
    assert busy is not None
    assert (busy.in_history, busy.words()) == (None, "not known")
    assert busy.notes == ["not known whether the history has busy"]


def test_how_a_range_is_asked() -> None:
    """Proves that Thanos is asked for samples as they were taken, that one which cannot be reached is asked again and
    not for less, and that one which does not answer in time is asked for less."""
    asked: list[dict[str, list[str]]] = []
    problems: list[Exception] = [httpx.ConnectTimeout("no"), httpx.PoolTimeout("no")]

    def answer(request: httpx.Request) -> httpx.Response:
        if problems:
            raise problems.pop(0)
        asked.append(parse_qs(request.content.decode()))
        return httpx.Response(200, content=_EMPTY[2])

    client, pauses = httpx.Client(transport=httpx.MockTransport(answer)), list[float]()
    found = Server(url="http://h", language=Language.PROMQL, pace=Pace(1000), client=client, sleep=pauses.append)
    assert found.range("up", START, END, 60) == []
    assert pauses == [1.0, 2.0]
    assert (asked[0]["max_source_resolution"], asked[0]["partial_response"]) == (["0s"], ["false"])
    problems.append(httpx.ReadTimeout("no"))
    with pytest.raises(TooMuchError):
        found.range("up", START, END, 60)


def test_what_a_server_refuses_is_said(url: str, tmp_path: Path) -> None:
    """Proves that an expression which the server cannot evaluate is told with its words, that it is no silent never,
    and that others are evaluated."""
    rules = [alert("Bad", "busy * on () group_left () busy"), alert("Busy", "busy == 1")]
    before, after = tree(tmp_path / "before", []), tree(tmp_path / "after", rules)
    found = evaluated(before, after, url, tmp_path / "journal", **_WINDOW)
    refused = one(found, "Bad").after
    assert refused is not None
    assert not refused.evaluated
    assert refused.words() == "not known"
    assert "could not be evaluated: " in refused.notes[0]
    assert "many-to-many matching not allowed" in refused.notes[0]
    assert not found.complete
    busy = one(found, "Busy").after
    assert busy is not None
    assert busy.times > 10


def test_answers_that_are_too_long_are_asked_in_halves(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves that no answer beyond a size is read to its end, and that the parts of it are the same."""
    window: dict[str, Any] = {**_WINDOW, "start": END - 12 * HOUR}
    whole = evaluated(*_trees(tmp_path / "a"), url, tmp_path / "journal", **window)
    monkeypatch.setattr(server, "ANSWER", 20_000)
    parts = evaluated(*_trees(tmp_path / "b"), url, tmp_path / "other", **window)
    assert one(parts, "Busy").after == one(whole, "Busy").after


def test_answers_are_kept_a_day_and_only_of_what_is_settled(url: str, tmp_path: Path) -> None:
    """Proves that an answer is used for a day and then removed, and that one which is broken is none."""
    kept = journal.Journal(tmp_path)
    kept.put(("a",), {(("i", "x"),): ((1, 2), (5, 5))})
    assert kept.get(("a",)) == {(("i", "x"),): ((1, 2), (5, 5))}
    assert kept.get(("b",)) is None
    (file,) = tmp_path.glob("*.json")
    file.write_text(file.read_text()[:-3])
    assert kept.get(("a",)) is None
    old = time.time() - journal.KEPT - 60
    os.utime(file, (old, old))
    kept.sweep()
    assert not list(tmp_path.iterdir())
    client = httpx.Client(timeout=5)
    asked = Server(url=url, language=Language.PROMQL, pace=Pace(1000), client=client)
    now = int(time.time())
    History(servers={Language.PROMQL: asked}, journal=kept).ask(
        {Question(expr="up", language=Language.PROMQL, step=1000): (now - 60, now)}
    )
    assert not list(tmp_path.iterdir())


_NONE: list[tuple[_Answer, str]] = [
    ((401, {}, b"no"), "no"),
    ((200, {}, b"<html>a page</html>"), "answers with something else than an API"),
    ((200, {}, b'{"data": null}'), "answers with something else than an API"),
    ((404, {}, b"<html>a page</html>"), "answers 404"),
]


@pytest.mark.parametrize(("answer", "words"), _NONE)
def test_what_is_no_prometheus_is_refused(url: str, tmp_path: Path, answer: _Answer, words: str) -> None:
    """Proves the one line about a URL that is something else, without the password in it, and that a token is sent."""
    with _between(url) as between:
        between.answer = _always(answer)
        secret = between.url.replace("http://", "http://me:hunter2@")
        with pytest.raises(SettingsError) as refused, running.history({Language.PROMQL: secret}, {}, 100, tmp_path):
            pass
        assert str(refused.value) == (
            f"PROMETHEUS={between.url}: {words} (accepted: the URL of a Prometheus or Thanos that this machine reaches)"
        )
        between.answer = _nothing
        with running.history({Language.PROMQL: between.url}, {Language.PROMQL: "hunter3"}, 100, tmp_path):
            pass
        assert "Bearer hunter3" in between.tokens


def test_pace() -> None:
    """Proves that no more than so many queries a second are begun."""
    pace, begun = Pace(50), time.monotonic()
    for _ in range(11):
        pace.wait()
    assert time.monotonic() - begun >= 0.2
