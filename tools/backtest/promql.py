"""What an expression selects, and how a recorded series in it is computed instead: PromQL in, PromQL out."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tools.backtest.rules import Record

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    | (?P<number>0[xX][0-9a-fA-F]+|(?:\d+(?:ms|[smhdwy]))+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
    | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    | (?P<sign>=~|!~|!=|==|<=|>=|\|[=~>]|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LISTS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
"""Words that a list of labels in brackets follows."""
_WORDS = _LISTS | {"and", "or", "unless", "bool", "offset", "inf", "nan", "start", "end", "atan2"}
_AGGREGATIONS = frozenset({
    *("sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values", "bottomk", "topk", "quantile"),
    *("limitk", "limit_ratio"),
})  # fmt: skip
NOTHING = "(vector(0) < 0)"
"""An expression without a result."""
_MARK = "__kept__"


@dataclass(frozen=True, kw_only=True, slots=True)
class Matcher:
    """A condition on a label, as it is written."""

    label: str
    operator: str
    value: str

    def matches(self, value: str) -> bool:
        """Whether a label of this value meets it; no label is an empty one."""
        same = self.value == value if self.operator in {"=", "!="} else re.fullmatch(self.value, value) is not None
        return same == (self.operator in {"=", "=~"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """A metric and the conditions on its labels, at its place in an expression."""

    metric: str
    """Empty: the conditions alone say what is selected."""
    matchers: tuple[Matcher, ...]
    begin: int
    end: int
    """Where the selector stands, without what follows it."""
    range: str
    """`5m` of `[5m]`; empty: an instant."""
    subquery: bool
    """Whether the range has a step, as in `[5m:1m]`."""
    moved: str
    """`offset 1h` and `@ end()` as they are written behind it; empty: none."""
    after: int
    """Where the expression goes on after all of that."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    begin: int
    end: int


def _tokens(expr: str) -> list[_Token]:
    return [
        _Token(str(token.lastgroup), token[0], token.start(), token.end())
        for token in _TOKEN.finditer(expr)
        if token.lastgroup != "space"
    ]


def _closing(tokens: Sequence[_Token], at: int, opening: str, closing: str) -> int:
    """Where it goes on after the bracket that opens at `at`; the end when nothing closes it."""
    depth = 0
    while at < len(tokens):
        if tokens[at].kind == "sign":
            depth += {opening: 1, closing: -1}.get(tokens[at].text, 0)
        at += 1
        if depth == 0:
            return at
    return at


def selectors(expr: str) -> Iterator[Selector]:
    """Every selector of a PromQL expression, in its order."""
    tokens = _tokens(expr)
    at = 0

    def text(index: int) -> str:
        return tokens[index].text if index < len(tokens) else ""

    while at < len(tokens):
        token = tokens[at]
        if token.text == "[" and token.kind == "sign":
            at = _closing(tokens, at, "[", "]")
        elif token.kind == "name" and token.text.lower() in _LISTS and text(at + 1) == "(":
            at = _closing(tokens, at + 1, "(", ")")
        elif _selects(token, text(at + 1)):
            begin = at if token.text == "{" else at + 1
            end = _closing(tokens, begin, "{", "}") if text(begin) == "{" else begin
            found = _selector(expr, tokens, at, begin, end)
            yield found
            while at < len(tokens) and tokens[at].begin < found.after:
                at += 1
        else:
            at += 1


def _selects(token: _Token, following: str) -> bool:
    if token.kind == "name":
        return token.text.lower() not in _WORDS | _AGGREGATIONS and following != "("
    return token.kind == "sign" and token.text == "{"


def _selector(expr: str, tokens: Sequence[_Token], at: int, begin: int, end: int) -> Selector:
    metric = tokens[at].text if at != begin else ""
    matchers = tuple(_matchers(tokens[begin + 1 : max(begin + 1, end - 1)]))
    after, length, subquery = end, "", False
    if after < len(tokens) and tokens[after].text == "[":
        after = _closing(tokens, after, "[", "]")
        inside = expr[tokens[end].end : tokens[after - 1].begin]
        length, _, _ = inside.partition(":")
        subquery = ":" in inside
    moved = after
    while moved < len(tokens) and tokens[moved].text in {"offset", "@"}:
        moved += 1
        if tokens[moved].text in {"-", "+"}:
            moved += 1
        moved = _closing(tokens, moved + 1, "(", ")") if tokens[moved].text in {"start", "end"} else moved + 1
    name = next((one.value for one in matchers if (one.label, one.operator) == ("__name__", "=")), "")
    return Selector(
        metric=metric or name,
        matchers=tuple(one for one in matchers if one.label != "__name__" or one.operator != "="),
        begin=tokens[at].begin,
        end=tokens[end - 1].end,
        range=length.strip(),
        subquery=subquery,
        moved=expr[tokens[after].begin : tokens[moved - 1].end] if moved > after else "",
        after=tokens[moved - 1].end,
    )


