"""What is asked for: settings out of the environment, each checked before anything is touched."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path


class PictureError(Exception):
    """Pictures cannot be taken; `str()` is one line that says why and what is accepted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """Which dashboards of which Grafana, and how the pictures shall be."""

    url: str
    """Address of the Grafana, without a slash at its end."""
    token: str = field(default="", repr=False)
    """A service account's; empty: the user's password, or what everybody may see."""
    user: str = "admin"
    password: str = field(default="", repr=False)
    dashboards: tuple[str, ...] = ()
    """Patterns of uids; none: all."""
    out: Path
    """Directory of the pictures."""
    range: str = ""
    """How far back, as `6h`; empty: each dashboard's own."""
    width: int = 1600
    """Pixels."""
    theme: str = "dark"
    wait: int = 60
    """Seconds that a dashboard may take."""
    chromium: Path | None = None
    """None: the one that `tools.native` finds."""

    def wants(self, uid: str) -> bool:
        """Whether the dashboard is asked for."""
        return not self.dashboards or any(fnmatchcase(uid, pattern) for pattern in self.dashboards)


def _matching(environment: Mapping[str, str], name: str, default: str, pattern: str, accepted: str) -> str:
    value = environment.get(name) or default
    if not re.fullmatch(pattern, value):
        raise PictureError(f'{name}: "{value}" will not do (accepted: {accepted})')
    return value


def _number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = environment.get(name) or str(default)
    if not value.isdecimal() or not least <= int(value) <= most:
        raise PictureError(f'{name}: "{value}" will not do (accepted: a number from {least} to {most})')
    return int(value)


def _password(environment: Mapping[str, str]) -> str:
    name = environment.get("GRAFANA_PASSWORD_FILE", "")
    if not name:
        return ""
    try:
        password = Path(name).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise PictureError(f"GRAFANA_PASSWORD_FILE: {name}: {error.strerror} (accepted: a file to read)") from error
    if not password:
        raise PictureError(f"GRAFANA_PASSWORD_FILE: {name} is empty (accepted: a file with the password)")
    return password


def _chromium(environment: Mapping[str, str]) -> Path | None:
    name = environment.get("CHROMIUM", "")
    if name and not (Path(name).is_file() and os.access(name, os.X_OK)):
        raise PictureError(f'CHROMIUM: "{name}" is no program (accepted: the path of a Chromium or Chrome)')
    return Path(name) if name else None


def read(environment: Mapping[str, str]) -> Request:
    """The request that stands in `environment`. Raises PictureError, naming the variable that will not do."""
    return Request(
        url=_matching(
            environment,
            "GRAFANA_URL",
            "http://127.0.0.1:3000",
            r"https?://[^\s/@?#]+[^\s?#]*",
            "http(s)://host:port/path",
        ).rstrip("/"),
        token=environment.get("GRAFANA_TOKEN", ""),
        user=environment.get("GRAFANA_USER") or "admin",
        password=_password(environment),
        dashboards=tuple(filter(None, re.split(r"[,\s]+", environment.get("DASHBOARD", "")))),
        out=Path(environment.get("OUT") or "docs/pictures"),
        range=_matching(environment, "RANGE", "", r"(\d+[smhdw])?", "15m, 6h, 7d"),
        width=_number(environment, "WIDTH", 1600, 400, 7680),
        theme=_matching(environment, "THEME", "dark", r"dark|light", "dark, light"),
        wait=_number(environment, "WAIT", 60, 1, 3600),
        chromium=_chromium(environment),
    )
