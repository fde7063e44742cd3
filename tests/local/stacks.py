"""A copy of the project with a stack of its own, worked by the very commands that people type."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import yaml

from tools.scratch import Scratch


@dataclass(frozen=True, kw_only=True)
class Local(Scratch):
    """A process stack in a project directory of its own, and what it answers."""

    def write(self, settings: Mapping[str, Any], **secrets: str) -> None:
        """Write the stack file. Secrets are set by Pulumi, encrypted."""
        self.write_settings(settings)
        if secrets:
            self.pulumi("stack", "init", self.name, "--no-select")
        for key, value in secrets.items():
            self.pulumi("config", "set", "--secret", key.replace("_", "-"), "--stack", self.name, stdin=value)

    def settings(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the stack file, as a person would with an editor."""
        content = yaml.load(self.file.read_text(), Loader=yaml.CSafeLoader)
        change(content["config"]["observability:settings"])
        self.file.write_text(yaml.safe_dump(content, sort_keys=False))

    def pulumi(self, *arguments: str, stdin: str = "", check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run plain `pulumi` in the activated environment."""
        script = 'eval "$("$0" -m tools.cli env --stack "$1")"; shift; exec pulumi "$@"'
        done = subprocess.run(
            ["sh", "-c", script, sys.executable, self.name, *arguments],
            cwd=self.project, env=self.environment(), input=stdin, capture_output=True, text=True,
            check=False, timeout=280,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"pulumi {arguments}\n{done.stdout}\n{done.stderr}"
        return done

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, as `pulumi stack output --json` gives them."""
        found: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json", "--stack", self.name).stdout)
        return found

    def url(self, port: int) -> str:
        """Base URL of a part by its usual port."""
        return f"http://127.0.0.1:{port + self.offset}"

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Result of an instant query."""
        answer = httpx.get(f"{self.url(9090)}/api/v1/query", params={"query": promql}, timeout=10).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def value(self, promql: str) -> float | None:
        """The only value of an instant query, None when there is none."""
        found = self.query(promql)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def logs(self, logql: str) -> list[dict[str, Any]]:
        """Streams of a log query over the last hour."""
        now = time.time_ns()
        answer = httpx.get(
            f"{self.url(3100)}/loki/api/v1/query_range",
            params={"query": logql, "start": str(now - 3600 * 10**9), "end": str(now + 60 * 10**9), "limit": "100"},
            timeout=10,
        )
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """Spans of a trace as Jaeger's API has them; empty while it has none."""
        answer = httpx.get(f"{self.url(16686)}/api/traces/{trace_id}", timeout=10)
        if answer.status_code == 404:
            return []
        traces: list[dict[str, list[dict[str, Any]]]] = answer.json()["data"] or []
        return [span for trace in traces for span in trace["spans"]]

    def pids(self) -> dict[str, int]:
        """Pid of every program, by its name."""
        from processes import supervision

        names = [path.stem for path in (self.home.supervision / "programs").glob("*.conf")]
        states = {name: supervision.state(self.home, name) for name in names}
        return {name: state.pid for name, state in states.items() if state}


def eventually(check: Callable[[], object], seconds: float = 20, what: str = "") -> Any:
    """Wait until `check` gives something true, and return that."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = check()
        except (httpx.HTTPError, KeyError, ValueError) as problem:
            last = problem
        else:
            if last:
                return last
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what} (last: {last!r})")
