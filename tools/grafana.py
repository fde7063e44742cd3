"""Starts a Grafana in the working directory: `python -m tools.grafana PATH-OF-GRAFANA`.

Grafana wants to know where it is installed, and takes every relative path from there. Our paths are relative to the
working directory, so that rendered files are the same on every machine; here they become absolute.
"""

import os
import sys
from pathlib import Path

_SHARES = ("/usr/share/grafana", "/usr/local/share/grafana", "/opt/homebrew/opt/grafana/share/grafana")


def installation(executable: Path) -> Path | None:
    """The directory with `conf/defaults.ini` that belongs to `executable`; None when there is none."""
    real = executable.resolve()
    candidates = [*list(real.parents)[:3], real.parent.parent / "share" / "grafana", *map(Path, _SHARES)]
    return next((path for path in candidates if (path / "conf" / "defaults.ini").is_file()), None)


def environment(base: dict[str, str], here: Path) -> dict[str, str]:
    """`base` with Grafana's paths made absolute from `here`."""
    found = dict(base)
    for key, value in base.items():
        if key.startswith("GF_PATHS_"):
            found[key] = os.path.normpath(here / value)
    return found


def main() -> None:
    """Replace this process by Grafana."""
    executable = Path(sys.argv[1])
    home = installation(executable)
    if home is None:
        sys.exit(f"{executable}: no installation with conf/defaults.ini around it")
    arguments = [str(executable), "server", f"--homepath={home}"]
    os.execve(executable, arguments, environment(dict(os.environ), Path.cwd()))  # noqa: S606 - Grafana itself


if __name__ == "__main__":
    main()
