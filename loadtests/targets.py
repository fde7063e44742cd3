"""What may be put under load: this machine, or a host that is named twice."""

import ipaddress
import re

from specs.model import SettingsError

# A strict pattern rather than a URL parser: parsers differ about what follows a backslash or an at sign.
_URL = re.compile(r"https?://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:(?P<port>[0-9]{1,5}))?/?")


def checked(target: str, *, allow_remote: str = "") -> str:
    """The base URL `target` without a slash at its end.

    Raises SettingsError when it is no base URL, or leads to another machine and `allow_remote` is not its host.
    """
    found = _URL.fullmatch(target)
    if found is None or int(found["port"] or 80) not in range(1, 65536):
        # Not repeated where it may hold a password.
        shown = "" if "@" in target else target
        raise SettingsError(f"TARGET={shown}: not a base URL (accepted: like http://127.0.0.1:8000)")
    host = found["host"].strip("[]").lower()
    if not _is_loopback(host) and allow_remote.lower() != host:
        raise SettingsError(
            f"TARGET={target}: not this machine (accepted: a loopback address; or, where the load is agreed on,"
            f" ALLOW_REMOTE={host})"
        )
    return target.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