def _matchers(inside: Sequence[_Token]) -> Iterator[Matcher]:
    at = 0
    while at < len(inside):
        label = _unquoted(inside[at])
        if at + 2 < len(inside) and inside[at + 1].kind == "sign" and inside[at + 1].text != ",":
            yield Matcher(label=label, operator=inside[at + 1].text, value=_unquoted(inside[at + 2]))
            at += 3
        else:
            # A name in quotes stands among the conditions.
            yield Matcher(label="__name__", operator="=", value=label)
            at += 1
        at += at < len(inside) and inside[at].text == ","


def _unquoted(token: _Token) -> str:
    if token.kind != "text":
        return token.text
    return token.text[1:-1] if token.text[0] == "`" else re.sub(r"\\(.)", r"\1", token.text[1:-1])


def quoted(text: str) -> str:
    """A string of PromQL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def streams(expr: str) -> list[str]:
    """The stream selectors of a LogQL expression, as they are written."""
    tokens = _tokens(expr)
    opened = [at for at, token in enumerate(tokens) if token.kind == "sign" and token.text == "{"]
    return [expr[tokens[at].begin : tokens[_closing(tokens, at, "{", "}") - 1].end] for at in opened]


@dataclass(frozen=True, kw_only=True, slots=True)
class Computed:
    """What stands in the place of a recorded series."""

    rules: tuple[Record, ...]
    recorded: bool = False
    """Whether the history has the series, and only lacks these definitions of it."""


def substituted(expr: str, computed: Callable[[str], Computed | None]) -> str:
    """`expr` with every series for which `computed` gives something computed, and those inside of it likewise."""
    pieces: list[str] = []
    done = 0
    for found in selectors(expr):
        replacing = computed(found.metric) if found.metric else None
        if replacing is None:
            continue
        pieces += [expr[done : found.begin], _replacement(expr, found, replacing, computed)]
        done = found.after
    return "".join((*pieces, expr[done:]))


def _replacement(expr: str, found: Selector, replacing: Computed, computed: Callable[[str], Computed | None]) -> str:
    parts = [
        _filtered(_labelled(substituted(rule.expr, computed), rule.labels), found.matchers, rule.labels)
        for rule in replacing.rules
        if all(one.matches(rule.labels[one.label]) for one in found.matchers if one.label in rule.labels)
    ]
    if replacing.recorded:
        parts.insert(0, expr[found.begin : found.end])
    inner = f"({' or '.join(parts)})" if parts else NOTHING
    step = f"{round(1000 * replacing.rules[0].interval) if replacing.rules else 60_000}ms"
    moved = f" {found.moved}" if found.moved else ""
    if found.subquery:
        return inner + expr[found.end : found.after]
    if found.range:
        return f"{inner}[{found.range}:{step}]{moved}"
    return f"last_over_time({inner}[{step}:{step}]{moved})" if moved else inner


def _labelled(expr: str, labels: Mapping[str, str]) -> str:
    """The expression's result with a rule's labels."""
    text = f"({expr})"
    for label, value in labels.items():
        text = f'label_replace({text}, {quoted(label)}, {quoted(value.replace("$", "$$"))}, "", "")'
    return text


def _filtered(expr: str, matchers: Sequence[Matcher], known: Mapping[str, str]) -> str:
    """The part of an expression's result that meets the conditions on labels that are not `known`.

    PromQL has no conditions on results: what meets one is marked, kept by its mark, and the mark is removed.
    """
    text = expr
    for matcher in matchers:
        if matcher.label in known:
            continue
        pattern = matcher.value if matcher.operator in {"=~", "!~"} else re.escape(matcher.value)
        label = quoted(matcher.label)
        marked = f'label_replace({text}, "{_MARK}", "1", {label}, {quoted(pattern)})'
        mark = f'label_replace(vector(1), "{_MARK}", "1", "", "")'
        keep = "and" if matcher.operator in {"=", "=~"} else "unless"
        text = f'label_replace({marked} {keep} on ({_MARK}) {mark}, "{_MARK}", "", "", "")'
    return text
