"""The same settings give the same bytes."""

import os
import subprocess
import sys
from pathlib import Path

from tests.specs.support import ROOT

_DUMP = """
import dataclasses, json, sys
sys.path.insert(0, {root!r})
from specs.outputs import readable
from tests.specs.support import EVERY_RECEIVER, committed, whole

for stack in (committed("local"), committed("dev"), committed("prod"), whole(alerting=EVERY_RECEIVER)):
    for workload in stack.workloads:
        print(json.dumps([workload.name, workload.args, list(workload.environment.items()), list(workload.secrets)]))
        for path, text in workload.files.items():
            print(path)
            print(text)
    print(json.dumps(readable(stack.outputs("/home")), sort_keys=False))
    print([dataclasses.asdict(group) for group in stack.groups])
"""


def _dump(seed: str, directory: Path) -> bytes:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "UTC" if seed == "1" else "Asia/Tokyo"}
    return subprocess.run(
        [sys.executable, "-c", _DUMP.format(root=str(ROOT))],
        cwd=directory,
        env=environment,
        capture_output=True,
        check=True,
    ).stdout


def test_same_settings_same_bytes(tmp_path: Path) -> None:
    """Proves that neither the order of sets, nor the working directory, nor the time zone is in anything that is
    rendered."""
    first, second = _dump("1", ROOT), _dump("4242", tmp_path)

    assert len(first) > 100000
    assert first == second
