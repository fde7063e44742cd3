"""Made stack files and profiles: each is a whole set of good files, or refused in clear lines; never a traceback."""

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processes.place import executable
from specs.discovery import AUTHORITY, TOKEN
from specs.model import SettingsError, parse
from specs.monitoring import to_json
from specs.profile import read
from specs.settings import KEY, Settings, load
from specs.stack import Stack, build
from tests.fuzz.shapes import Shapes, changed
from tests.specs.support import EVERY_EXPORTER, EVERY_RECEIVER, ROOT
from tools import reference, render

FILE = "Pulumi.fuzz.yaml"
CASES = int(os.environ.get("FUZZ_CASES", "5000"))
"""How many are made in all; where a number is given, others each time."""
CHECKED_EVERY = 100
"""Of so many stacks that are built, one is shown to the programs' own checkers."""
MADE = settings(
    deadline=None,
    database=None,
    derandomize="FUZZ_CASES" not in os.environ,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much),
)
BOOKSHOP = {"profile": "examples/systems/bookshop.yaml", "services": {"web": ["127.0.0.1:8000", "127.0.0.1:8001"]}}
_MINIMAL: Mapping[str, Any] = {"environment": "made", "cluster": "here", "runtime": "process"}
_TOLD: Mapping[str, Any] = {**EVERY_RECEIVER, "stand_in": "all"}
_ROOMY: Mapping[str, Any] = {
    "size": "large",
    "object_storage": {"endpoint": "s3.example.com", "metrics_bucket": "m", "logs_bucket": "l"},
    "thanos": True,
    "traces": {"store": "opensearch", "servers": ["https://search.example.com:9200"], "sampling": True},
    "grafana": {"database": {"address": "db.example.com:5432", "user": "grafana", "password": {"secret": "db"}}},
}
STACKS: tuple[Mapping[str, Any], ...] = (
    _MINIMAL,
    {**_MINIMAL, "systems": {"bookshop": BOOKSHOP}},
    {**_MINIMAL, "exporters": EVERY_EXPORTER, "alerting": _TOLD, "systems": {"bookshop": BOOKSHOP}},
    {**_MINIMAL, "runtime": "docker", "alerting": _TOLD, "systems": {"bookshop": BOOKSHOP}},
    {**_MINIMAL, "runtime": "docker", "alerting": _TOLD, "exporters": EVERY_EXPORTER, "elk": True, "apm": True},
    {**_MINIMAL, "runtime": "kubernetes", "alerting": _TOLD},
    {**_MINIMAL, "runtime": "kubernetes", "alerting": _TOLD, "systems": {"bookshop": BOOKSHOP}, **_ROOMY},
)
"""What is changed: small stacks of every runtime, and ones with much in them."""
_PROFILE: Mapping[str, Any] = yaml.safe_load((ROOT / str(BOOKSHOP["profile"])).read_text(encoding="utf-8"))
_BARE: Mapping[str, Any] = {"owner": "us", "services": {"web": {}}}

_STACK_SCHEMA = reference.stack_schema()
_SYSTEM_SCHEMA = reference.system_schema()
SETTINGS_SHAPES = Shapes(_STACK_SCHEMA, _STACK_SCHEMA["$defs"]["Settings"])
PROFILE_SHAPES = Shapes(_SYSTEM_SCHEMA, _SYSTEM_SCHEMA)


def _clear(refused: SettingsError, *files: str) -> None:
    """Each line names file and key, and what is accepted; none is endless, and none is two."""
    said = str(refused)
    assert said
    for line in said.split("\n"):
        assert re.match(rf"({'|'.join(map(re.escape, files))}): [^ :]", line), line
        # What is not even YAML is told by where it stops to be.
        assert "(accepted" in line or "not acceptable YAML" in line, line
        assert line.isprintable(), line
        assert len(line) < 3000, line
    assert len(said.splitlines()) == len(said.split("\n")), said


_READ: dict[int, None] = {}


def _readable(stack: Stack) -> None:
    """Each file is good in its own format. Most are like another stack's, and so were read already."""
    for workload in stack.programs:
        for path, text in workload.files.items():
            text.encode()
            if hash(text) in _READ:
                continue
            _READ[hash(text)] = None
            match path.rpartition(".")[2]:
                case "yml" | "yaml":
                    list(yaml.load_all(text, Loader=yaml.CSafeLoader))
                case "json":
                    json.loads(text)
                case "toml":
                    tomllib.loads(text)
                case _:
                    pass
    to_json(render.inventory(stack))
    for board in stack.dashboards.values():
        to_json(board)


