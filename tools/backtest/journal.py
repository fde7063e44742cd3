"""What servers answered, kept for a while: an interrupted backtest goes on where it was."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Labels = tuple[tuple[str, str], ...]
"""Labels of a series, in the order of their names."""
Run = tuple[int, int]
"""Steps in which a series is there without a gap: the first and the last, counted from 1970."""
Runs = Mapping[Labels, tuple[Run, ...]]
"""When each series of a result is there."""

KEPT = 86400
"""How long an answer is good for, in seconds."""


@dataclass(frozen=True, slots=True)
class Journal:
    """Answers by a key, a file each: whatever ends a run leaves whole answers behind."""

    directory: Path

    def sweep(self) -> None:
        """Remove what is too old."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self.directory.glob("*.json*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > KEPT:
                    path.unlink()

    def _path(self, key: tuple[str, ...]) -> Path:
        return self.directory / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]}.json"

    def get(self, key: tuple[str, ...]) -> Runs | None:
        """What was answered; None when it was not, or too long ago."""
        path = self._path(key)
        try:
            if time.time() - path.stat().st_mtime > KEPT:
                return None
            found = json.loads(path.read_text(encoding="utf-8"))
            return {
                tuple((name, value) for name, value in labels): tuple((first, last) for first, last in runs)
                for labels, runs in found
            }
        except (OSError, ValueError, TypeError):
            return None

    def put(self, key: tuple[str, ...], runs: Runs) -> None:
        """Keep an answer."""
        path = self._path(key)
        beside = path.with_suffix(f".json.{os.getpid()}")
        beside.write_text(json.dumps([[labels, list(found)] for labels, found in runs.items()]), encoding="utf-8")
        beside.rename(path)
