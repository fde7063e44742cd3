"""GitHub's and GitLab's REST APIs, as far as jobs use them, on loopback."""

import http.server
import json
import re
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-of-a-test"  # noqa: S105 - of a server that lives for a test
PAGE = 2
"""Entries of a page: few, so that whoever reads one page only is found out."""


@dataclass
class Hosted:
    """What the forge keeps, whoever's its API."""

    comments: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    issues: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    releases: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    asked: list[str] = field(default_factory=list[str])
    """Method and path of each request."""
    failing: int = 0
    """How many requests are answered 502 first."""
    limit: int = 65_536

    def comment(self, change: int, body: str, *, own: bool = True) -> dict[str, Any]:
        """Keep a comment of a job, or of a person."""
        made = {"id": 1000 + len(self.comments), "change": change, "body": body, "own": own}
        self.comments.append(made)
        return made

    def issue(self, title: str, body: str, label: str, *, own: bool = True) -> dict[str, Any]:
        """Keep an issue, opened by a job or by a person."""
        number = 1 + len(self.issues)
        made = {"number": number, "title": title, "body": body, "label": label, "open": True, "own": own, "pull": False}
        self.issues.append(made)
        return made

    def on(self, change: int) -> list[str]:
        """Bodies of the comments on a change or an issue, the oldest first."""
        return [each["body"] for each in self.comments if each["change"] == change]


Answer = tuple[int, dict[str, Any] | list[Any]]


