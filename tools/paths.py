"""Where this project's own files stand."""

import os
from pathlib import Path

from specs.model import SettingsError

ROOT = Path(__file__).resolve().parent.parent


def state() -> Path:
    """What this machine's stacks leave behind: `.state`, or OBSERVABILITY_STATE when that is set."""
    return Path(os.environ.get("OBSERVABILITY_STATE") or ROOT / ".state").resolve()


def stack_file(stack: str) -> Path:
    """The stack's file. Raises SettingsError, naming those that exist, when there is none."""
    path = ROOT / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = sorted(file.name.split(".")[1] for file in ROOT.glob("Pulumi.*.yaml"))
        raise SettingsError(f"{path.name}: no such stack (accepted: {', '.join(known)}, or write the file)")
    return path
