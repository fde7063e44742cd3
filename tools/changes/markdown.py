"""A report as Markdown: a comment on a pull request."""

import re
from collections.abc import Iterator, Mapping

from tools.changes import wording
from tools.changes.report import Report, SubjectChanges

LIMIT = 65_536
"""Characters that GitHub takes as a comment."""
_ROWS = 40
_SIGNS: Mapping[wording.Sign, str] = {"added": "➕", "removed": "➖", "changed": "✏️"}  # noqa: RUF001 - signs


def marker(stack: str) -> str:
    """The first line of a report, by which a comment that is there already is found again."""
    return f"<!-- change-report: {stack} -->"


def document(report: Report, *, pictures: Mapping[str, str] | None = None) -> str:
    """The report, at most LIMIT characters. `pictures` are files by the uid of a changed dashboard."""
    said = "\n".join(_body(report, pictures or {}))
    if len(said) > LIMIT // 2:
        said = _cut(said, LIMIT // 2, "the tables", report)
    return said + "\n" + _folded(report, LIMIT - len(said) - 1)


def _body(report: Report, pictures: Mapping[str, str]) -> Iterator[str]:
    yield marker(report.stack)
    yield f"## Change report of {_plain(report.stack)}"
    yield ""
    head = _code(report.head) if report.head else "the working tree"
    yield f"{_code(report.base)} → {head}: {_plain(wording.summary(report))}."
    yield ""
    if report.new_stack:
        yield from ("The base has no such stack: everything is new.", "")
    if report.breaking:
        yield "### Breaking"
        yield ""
        yield "Applications read outputs; what they read is gone, or is something else:"
        yield ""
        yield from (f"- {_plain(line)}" for line in report.breaking)
        yield ""
    totals = wording.totals(report)
    if totals:
        yield from ("### What it takes", "", "| | before | after | difference |", "|---|---|---|---|")
        yield from (f"| {' | '.join(row)} |" for row in totals)
        yield ""
    for found in report.subjects:
        yield from _table(found)
    if pictures:
        yield from ("### Pictures of changed dashboards", "", "As they are now, before the change, with live data:", "")
        yield from (f"![{uid}]({path})" for uid, path in pictures.items())
        yield ""


def _table(found: SubjectChanges) -> Iterator[str]:
    subject, rows = wording.subject(found), wording.rows(found)
    yield from (f"### {subject.title}: {wording.heading(found)}", "", f"| | {subject.one} | what |", "|---|---|---|")
    for row in rows[:_ROWS]:
        details = "<br>".join(_detail(row.sign, detail) for detail in row.details)
        names = f"{len(row.names)} {subject.many}: {_plain(row.name)}" if len(row.names) > 1 else _plain(row.name)
        yield f"| {_SIGNS[row.sign]} | {names} | {row.sign}{': ' if details else ''}{details} |"
    if len(rows) > _ROWS:
        yield f"\n… and {len(rows) - _ROWS} more, which the report for machines has."
    yield ""


def _detail(sign: wording.Sign, detail: wording.Detail) -> str:
    before, after = wording.excerpts(detail)
    field = _plain(detail.field)
    if not (before or after):
        return field
    if sign != "changed":
        return f"{field} {_code(after if before is None else before)}"
    return f"{field} {_said(before)} → {_said(after)}"


def _said(value: str | None) -> str:
    return "nothing" if value is None else _code(value)


def _code(value: str | None) -> str:
    """A span of code: nobody who is named in a value is notified, and no markup of a value is believed."""
    text = (value or " ").replace("\n", " ")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    # In a table a pipe ends the cell, in code as well.
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


def _plain(text: str) -> str:
    """Text in which nothing is markup, and no name notifies anybody."""
    escaped = re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", text)
    return escaped.replace("@", "@\u200b")


def _folded(report: Report, room: int) -> str:
    """The raw difference below a fold, as much of it as there is room for."""
    if not report.diff:
        return ""
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", report.diff)), default=0) + 1)
    head = f"<details>\n<summary>{wording.files(report)}</summary>\n\n{fence}diff\n"
    tail = f"\n{fence}\n\n</details>\n"
    left = room - len(head) - len(tail)
    return head + (report.diff if len(report.diff) <= left else _cut(report.diff, left, "the diff", report)) + tail


def _cut(text: str, most: int, what: str, report: Report) -> str:
    """The whole lines of `text` that fit, and a line that says how many more there are."""
    lines = text.splitlines()
    again = f"make diff BASE={report.base}{f' HEAD={report.head}' if report.head else ''} STACK={report.stack} JSON=1"
    kept: list[str] = []
    room = most - 200 - len(again)
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    left = len(lines) - len(kept)
    return "\n".join(
        [*kept, "", f"Cut: {left} more lines of {what} are over GitHub's {LIMIT:,} characters. All of it: {again}", ""]
    )
