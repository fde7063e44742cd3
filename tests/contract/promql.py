"""What a PromQL expression asks for: the metrics that it selects, and the labels that it selects them by."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    | (?P<variable>\$\{[^}]*\}|\$\w+)
    | (?P<number>0x[0-9a-fA-F]+|(?:\d+(?:ms|[smhdwy]))+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
    | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    | (?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^<>=@,(){}\[\]:])
    """,
    re.VERBOSE,
)
_LISTS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
"""Words that a list of labels in brackets follows."""
_WORDS = _LISTS | {"and", "or", "unless", "bool", "offset", "inf", "nan", "start", "end", "atan2"}
_AGGREGATIONS = frozenset({
    *("sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values", "bottomk", "topk", "quantile"),
    *("limitk", "limit_ratio"),
})  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Matcher:
    """A condition on a label."""

    label: str
    operator: str
    value: str

    def matches(self, value: str) -> bool:
        """Whether a label of this value meets it."""
        same = self.value == value if self.operator in {"=", "!="} else re.fullmatch(self.value, value) is not None
        return same == (self.operator in {"=", "=~"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """A metric and the conditions on its labels."""

    metric: str
    matchers: tuple[Matcher, ...] = ()

    def of(self, label: str) -> str | None:
        """The one value that the label must have; None when it may have others."""
        return next((found.value for found in self.matchers if (found.label, found.operator) == (label, "=")), None)


def _tokens(expr: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(expr):
        token = _TOKEN.match(expr, at)
        if token is None:
            raise ValueError(f"no PromQL at {expr[at : at + 20]!r} of {expr!r}")
        if token.lastgroup != "space":
            found.append((str(token.lastgroup), token[0]))
        at = token.end()
    return found


def _after(tokens: list[tuple[str, str]], at: int, opening: str, closing: str) -> int:
    """Where it goes on after the bracket that opens at `at`."""
    depth = 0
    while True:
        depth += {opening: 1, closing: -1}.get(tokens[at][1], 0) if tokens[at][0] == "sign" else 0
        at += 1
        if depth == 0:
            return at


def selectors(expr: str) -> Iterator[Selector]:
    """Every selector of an expression, in its order; Grafana's variables may stand in it."""
    tokens = _tokens(expr)
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if text == "[":
            at = _after(tokens, at, "[", "]")
        elif kind == "name" and text.lower() in _LISTS and following == "(":
            at = _after(tokens, at + 1, "(", ")")
        elif (kind == "name" and text.lower() not in _WORDS | _AGGREGATIONS and following != "(") or text == "{":
            begin = at if text == "{" else at + 1
            end = _after(tokens, begin, "{", "}") if begin < len(tokens) and tokens[begin][1] == "{" else begin
            yield _selector("" if text == "{" else text, tokens[begin + 1 : max(begin + 1, end - 1)])
            at = end
        else:
            at += 1


def _selector(metric: str, inside: list[tuple[str, str]]) -> Selector:
    matchers: list[Matcher] = []
    while inside:
        (_, label), (_, operator), (_, value), *inside = inside
        if inside and inside[0][1] == ",":
            inside = inside[1:]
        matchers.append(Matcher(label=label, operator=operator, value=_unquoted(value)))
    if not metric:
        metric = next((found.value for found in matchers if (found.label, found.operator) == ("__name__", "=")), "")
    return Selector(metric=metric, matchers=tuple(matchers))


def _unquoted(text: str) -> str:
    return text[1:-1] if text[0] == "`" else re.sub(r"\\(.)", r"\1", text[1:-1])
