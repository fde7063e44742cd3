"""What a server does to its alerts' labels before Alertmanager sees them."""

import re
from collections.abc import Mapping
from typing import Any

from tools.backtest.rules import Language, Rules


def sent(labels: Mapping[str, str], language: Language, rules: Rules) -> dict[str, str] | None:
    """The labels with which an alert is sent: external ones where it has none of the name, and, of Prometheus, what
    `alert_relabel_configs` make of them. None: it is dropped."""
    found = {**rules.external.get(language, {}), **labels}
    if language is Language.PROMQL:
        for rule in rules.relabel:
            changed = _relabelled(found, rule)
            if changed is None:
                return None
            found = changed
    return {name: value for name, value in found.items() if value}


def _relabelled(labels: dict[str, str], rule: Mapping[str, Any]) -> dict[str, str] | None:
    pattern = re.compile(str(rule.get("regex", "(.*)")), re.DOTALL)
    match rule.get("action", "replace"):
        case "labeldrop":
            return {name: value for name, value in labels.items() if not pattern.fullmatch(name)}
        case "labelkeep":
            return {name: value for name, value in labels.items() if pattern.fullmatch(name)}
        case action:
            names = rule.get("source_labels") or ()
            found = pattern.fullmatch(str(rule.get("separator", ";")).join(labels.get(name, "") for name in names))
            if action in {"keep", "drop"}:
                return labels if bool(found) == (action == "keep") else None
            if action != "replace" or not found:
                return labels
            value = re.sub(
                r"\$(?:\{(\w+)\}|(\d+))",
                lambda group: found[int(number)] or "" if (number := group[1] or group[2]).isdigit() else "",
                str(rule.get("replacement", "$1")),
            )
            return {**labels, rule["target_label"]: value}
