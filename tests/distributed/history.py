"""Blocks of samples from long ago, as a Prometheus would have made them at that time."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools import native

HOUR = 3600


def blocks(scratch: Path, series: Mapping[str, Sequence[tuple[float, float]]]) -> list[Path]:
    """Blocks of two hours each with `series`: name and labels → seconds since 1970 and values. All are gauges."""
    lines: list[str] = []
    for name, samples in series.items():
        lines.append(f"# TYPE {name.partition('{')[0]} gauge")
        lines += [f"{name} {value:g} {at:.3f}" for at, value in samples]
    scratch.mkdir(parents=True)
    written, made = scratch / "samples.txt", scratch / "blocks"
    written.write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
    (promtool,) = (each.path for each in native.ensure(["promtool"]).values() if each.name == "promtool")
    subprocess.run(
        [str(promtool), "tsdb", "create-blocks-from", "openmetrics", str(written), str(made)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return sorted(path for path in made.iterdir() if (path / "meta.json").exists())


def hand_over(found: Sequence[Path], data: Path) -> None:
    """Move blocks into the data directory of a Prometheus that runs; each is there as a whole or not at all."""
    for path in found:
        between = data / f"{path.name}.tmp-for-test"
        shutil.copytree(path, between)
        between.rename(data / path.name)
