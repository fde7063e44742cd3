"""Writes the documents that say what the code says: run it after changing settings or alerts.

    python -m tools.documents            writes them
    python -m tools.documents --check    writes nothing; exits 1 and names what is stale

docs/runbooks/<Alert>.md    a page for each alert; what people write under "Notes" stays
docs/settings.md            every setting of a stack file
docs/stack.schema.json      the shape of a whole stack file, for editors
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from specs import exporters
from specs.model import inner_type, models_in, parse
from specs.monitoring import THRESHOLD, Alert, number
from specs.settings import KEY, Settings
from specs.stack import Stack, build

ROOT = Path(__file__).resolve().parent.parent
RUNBOOKS = "docs/runbooks"
EXPORTERS = "docs/exporters.md"
"""Written by people; its examples are read here, so that an exporter is documented in one place."""
NOTES_BEGIN = "<!-- notes: what stands between these two lines is kept -->"
NOTES_END = "<!-- end of notes -->"
_NO_NOTES = "None so far. Write here what helped.\n"
_CHANGED_BY = "python -m tools.documents"


def whole_stack() -> Stack:
    """A stack with every exporter, as `docs/exporters.md` shows it: its alerts are all there are.

    Raises SettingsError when an example there is not acceptable.
    """
    shown: dict[str, Any] = {}
    for block in re.findall(
        r"^```yaml\n(.*?)^```$", (ROOT / EXPORTERS).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        shown |= yaml.safe_load(block)["exporters"]
    value = {"environment": "example", "cluster": "example", "runtime": "process", "exporters": shown}
    return build(parse(Settings, value, file=EXPORTERS, key=KEY), file=EXPORTERS)


def _alerts(stack: Stack) -> dict[str, list[tuple[str, Alert]]]:
    """Alerts by name, each with the file of its rules; alerts that share a name share a page."""
    found: dict[str, list[tuple[str, Alert]]] = {}
    for group in stack.groups:
        for alert in group.alerts:
            found.setdefault(alert.name, []).append((f"rules/{group.name}.yml", alert))
    return found


def _notes(page: Path) -> str:
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    if NOTES_BEGIN not in text or NOTES_END not in text:
        return _NO_NOTES
    return text.partition(NOTES_BEGIN)[2].partition(NOTES_END)[0].lstrip("\n")


def _plain(text: str, alert: Alert) -> str:
    return text.replace(THRESHOLD, "" if alert.threshold is None else number(alert.threshold))


def runbook(name: str, alerts: list[tuple[str, Alert]], notes: str) -> str:
    """The page of the alert `name`."""
    file, first = alerts[0]
    several = len(alerts) > 1
    summaries = sorted({_readable(_plain(alert.summary, alert)) for _, alert in alerts})
    lines = [f"# {name}", ""]
    lines += ["| | |", "| --- | --- |", f"| Severity | {first.severity.value} |"]
    if several:
        lines.append(f"| One for each of | {', '.join(sorted(f'`{alert.service}`' for _, alert in alerts))} |")
    lines.append(f"| Rules | `{file}` |")
    if first.threshold is not None:
        changed = f"`alerting.overrides.{name}.threshold`"
        lines.append(f"| Limit | {number(first.threshold)}; a stack changes it by {changed} |")
    lines += ["", f"{summaries[0]}." if not several else f"{_common(summaries)}.", "", "## What it means", ""]
    lasting = "at once" if first.for_ == "0s" else f"after {first.for_}"
    lines += [
        f"It fires {lasting}, where this gives a result:",
        "",
        "```promql",
        _plain(first.expr.strip(), first),
        "```",
        "",
    ]
    if several:
        lines += [f"The expression of `{first.service}`; those of the others differ in the name only.", ""]
    lines += [
        f"It says: `{_plain(first.description, first)}`",
        "",
        "## What to do first",
        "",
        first.action,
        "",
        "## Notes",
        "",
    ]
    return "\n".join([*lines, NOTES_BEGIN, ""]) + notes + NOTES_END + "\n"


def _readable(text: str) -> str:
    """A text of an alert without Prometheus' own notation of labels."""
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", text)


def _common(summaries: list[str]) -> str:
    """What several sentences share, with a gap where they differ."""
    split = [summary.split() for summary in summaries]
    same = zip(*split, strict=True)
    return " ".join(words[0] if len(set(words)) == 1 else "…" for words in same)


_HOUSE_TYPES = frozenset({"duration", "duration or 0s", "size", "name", "host:port", "URL", "name of a secret"})


