"""The policy pack as an engine runs it that has no language host for packs: by the plugin that engines had before.

Pulumi's own archive brings a host that runs packs of Python; the newest that can be built from a Go module is older.
The pack itself, its SDK, its own virtual environment and what the engine says to it are the same.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.deployment import ROOT
from tools.native import cache

RUNTIME = "observability-policy"
"""A name that no language host has."""
_PLUGIN = '#!/bin/sh\nexec {python} -u -m pulumi.policy "$1" "$2"\n'


def python() -> Path:
    """The interpreter of a virtual environment with what the pack requires, made once for each list of requirements."""
    requirements = ROOT / "policy" / "requirements.txt"
    name = f"policy-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
    with cache.locked(name, waiting=lambda: None) as parent:
        made = parent / name
        if not (made / ".done").exists():
            shutil.rmtree(made, ignore_errors=True)
            install = [str(made / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "-r"]
            subprocess.run([sys.executable, "-m", "venv", str(made)], check=True, timeout=120)
            subprocess.run([*install, str(requirements)], check=True, timeout=280)
            (made / ".done").touch()
        return made / "bin" / "python"


def placed(directory: Path) -> Path:
    """A copy of the pack below `directory`; the plugin that runs it is in `directory`/bin."""
    pack = directory / "policy"
    shutil.copytree(ROOT / "policy", pack, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    file = pack / "PulumiPolicy.yaml"
    text = file.read_text(encoding="utf-8")
    assert "name: python" in text
    file.write_text(text.partition("runtime:")[0] + f"runtime: {RUNTIME}\n", encoding="utf-8")
    plugin = directory / "bin" / f"pulumi-analyzer-policy-{RUNTIME}"
    plugin.parent.mkdir()
    plugin.write_text(_PLUGIN.format(python=python()), encoding="utf-8")
    plugin.chmod(0o755)
    return pack