class _Handler(http.server.BaseHTTPRequestHandler):
    hosted: ClassVar[Hosted]
    answer: ClassVar[Callable[[Hosted, str, str, dict[str, str], Any], Answer]]
    authorized: ClassVar[tuple[str, str]]

    def _serve(self) -> None:
        place = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hosted.asked.append(f"{self.command} {place.path}")
        name, value = self.authorized
        if self.headers.get(name) != value:
            return self._say(401, {"message": "Bad credentials"})
        if self.hosted.failing:
            self.hosted.failing -= 1
            return self._say(502, {"message": "Server Error"})
        asked = {key: values[0] for key, values in parse_qs(place.query).items()}
        said: dict[str, Any] = json.loads(content) if content else {}
        for words in said.values():
            if isinstance(words, str) and len(words) > self.hosted.limit:
                return self._say(422, {"message": "Validation Failed"})
        return self._say(*type(self).answer(self.hosted, self.command, place.path, asked, said), asked=asked)

    do_GET = do_POST = do_PATCH = do_PUT = _serve  # noqa: N815 - the base class names them

    def _say(self, status: int, content: dict[str, Any] | list[Any], asked: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        if isinstance(content, list):
            page = int((asked or {}).get("page", "1"))
            entries = content
            if len(entries) > page * PAGE:
                here = f"http://{self.headers['Host']}{urlsplit(self.path).path}"
                rest = "&".join(f"{key}={value}" for key, value in (asked or {}).items() if key != "page")
                self.send_header("Link", f'<{here}?{rest}&page={page + 1}>; rel="next"')
            content = entries[(page - 1) * PAGE : page * PAGE]
        text = json.dumps(content).encode()
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""


@dataclass(frozen=True)
class _Asked:
    """A request: what stands in its path, its query, and its content."""

    hosted: Hosted
    found: re.Match[str]
    query: Mapping[str, str]
    said: Mapping[str, Any]

    @property
    def number(self) -> int:
        """What the path's first number is."""
        return int(self.found[1])

    def comments(self) -> list[dict[str, Any]]:
        """Those on the change or issue that the path names."""
        return [each for each in self.hosted.comments if each["change"] == self.number]

    def comment(self) -> dict[str, Any]:
        """The comment that the path names, changed."""
        found = next(each for each in self.hosted.comments if each["id"] == self.number)
        found["body"] = self.said["body"]
        return found

    def issues(self) -> list[dict[str, Any]]:
        """Open ones with the label that the query names."""
        return [each for each in self.hosted.issues if each["label"] == self.query["labels"] and each["open"]]


_Routes = Mapping[tuple[str, str], Callable[[_Asked], Answer]]


def _routed(routes: _Routes, start: str) -> Callable[[Hosted, str, str, dict[str, str], Any], Answer]:
    def answer(hosted: Hosted, method: str, path: str, query: dict[str, str], said: Any) -> Answer:
        for (wanted, pattern), handle in routes.items():
            found = re.fullmatch(pattern if pattern == "/user" else start + pattern, path)
            if wanted == method and found:
                return handle(_Asked(hosted, found, query, said))
        return 404, {"message": "Not Found"}

    return answer


def _of_github(each: dict[str, Any]) -> dict[str, Any]:
    pull: dict[str, Any] = {"pull_request": {}} if each.get("pull") else {}
    return {**each, "user": {"type": "Bot" if each["own"] else "User"}, **pull}


def _change_github_issue(asked: _Asked) -> Answer:
    issue = asked.hosted.issues[asked.number - 1]
    issue["body"] = asked.said.get("body", issue["body"])
    issue["open"] = asked.said.get("state", "open") == "open"
    return 200, _of_github(issue)


def _release_of(asked: _Asked) -> Answer:
    found = asked.hosted.releases.get(asked.found[1])
    return (200, found) if found else (404, {"message": "Not Found"})


def _make_release(asked: _Asked) -> Answer:
    tag = asked.said["tag_name"]
    if tag in asked.hosted.releases:
        return 422, {"message": "already_exists"}
    words = asked.said.get("body") or asked.said["description"]
    asked.hosted.releases[tag] = {"id": 5, "body": words}
    return 201, {"id": 5}


def _change_release(asked: _Asked) -> Answer:
    for release in asked.hosted.releases.values():
        release["body"] = asked.said.get("body") or asked.said["description"]
    return 200, {}


_GITHUB: _Routes = {
    ("GET", r"/issues/(\d+)/comments"): lambda asked: (200, [_of_github(each) for each in asked.comments()]),
    ("POST", r"/issues/(\d+)/comments"): lambda asked: (
        201,
        _of_github(asked.hosted.comment(asked.number, asked.said["body"])),
    ),
    ("PATCH", r"/issues/comments/(\d+)"): lambda asked: (200, _of_github(asked.comment())),
    ("GET", r"/issues"): lambda asked: (200, [_of_github(each) for each in asked.issues()]),
    ("POST", r"/issues"): lambda asked: (
        201,
        _of_github(asked.hosted.issue(asked.said["title"], asked.said["body"], asked.said["labels"][0])),
    ),
    ("PATCH", r"/issues/(\d+)"): _change_github_issue,
    ("GET", r"/releases/tags/(.+)"): _release_of,
    ("POST", r"/releases"): _make_release,
    ("PATCH", r"/releases/5"): _change_release,
}


def _of_gitlab(each: dict[str, Any]) -> dict[str, Any]:
    more = {"iid": each.get("number"), "description": each["body"]}
    return {**each, **more, "author": {"id": 7 if each["own"] else 8}}


def _gitlab_issues(asked: _Asked) -> Answer:
    found = [_of_gitlab(each) for each in asked.issues()]
    return 200, [each for each in found if str(each["author"]["id"]) == asked.query["author_id"]]


def _change_gitlab_issue(asked: _Asked) -> Answer:
    issue = asked.hosted.issues[asked.number - 1]
    issue["body"] = asked.said.get("description", issue["body"])
    issue["open"] = asked.said.get("state_event") != "close"
    return 200, _of_gitlab(issue)


_GITLAB: _Routes = {
    ("GET", r"/user"): lambda _: (200, {"id": 7}),
    ("GET", r"/merge_requests/(\d+)/notes"): lambda asked: (200, [_of_gitlab(each) for each in asked.comments()]),
    ("POST", r"/(?:merge_requests|issues)/(\d+)/notes"): lambda asked: (
        201,
        _of_gitlab(asked.hosted.comment(asked.number, asked.said["body"])),
    ),
    ("PUT", r"/merge_requests/\d+/notes/(\d+)"): lambda asked: (200, _of_gitlab(asked.comment())),
    ("GET", r"/issues"): _gitlab_issues,
    ("POST", r"/issues"): lambda asked: (
        201,
        _of_gitlab(asked.hosted.issue(asked.said["title"], asked.said["description"], asked.said["labels"])),
    ),
    ("PUT", r"/issues/(\d+)"): _change_gitlab_issue,
    ("GET", r"/releases/(.+)"): _release_of,
    ("POST", r"/releases"): _make_release,
    ("PUT", r"/releases/(.+)"): _change_release,
}


@dataclass(frozen=True)
class StandIn:
    """A forge that runs, and the variables that it sets for a job on change 12."""

    hosted: Hosted
    variables: Mapping[str, str]


@contextmanager
def running(kind: str) -> Generator[StandIn, None, None]:
    """`github` or `gitlab`."""
    github = kind == "github"
    hosted = Hosted()
    of = {
        "hosted": hosted,
        "answer": staticmethod(
            _routed(_GITHUB, "/repos/team/observability") if github else _routed(_GITLAB, "/projects/42")
        ),
        "authorized": ("Authorization", f"Bearer {TOKEN}") if github else ("PRIVATE-TOKEN", TOKEN),
    }
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), of))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    of_github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": url,
        "GITHUB_REPOSITORY": "team/observability",
        "GITHUB_REF": "refs/pull/12/merge",
        "GITHUB_RUN_ID": "99",
        "GITHUB_TOKEN": TOKEN,
    }
    of_gitlab = {
        "GITLAB_CI": "true",
        "CI_API_V4_URL": url,
        "CI_PROJECT_ID": "42",
        "CI_MERGE_REQUEST_IID": "12",
        "CI_JOB_URL": "https://gitlab.example.com/team/observability/-/jobs/99",
        "GITLAB_TOKEN": TOKEN,
    }
    try:
        yield StandIn(hosted, of_github if github else of_gitlab)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