def _form(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:  # noqa: PLR0911 - a table of forms
    """In words, what a JSON Schema accepts."""
    if "$ref" in schema:
        return _form(cast("Mapping[str, Any]", definitions[schema["$ref"].rpartition("/")[2]]), definitions)
    if "anyOf" in schema:
        forms = [_form(branch, definitions) for branch in schema["anyOf"] if branch.get("type") != "null"]
        return " or ".join(dict.fromkeys(forms))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    one_of = re.fullmatch(r"\^\(([\w|-]+)\)\$", str(schema.get("pattern", "")))
    if one_of:
        return ", ".join(f"`{value}`" for value in one_of[1].split("|"))
    kinds = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of: {_form(cast('Mapping[str, Any]', schema['items']), definitions)}"
    if kind == "object":
        if set(schema.get("properties", {})) == {"secret"}:
            return "`{secret: <its name>}`"
        return "mapping"
    titled = schema["title"] if schema.get("title") in _HOUSE_TYPES else None
    bounds = [f"{words} {schema[key]}" for key, words in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join([str(titled or kinds.get(kind, kind)), *bounds])


def _default(value: object, *, required: bool) -> str:
    if required:
        return "required"
    if value is None or value == "":
        return "none"
    if isinstance(value, BaseModel):
        return ""
    return f"`{json.dumps(value, default=lambda other: other.value)}`"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    schema = model.model_json_schema(by_alias=True)
    definitions = cast("Mapping[str, Any]", schema.get("$defs", {}))
    for name, field in model.model_fields.items():
        key = field.alias or name
        path = f"{prefix}.{key}" if prefix else key
        value: object = field.get_default(call_default_factory=True)
        default = _default(None if value is PydanticUndefined else value, required=field.is_required())
        meaning = " ".join((field.description or _document(field.annotation)).split())
        form = _form(cast("Mapping[str, Any]", schema["properties"][key]), definitions)
        yield f"| `{path}` | {form} | {default} | {meaning} |"
        inner = inner_type(field.annotation)
        further = field.annotation if inner is None else inner
        step = path if inner is None else f"{path}[]" if "list" in form else f"{path}.<name>"
        for found in models_in(further):
            if set(found.model_fields) != {"secret"}:
                yield from _rows(found, step)


def _document(annotation: object) -> str:
    """A model's own first sentence, where a field says nothing."""
    found = models_in(annotation) or models_in(inner_type(annotation))
    return (found[0].__doc__ or "").partition("\n")[0] if found else ""


def settings_page() -> str:
    """`docs/settings.md`."""
    head = ["| Key | Accepted | Default | Meaning |", "| --- | --- | --- | --- |"]
    lines = [
        "# Settings",
        "",
        f"Everything that may stand under `config.{KEY}` of a stack file. Unknown keys are refused.",
        f"This page is made by `{_CHANGED_BY}`.",
        "",
        (
            "Forms: a *duration* is a number with `ms`, `s`, `m`, `h`, `d`, `w` or `y`, like `15s`,"
            " `1h30m` or `30d`; a *size* is a number"
        ),
        (
            "with `Mi`, `Gi` or `Ti`; a *name* is small letters, digits and dashes, at most 42; a *URL*"
            " has no user and no password in it."
        ),
        "`{secret: <its name>}` points at a secret that was set with `pulumi config set --secret <its name>`.",
        "",
        *head,
        *_rows(Settings, ""),
        "",
    ]
    for name, exporter in exporters.discover().items():
        lines += [f"## `exporters.{name}`", "", f"{exporter.summary[:1].upper()}{exporter.summary[1:]}.", "", *head]
        lines += [*_rows(exporter.settings, f"exporters.{name}"), ""]
    return "\n".join(lines)


def stack_schema() -> dict[str, Any]:
    """`docs/stack.schema.json`: a whole stack file."""
    settings = Settings.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = settings.pop("$defs", {})
    each: dict[str, Any] = {}
    for name, exporter in exporters.discover().items():
        schema = exporter.settings.model_json_schema(by_alias=True)
        for key, value in cast("Mapping[str, Any]", schema.pop("$defs", {})).items():
            if definitions.setdefault(key, value) != value:
                raise ValueError(f"two models are called {key}")
        definitions[exporter.settings.__name__] = schema
        each[name] = {"$ref": f"#/$defs/{exporter.settings.__name__}"}
    settings["properties"]["exporters"] = {
        "type": "object",
        "description": settings["properties"]["exporters"]["description"],
        "properties": each,
        "additionalProperties": False,
    }
    definitions["Settings"] = settings
    _close(definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A stack file of this project: Pulumi.<stack>.yaml",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": {KEY: {"$ref": "#/$defs/Settings"}},
                "required": [KEY],
                "additionalProperties": True,
            },
            "secretsprovider": {"type": "string", "description": "Who encrypts the stack's secrets."},
            "encryptionsalt": {"type": "string", "description": "Pulumi's own; left as it is."},
            "encryptedkey": {"type": "string", "description": "Pulumi's own; left as it is."},
        },
        "required": ["config"],
        "additionalProperties": False,
        "$defs": dict(sorted(definitions.items())),
    }


def _close(schema: object) -> None:
    """Keys with a form of their own are the only ones: pydantic says which are good, and leaves out that others are
    not."""
    if isinstance(schema, dict):
        mapping = cast("dict[str, Any]", schema)
        if "patternProperties" in mapping:
            mapping["additionalProperties"] = False
        for value in mapping.values():
            _close(value)
    elif isinstance(schema, list):
        for value in cast("list[object]", schema):
            _close(value)


def documents(root: Path) -> dict[str, str]:
    """Every document by its path below `root`, whose notes are kept."""
    made = {
        f"{RUNBOOKS}/{name}.md": runbook(name, alerts, _notes(root / RUNBOOKS / f"{name}.md"))
        for name, alerts in sorted(_alerts(whole_stack()).items())
    }
    made["docs/settings.md"] = settings_page()
    made["docs/stack.schema.json"] = json.dumps(stack_schema(), indent=2, ensure_ascii=False) + "\n"
    return made


def stale(root: Path) -> list[str]:
    """Paths of documents that are not what the code says, or that the code knows nothing of any more."""
    made = documents(root)
    there = {f"{RUNBOOKS}/{page.name}" for page in (root / RUNBOOKS).glob("*.md")}
    wrong = [
        path
        for path, text in made.items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    ]
    return sorted({*wrong, *(there - set(made))})


def write(root: Path) -> None:
    """Bring every document up to date; pages of alerts that are gone go too."""
    made = documents(root)
    for path in stale(root):
        file = root / path
        if path in made:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(made[path], encoding="utf-8")
        else:
            file.unlink()


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Write or check; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.documents", description="Writes the documents that say what the code says."
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; name what is stale, and fail if anything is"
    )
    if not parser.parse_args(arguments).check:
        write(root)
        return 0
    found = stale(root)
    for path in found:
        sys.stdout.write(f"{path} is stale: run {_CHANGED_BY}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
