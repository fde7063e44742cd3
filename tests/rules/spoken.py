"""What Prometheus' templates make of a text: the few forms that alerts use, said again independently."""

import math
import re
from collections.abc import Callable, Mapping


def humanize(value: float) -> str:
    """Four digits and a prefix: 1234567 is 1.235M."""
    if value == 0:
        return "0"
    prefixes = ("", "k", "M", "G", "T") if abs(value) >= 1 else ("", "m", "u", "n", "p")
    factor = 0.001 if abs(value) >= 1 else 1000.0
    for prefix in prefixes:
        if (abs(value) < 1000) if abs(factor) < 1 else (abs(value) >= 1):
            return f"{value:.4g}{prefix}"
        value *= factor
    return f"{value:.4g}{prefixes[-1]}"


def humanize1024(value: float) -> str:
    """Four digits and a binary prefix."""
    if abs(value) <= 1:
        return f"{value:.4g}"
    prefix = ""
    for prefix in ("", "ki", "Mi", "Gi", "Ti"):  # noqa: B007 - the last one is used
        if abs(value) < 1024:
            break
        value /= 1024
    return f"{value:.4g}{prefix}"


def humanize_duration(value: float) -> str:
    """The two or three largest units of a length of time."""
    if value == 0:
        return "0s"
    if abs(value) < 1:
        return f"{value * 1000:.4g}ms"
    whole, rest = divmod(int(value), 60)
    days, hours, minutes = whole // 1440, whole // 60 % 24, whole % 60
    if days:
        return f"{days}d {hours}h {minutes}m {rest}s"
    if hours:
        return f"{hours}h {minutes}m {rest}s"
    if minutes:
        return f"{minutes}m {rest}s"
    return f"{value:.4g}s"


def _plain(value: float) -> str:
    return f"{value:.0f}" if value == math.floor(value) and abs(value) < 1e15 else repr(value)


FORMS: Mapping[str, Callable[[float], str]] = {
    "humanize": humanize,
    "humanize1024": humanize1024,
    "humanizeDuration": humanize_duration,
    "humanizePercentage": lambda value: f"{value * 100:.4g}%",
    'printf "%.2f"': lambda value: f"{value:.2f}",
    "": _plain,
}


def spoken(text: str, labels: Mapping[str, str], value: float) -> str:
    """`text` with labels and value in the places of its templates."""
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: labels.get(match[1], ""), text)
    return re.sub(r"\{\{ \$value(?: \| ([^}]+?))? \}\}", lambda match: FORMS[match[1] or ""](value), text)
