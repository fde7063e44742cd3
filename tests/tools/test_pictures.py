"""Pictures of dashboards: a real browser before a server that speaks like Grafana, with panels that take their time."""

import http.server
import json
import os
import re
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qs, urlsplit

import pytest

from tools.pictures.__main__ import photographs
from tools.pictures.request import PictureError, read

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "glsa_a-token-of-a-test"  # noqa: S105 - of a server that lives for a test
PASSWORD = "a password: with $signs"  # noqa: S105 - likewise
GREEN = (0, 160, 0)

PAGE = """<!doctype html><html><body style="margin:0;background:#111;color:#eee;font:14px sans-serif">
<script>
const old = {old}, panels = {panels};
const loading = old ? '<div class="panel-loading" aria-label="Cancel query"></div>'
                    : '<div aria-label="Panel loading bar"></div>';
const failed = old ? '<div class="panel-info-corner panel-info-corner--error"></div>'
                   : '<button data-testid="data-testid Panel status error" title="plugin failed"></button>';
// As Grafana does: what is not in sight is not even asked for.
const seen = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach(async (e) => {
  seen.unobserve(e.target);
  const panel = panels.find((each) => each.id == e.target.dataset.number);
  e.target.innerHTML = '<h6>' + panel.title + '</h6>' + loading;
  const question = {method: 'POST', headers: {'x-panel-id': panel.id}, body: panel.shows};
  const answer = await fetch('{base}/api/ds/query', question);
  if (panel.shows == 'forever') return;
  e.target.style.background = 'rgb(0,160,0)';
  e.target.innerHTML = '<h6>' + panel.title + '</h6>' + (panel.shows == 'mark' ? failed : '')
    + '<div>' + (panel.shows == 'nothing' ? 'No data' : answer.ok ? '42' : '') + '</div>';
}));
// Panels come some time after the page, as in an application of JavaScript.
setTimeout(() => panels.forEach((panel) => {
  const place = document.createElement('div');
  place.setAttribute(old ? 'data-panelid' : 'data-viz-panel-key', old ? panel.id : 'panel-' + panel.id);
  place.dataset.number = panel.id;
  place.style = 'position:absolute;left:0;width:90%;height:300px;top:' + panel.top + 'px';
  document.body.append(place);
  seen.observe(place);
}), 300);
const picture = new Image(); picture.src = '{elsewhere}/logo.png'; document.body.append(picture);
</script></body></html>"""