def _tried(value: object) -> Stack | None:
    """The stack of a made stack file, whose files are good; None when it is refused, in clear lines."""
    try:
        stack = build(parse(Settings, value, file=FILE, key=KEY), file=FILE)
    except SettingsError as refused:
        _clear(refused, FILE, "bookshop.yaml", "made.yaml")
        return None
    _readable(stack)
    return stack


def _checked(stacks: Sequence[Stack], root: Path) -> None:
    """The programs' own checkers accept the files of `stacks`; each file that several have is checked once."""
    seen: set[int] = set()
    for number, stack in enumerate(stacks):
        for workload in stack.workloads:
            files = {**workload.files, **dict.fromkeys(workload.secrets, "https://example.com/secret")}
            if not workload.checks or (content := hash(tuple(files.items()))) in seen:
                continue
            seen.add(content)
            config, account = (root / str(number) / workload.name / part for part in ("config", "account"))
            for path in (TOKEN, AUTHORITY):
                account.mkdir(parents=True, exist_ok=True)
                (account / Path(path).name).write_text("a token", encoding="utf-8")
            (root / str(number) / workload.name / "data").mkdir()
            for path, text in files.items():
                (config / path).parent.mkdir(parents=True, exist_ok=True)
                (config / path).write_text(text.replace(str(Path(TOKEN).parent), str(account)), encoding="utf-8")
            for check in workload.checks:
                argv = [str(executable(check.argv[0])), *check.argv[1:]]
                done = subprocess.run(argv, cwd=config, capture_output=True, text=True, timeout=60, check=False)
                assert done.returncode == 0, (stack.context.settings, done.stdout + done.stderr)


@pytest.mark.parametrize("number", range(len(STACKS)))
def test_settings(number: int, tmp_path: Path) -> None:
    """Proves that any settings are either files that can be read, a sample of them by the programs that will, or lines
    that name the key and what is accepted."""
    built: list[Stack] = []
    count = 0

    @settings(MADE, max_examples=CASES * 11 // 20 // len(STACKS))
    @given(changed(SETTINGS_SHAPES, (STACKS[number],)))
    def each(value: dict[str, Any]) -> None:
        nonlocal count
        stack = _tried(value)
        if stack is not None:
            count += 1
            if count % CHECKED_EVERY == 1:
                built.append(stack)

    each()
    _checked(built, tmp_path)
    assert count


@pytest.mark.parametrize("profile", [_PROFILE, _BARE], ids=["whole", "bare"])
def test_profiles(profile: Mapping[str, Any], tmp_path: Path) -> None:
    """Proves the same of profiles, as files."""
    built: list[Stack] = []
    count = 0
    file = tmp_path / "made.yaml"
    stack_file = {**_MINIMAL, "systems": {"made": {"profile": str(file)}}}

    @settings(MADE, max_examples=CASES * 5 // 40)
    @given(changed(PROFILE_SHAPES, (profile,)))
    def each(value: dict[str, Any]) -> None:
        nonlocal count
        file.write_text(yaml.dump(value, Dumper=yaml.CSafeDumper), encoding="utf-8")
        read.cache_clear()
        stack = _tried(stack_file)
        if stack is not None:
            count += 1
            if count % CHECKED_EVERY == 1:
                built.append(stack)

    try:
        each()
    finally:
        read.cache_clear()
    _checked(built, tmp_path)
    assert count


_LINES = tuple(yaml.dump({"config": {KEY: dict(STACKS[1])}}, sort_keys=False).splitlines())
_TORN = (
    "",
    "  ",
    "\t",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "'",
    '"',
    "&a",
    "*a",
    "!!python/name:os.system ",
    "<<: *a",
    "? ",
    "\x07",
    "%",
    "---\n",
)


def test_text(tmp_path: Path) -> None:
    """Proves that a stack file with a line torn, moved or twice is read, or refused in clear lines."""

    @settings(MADE, max_examples=CASES // 5)
    @given(st.data())
    def each(data: st.DataObject) -> None:
        lines = list(_LINES)
        for _ in range(data.draw(st.integers(1, 2))):
            at = data.draw(st.integers(0, len(lines) - 1))
            match data.draw(st.integers(0, 4)):
                case 0:
                    lines.insert(at, lines[data.draw(st.integers(0, len(lines) - 1))])
                case 1:
                    del lines[at]
                case 2:
                    lines[at] = " " + lines[at]
                case _:
                    cut = data.draw(st.integers(0, len(lines[at])))
                    lines[at] = lines[at][:cut] + data.draw(st.sampled_from(_TORN)) + lines[at][cut:]
            lines = lines or [""]
        file = tmp_path / FILE
        file.write_text("\n".join(lines), encoding="utf-8")
        try:
            load(file)
        except SettingsError as refused:
            _clear(refused, FILE)

    each()
