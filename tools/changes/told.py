"""Who is told of an alert, by a rendered Alertmanager file."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Literal, cast

from specs.routing import Matcher, Route, told, walk

_MATCHER = re.compile(r'\s*(\w+)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*')
LABELS: tuple[str, ...] = ("app", "service")
"""What routes ask for that an alert's series have, and not the alert itself."""


def matcher(text: str) -> Matcher:
    """A condition as Alertmanager's files have it: `severity = "critical"`."""
    found = _MATCHER.fullmatch(text)
    label, operator, value = found.groups() if found else (text, "=", "")
    return Matcher(label=label, value=value, operator=cast(Literal["=", "!=", "=~", "!~"], operator))


def route(node: Mapping[str, Any]) -> Route:
    """A node of the tree, with those below it, out of an Alertmanager file."""
    return Route(
        receiver=node.get("receiver", ""),
        matchers=tuple(matcher(text) for text in node.get("matchers", ())),
        continues=bool(node.get("continue")),
        group_by=tuple(node.get("group_by", ())),
        wait=node.get("group_wait", ""),
        interval=node.get("group_interval", ""),
        repeat=node.get("repeat_interval", ""),
        mute=tuple(node.get("mute_time_intervals", ())),
        routes=tuple(route(inner) for inner in node.get("routes", ())),
    )


class Told:
    """Who is told, remembered by the labels that routes ask for: many alerts come with the same."""

    def __init__(self, root: Route) -> None:
        self._root = root
        asked = tuple(dict.fromkeys(each for node in walk(root) for each in node.matchers))
        self._conditions = asked
        self._known: dict[tuple[bool, ...], tuple[str, ...]] = {}
        self.asked = {
            label: tuple(dict.fromkeys(each.value for each in asked if each.label == label and each.operator == "="))
            for label in LABELS
        }
        """Values of LABELS that some route asks for."""

    def receivers(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Receivers of an alert with `labels`, by name: all are told at once."""
        key = tuple(condition.matches(labels) for condition in self._conditions)
        if key not in self._known:
            self._known[key] = tuple(sorted(told(self._root, labels)))
        return self._known[key]

    def cases(self, labels: Mapping[str, str], values: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
        """Receivers of an alert for each combination of `values` of LABELS with which it can come, the usual one first:
        `""` → `slack`, `roadtrip security` → `security-team, slack`. What all have in common is not named."""
        told_apart = [label for label in LABELS if len(values[label]) > 1]
        for combination in product(*(values[label] for label in LABELS)):
            found = dict(zip(LABELS, combination, strict=True))
            name = " ".join(found[label] for label in told_apart if found[label])
            yield name, ", ".join(self.receivers({**labels, **found}))
