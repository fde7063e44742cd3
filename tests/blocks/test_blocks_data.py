"""Blocks of data and of queries are what the word after their fence says."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from specs.model import SettingsError, parse
from specs.profile import Profile
from specs.settings import KEY, Settings
from tests.blocks.reading import BLOCKS, READ, SHOWN, Block, of
from tests.examples import bookshop
from tools import native


def test_every_block_says_what_it_is() -> None:
    """Proves that each block has a word of the table, so that none is held to nothing by mistake, and that each that
    is left out says why in a few words."""
    unknown = [f"{block}: {block.word or 'no word'}" for block in BLOCKS if block.word not in {*SHOWN, *READ}]

    assert len(BLOCKS) > 400
    assert unknown == [], f"accepted: {', '.join(sorted({*SHOWN, *READ}))} (docs/ci.md)"
    assert [str(block) for block in BLOCKS if block.why and block.word in SHOWN] == []
    assert [str(block) for block in BLOCKS if block.why and len(block.why) < 10] == []


# Data.

_BASES: Sequence[Mapping[str, Any]] = (
    {"environment": "example", "cluster": "example", "runtime": "process"},
    {"environment": "example", "cluster": "example", "runtime": "docker"},
    {"environment": "example", "cluster": "example", "runtime": "kubernetes", "size": "small"},
)


def _as_settings(value: Mapping[str, Any]) -> str:
    """Empty where the fragment is good settings of some runtime; else what is wrong."""
    wrong = ""
    for base in _BASES:
        try:
            parse(Settings, {**base, **value}, file="page", key=KEY)
        except SettingsError as problem:
            wrong = str(problem)
        else:
            return ""
    return wrong


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_yaml_is_what_it_shows(block: Block) -> None:
    """Proves that each example of YAML can be read; that settings and whole stack files are good settings of some
    runtime; and that profiles are good profiles."""
    for value in yaml.safe_load_all(block.text):
        assert value is not None, f"{block}: empty"
        if not isinstance(value, dict):
            continue
        found = cast("dict[str, Any]", value)
        if {*found} == {"config"}:
            found = found["config"].get(KEY, {})
        keys = {*found}
        if keys <= set(Settings.model_fields):
            assert _as_settings(found) == "", str(block)
        elif keys <= set(Profile.model_fields):
            try:
                parse(Profile, {**bookshop.profile(), **found}, file=block.page, key="")
            except SettingsError as problem:
                pytest.fail(f"{block}: {problem}")


@pytest.mark.parametrize("block", of("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    """Proves that each example of JSON can be read."""
    json.loads(block.text)


# Queries; those of runbooks are tested with their metrics in tests/test_docs.py.


def test_queries_are_promql(tmp_path: Path) -> None:
    """Proves that the real promtool takes every query of a page that is no runbook."""
    lines = [line for block in of("promql") if "runbooks" not in block.page for line in block.text.splitlines()]
    rules = [{"record": f"query:{number}", "expr": line} for number, line in enumerate(lines) if line.strip()]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    (promtool,) = (found.path for found in native.ensure(["promtool"]).values() if found.name == "promtool")
    command = [str(promtool), "check", "rules", "--lint=none", "queries.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert rules
    assert done.returncode == 0, done.stdout + done.stderr


def test_queries_are_logql() -> None:
    """Proves the same of logcli."""
    (logcli,) = (found.path for found in native.ensure(["logcli"]).values() if found.name == "logcli")
    queries = {
        f"{block} {line}": line
        for block in of("logql")
        if "runbooks" not in block.page
        for line in block.text.splitlines()
    }
    assert queries
    for where, query in queries.items():
        command = [str(logcli), "fmt"]
        done = subprocess.run(command, input=query, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{where}: {done.stderr}"