@dataclass
class FakeGrafana:
    """What a test says about the server, and what the server saw."""

    form: Literal["old", "new"] = "new"
    boards: dict[str, list[tuple[str, str]]] = field(default_factory=dict[str, list[tuple[str, str]]])
    """uid → title and behaviour of its panels, from top to bottom."""
    wants_login: bool = False
    base: str = ""
    url: str = ""
    elsewhere: str = ""
    pages: list[str] = field(default_factory=list[str])
    logins: list[Any] = field(default_factory=list[Any])
    authorizations: set[str] = field(default_factory=set[str])
    abroad: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """Headers of what was asked of another server."""
    over: threading.Event = field(default_factory=threading.Event)
    """Ends what never ends."""
    told_on: set[str] = field(default_factory=set[str])
    """Processes whose arguments show a secret."""


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers as Grafana does."""

    grafana: ClassVar[FakeGrafana]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""

    def _send(self, value: object, status: int = 200, kind: str = "application/json", cookie: str = "") -> None:
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if cookie:
            self.send_header("Set-Cookie", f"{cookie}; Path=/; HttpOnly")
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> str:
        return self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()

    def _known(self) -> bool:
        self.grafana.authorizations.add(self.headers.get("Authorization", ""))
        return not self.grafana.wants_login or (
            self.headers.get("Authorization") == f"Bearer {TOKEN}"
            or "grafana_session=s" in self.headers.get("Cookie", "")
        )

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.removeprefix(self.grafana.base)
        if path == "/api/health":
            self._send({"database": "ok", "version": "13.2.0"})
        elif not self._known():
            self._send({"message": "Unauthorized"}, 401)
        elif path == "/api/search":
            self._send([{"uid": uid, "title": uid.title(), "folderTitle": "Shop"} for uid in self.grafana.boards])
        elif path.startswith("/api/dashboards/uid/"):
            self._send({"dashboard": {"panels": [*_panels(self.grafana, path.rpartition("/")[2]), _ROW]}})
        elif path.startswith("/d/"):
            self.grafana.pages.append(self.path)
            self._send(self._page(path.rpartition("/")[2]), kind="text/html")
        else:
            self._send({"message": "Not found"}, 404)

    def _page(self, uid: str) -> str:
        panels = [
            {"id": panel["id"], "title": panel["title"], "shows": shows, "top": panel["gridPos"]["y"] * 38}
            for panel, (_, shows) in zip(_panels(self.grafana, uid), self.grafana.boards[uid], strict=True)
        ]
        page = PAGE.replace("{old}", json.dumps(self.grafana.form == "old")).replace("{panels}", json.dumps(panels))
        return page.replace("{base}", self.grafana.base).replace("{elsewhere}", self.grafana.elsewhere)

    def do_POST(self) -> None:
        body = self._body()
        if self.path.removeprefix(self.grafana.base) == "/login":
            self.grafana.logins.append(json.loads(body))
            good = json.loads(body)["password"] == PASSWORD
            self._send({}, 200 if good else 401, cookie="grafana_session=s" if good else "")
            return
        _look_around(self.grafana)
        assert self._known()
        if body == "forever":
            self.grafana.over.wait()
        if body == "slow":
            time.sleep(1.5)
        if body == "refused":
            self._send({"results": {"A": {"error": "parse error at char 5", "status": 400}}}, 400)
        else:
            self._send({"results": {}})


def _panels(grafana: FakeGrafana, uid: str) -> list[dict[str, Any]]:
    return [
        {"id": index + 1, "title": title, "type": "stat", "gridPos": {"x": 0, "y": 8 * index, "w": 24, "h": 8}}
        for index, (title, _) in enumerate(grafana.boards[uid])
    ]


_ROW: Mapping[str, Any] = {
    "id": 99,
    "type": "row",
    "title": "A row",
    "gridPos": {"x": 0, "y": 900, "w": 24, "h": 1},
    "panels": [],
}


def _look_around(grafana: FakeGrafana) -> None:
    """Note who shows a secret to everybody on this machine."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes().decode(errors="replace")
            if said.startswith(("node", "/usr/bin/node")) or "chrom" in said:
                said += (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if TOKEN in said or PASSWORD in said:
            grafana.told_on.add(said)


@contextmanager
def _serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Generator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def grafana() -> Generator[FakeGrafana]:
    """A Grafana that answers, and a server that has nothing to do with it."""
    made = FakeGrafana()

    class Abroad(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

        def do_GET(self) -> None:
            made.abroad.append(dict(self.headers))
            self.send_error(404)

    with _serving(Abroad) as elsewhere, _serving(type("Handler", (_Handler,), {"grafana": made})) as url:
        made.elsewhere, made.url = elsewhere, url
        yield made
        made.over.set()


def _take(grafana: FakeGrafana, out: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    known = {key: value for key, value in os.environ.items() if not key.startswith("GRAFANA_")}
    return subprocess.run(
        [sys.executable, "-m", "tools.pictures"],
        cwd=ROOT,
        env={**known, "GRAFANA_URL": grafana.url + grafana.base, "OUT": str(out), "WIDTH": "400", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def _size(picture: Path) -> tuple[int, int]:
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    return width, height


def _colours(picture: Path, x: int, heights: list[int]) -> list[tuple[int, int, int]]:
    """Colours of the points of a column of a PNG of eight bits a channel, which is what browsers write."""
    data, at, packed = picture.read_bytes(), 8, b""
    assert (data[24], data[25]) in {(8, 2), (8, 6)}
    step = 3 if data[25] == 2 else 4
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += length + 12
    raw, stride = zlib.decompress(packed), _size(picture)[0] * step
    above, found = bytearray(stride + step), list[tuple[int, int, int]]()
    for number in range(max(heights) + 1):
        kind, *filtered = raw[number * (stride + 1) : (number + 1) * (stride + 1)]
        line = bytearray(step)
        for index, value in enumerate(filtered):
            left, up, corner = line[index], above[index + step], above[index]
            line.append((value + _guess(kind, left, up, corner)) % 256)
        above = line
        if number in heights:
            red, green, blue = line[(x + 1) * step : (x + 1) * step + 3]
            found.append((red, green, blue))
    return found


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    """What PNG's five filters expect of a byte."""
    if kind < 4:
        return (0, left, up, (left + up) // 2)[kind]
    return min((left, up, corner), key=lambda value: abs(left + up - corner - value))


@pytest.mark.parametrize("form", ["old", "new"])
def test_pictures_are_taken_when_all_is_there(
    grafana: FakeGrafana, tmp_path: Path, form: Literal["old", "new"]
) -> None:
    """Proves, for Grafana 9 as for 13, that slow panels and those far below are in the picture, that a panel without
    data is named, and that a panel with an error is told with its words; pictures are saved all the same."""
    grafana.form = form
    grafana.boards = {
        "shop": [("Orders", "slow"), ("Visits", "quick"), ("Refunds", "nothing"), ("Returns", "slow")],
        "empty": [],
        "wrong": [("Orders", "refused"), ("Visits", "mark")],
    }

    done = _take(grafana, tmp_path / "out")

    assert done.returncode == 1, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith(("shop", "empty", "wrong", "3 pict"))] == [
        "shop: no data: Refunds",
        "wrong: error: Visits: it shows an error" if form == "old" else "wrong: error: Visits: plugin failed",
        "wrong: error: Orders: parse error at char 5",
        f"3 pictures in {tmp_path}/out, and {tmp_path}/out/index.md",
    ]
    # Four panels of eight rows of the grid; the last one is 300 pixels high.
    middles = [8 * 38 * number + 150 for number in range(4)]
    assert _size(tmp_path / "out/shop.png") == (400, middles[3] + 150 + 16)
    assert _colours(tmp_path / "out/shop.png", 300, middles) == [GREEN] * 4
    index = (tmp_path / "out/index.md").read_text()
    assert "## Shop\n\n### Empty\n\n![Empty](empty.png)\n\n### Shop\n\n![Shop](shop.png)\n\nNo data: Refunds." in index


def test_what_never_ends_is_named(grafana: FakeGrafana, tmp_path: Path) -> None:
    """Proves that a panel that still loads after WAIT seconds is told of, and that the next dashboard gets its turn."""
    grafana.boards = {"endless": [("Orders", "quick"), ("Visits", "forever")], "quick": [("Orders", "quick")]}

    done = _take(grafana, tmp_path, WAIT="8")

    assert done.returncode == 1
    assert "endless: still loading: Visits\n" in done.stderr
    assert "quick: " not in done.stderr
    assert (tmp_path / "quick.png").is_file()


def test_a_token_reaches_grafana_alone(grafana: FakeGrafana, tmp_path: Path) -> None:
    """Proves that the token opens Grafana, goes to no other address, and stands in nobody's arguments."""
    grafana.wants_login = True
    grafana.boards = {"shop": [("Orders", "quick")]}

    done = _take(grafana, tmp_path, GRAFANA_TOKEN=TOKEN)

    assert done.returncode == 0, done.stderr
    assert grafana.authorizations == {f"Bearer {TOKEN}"}
    assert [headers for headers in grafana.abroad if "authorization" in {name.lower() for name in headers}] == []
    assert grafana.abroad != []
    assert grafana.told_on == set()
    assert TOKEN not in done.stdout + done.stderr


def test_a_password_opens_a_session(grafana: FakeGrafana, tmp_path: Path) -> None:
    """Proves that a user's password, from its file, logs in once, also where Grafana is below a path."""
    grafana.wants_login = True
    grafana.base = "/grafana"
    grafana.boards = {"shop": [("Orders", "quick")]}
    (tmp_path / "password").write_text(PASSWORD + "\n")

    done = _take(grafana, tmp_path / "out", GRAFANA_USER="pat", GRAFANA_PASSWORD_FILE=str(tmp_path / "password"))

    assert done.returncode == 0, done.stderr
    assert grafana.logins == [{"user": "pat", "password": PASSWORD}]
    assert grafana.told_on == set()
    assert (tmp_path / "out/shop.png").is_file()


def test_a_wrong_password_is_tried_once(grafana: FakeGrafana, tmp_path: Path) -> None:
    """Proves that Grafana has no reason to lock the account, and that one line says what is wrong."""
    grafana.wants_login = True
    grafana.boards = {"shop": [("Orders", "quick")]}
    (tmp_path / "password").write_text("wrong")

    done = _take(grafana, tmp_path, GRAFANA_PASSWORD_FILE=str(tmp_path / "password"))

    assert done.returncode == 1
    assert len(grafana.logins) == 1
    assert len(done.stderr.splitlines()) == 1
    assert "refuses the login of admin (status 401)" in done.stderr


def test_what_is_asked_for(grafana: FakeGrafana, tmp_path: Path) -> None:
    """Proves that DASHBOARD, RANGE and THEME are kept, and that a picture of another day does not stay."""
    grafana.boards = {"shop-a": [("Orders", "quick")], "shop-b": [("Orders", "quick")], "other": [("Orders", "quick")]}
    (tmp_path / "shop-a.png").write_text("of another day")

    done = _take(grafana, tmp_path, DASHBOARD="shop-*,nothing", RANGE="6h", THEME="light")

    assert done.returncode == 0, done.stderr
    asked = {urlsplit(page).path: parse_qs(urlsplit(page).query, keep_blank_values=True) for page in grafana.pages}
    wanted = {"theme": ["light"], "from": ["now-6h"], "to": ["now"], "kiosk": [""]}
    assert asked == {"/d/shop-a": wanted, "/d/shop-b": wanted}
    assert _size(tmp_path / "shop-a.png")[0] == 400
    assert "the last 6h" in (tmp_path / "index.md").read_text()


@pytest.mark.parametrize(
    ("boards", "variables", "said"),
    [
        ({"shop": []}, {"DASHBOARD": "shpo"}, 'DASHBOARD: "shpo" is none of .* \\(accepted: shop\\)'),
        ({}, {}, "it has no dashboards"),
        ({"shop": []}, {"CHROMIUM": "/bin/false"}, "the browser does not run: .*CHROMIUM=/bin/false"),
        ({"shop": []}, {"GRAFANA_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9 does not answer"),
        ({"shop": []}, {"GRAFANA_URL": "{elsewhere}"}, "/api/health: no answer of a Grafana \\(status 404\\)"),
    ],
)
def test_what_cannot_be_is_one_line(
    grafana: FakeGrafana, tmp_path: Path, boards: dict[str, Any], variables: Mapping[str, str], said: str
) -> None:
    """Proves that what is in the way is said in words, without a traceback, and that nothing is left behind."""
    grafana.boards = boards
    filled = {key: value.replace("{elsewhere}", grafana.elsewhere) for key, value in variables.items()}

    done = _take(grafana, tmp_path, **filled)

    assert done.returncode == 1
    assert re.search(said, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("*.png")) == []


def test_a_node_that_ends_at_once_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that its words are told, also where the order is longer than what a pipe holds."""
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\nexec 0<&-\necho 'SyntaxError: Unexpected token' >&2\nexit 1\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    order = {"chromium": "/usr/bin/chromium", "dashboards": ["x" * 1_000_000]}
    with pytest.raises(PictureError) as problem:
        list(photographs(order, ()))
    assert str(problem.value) == (
        "the browser does not run: SyntaxError: Unexpected token (CHROMIUM=/usr/bin/chromium)"
    )


def test_no_right_to_see_is_one_line(grafana: FakeGrafana, tmp_path: Path) -> None:
    """Proves that a Grafana that wants a login says what to give."""
    grafana.wants_login = True

    done = _take(grafana, tmp_path)

    assert done.returncode == 1
    assert "refused (status 401; accepted: GRAFANA_TOKEN" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"GRAFANA_URL": "grafana:3000"}, r"^GRAFANA_URL: .*accepted: http\(s\)://host:port/path"),
        ({"RANGE": "six hours"}, r'^RANGE: "six hours" .*15m, 6h, 7d'),
        ({"WIDTH": "wide"}, r'^WIDTH: "wide" .*from 400 to 7680'),
        ({"WIDTH": "10"}, r'^WIDTH: "10"'),
        ({"WAIT": "0"}, r'^WAIT: "0"'),
        ({"THEME": "blue"}, r"^THEME: .*dark, light"),
        ({"CHROMIUM": "/nowhere/chromium"}, r'^CHROMIUM: "/nowhere/chromium" is no program'),
        ({"GRAFANA_PASSWORD_FILE": "/nowhere/password"}, r"^GRAFANA_PASSWORD_FILE: /nowhere/password: No such file"),
        ({"GRAFANA_PASSWORD_FILE": "/dev/null"}, r"^GRAFANA_PASSWORD_FILE: /dev/null is empty"),
    ],
)
def test_settings_that_will_not_do(variables: Mapping[str, str], said: str) -> None:
    """Proves that a wrong variable is named with what is accepted."""
    with pytest.raises(PictureError, match=said):
        read(variables)


def test_defaults() -> None:
    """Proves what is asked for where nothing is said, and that secrets do not show."""
    made = read({"GRAFANA_TOKEN": TOKEN, "DASHBOARD": ""})

    assert (made.url, str(made.out), made.range, made.width, made.theme, made.wait, made.chromium) == (
        "http://127.0.0.1:3000",
        "docs/pictures",
        "",
        1600,
        "dark",
        60,
        None,
    )
    assert made.wants("anything")
    assert TOKEN not in repr(made)
