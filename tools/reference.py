"""Reference pages and schemas, made from the models of what people write: stack files and profiles of systems."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from specs import exporters
from specs.model import inner_type, models_in
from specs.named_signals import named
from specs.profile import EXPORTERS, Http, Profile, Service
from specs.settings import KEY, Settings
from specs.signal import KINDS, SPOKEN, Signal, Unit
from specs.system import SystemSettings

MADE_BY = "python -m tools.documents"
_HEAD = ("| Key | Accepted | Default | Meaning |", "| --- | --- | --- | --- |")
_HOUSE_TYPES = frozenset({"duration", "duration or 0s", "size", "name", "host:port", "URL", "name of a secret"})
_BOUNDS = (("minimum", "from"), ("maximum", "to"), ("exclusiveMinimum", "over"), ("exclusiveMaximum", "under"))


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
        values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        inner = _form(cast("Mapping[str, Any]", values[0]), definitions) if values[0] not in (None, True, False) else ""
        return "mapping" if inner in {"", "mapping", "anything"} else f"mapping to: {inner}"
    titled = schema["title"] if schema.get("title") in _HOUSE_TYPES else None
    bounds = [f"{words} {schema[key]}" for key, words in _BOUNDS if key in schema]
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
        yield _cells(f"`{path}`", form, default, meaning)
        step, inside = _inside(field.annotation, path, form)
        for found in inside:
            yield from _rows(found, step)


def _inside(annotation: object, path: str, form: str) -> tuple[str, list[type[BaseModel]]]:
    """The models that entries of a value may be, and how people write the way to them."""
    while (inner := inner_type(annotation)) is not None:
        path = f"{path}[]" if form.startswith("list") else f"{path}.<name>"
        annotation, form = inner, form.partition(": ")[2]
    return path, [found for found in models_in(annotation) if set(found.model_fields) != {"secret"}]


def _document(annotation: object) -> str:
    """A model's own first sentence, where a field says nothing."""
    found = models_in(annotation) or models_in(inner_type(annotation))
    return (found[0].__doc__ or "").partition("\n")[0] if found else ""


def settings_page() -> str:
    """`docs/settings.md`."""
    lines = [
        "# Settings",
        "",
        f"Everything that may stand under `config.{KEY}` of a stack file. Unknown keys are refused.",
        f"This page is made by `{MADE_BY}`.",
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
        *_HEAD,
        *_rows(Settings, ""),
        "",
        "## `systems.<name>`",
        "",
        "Where a monitored system is in this environment; what it is stands in its profile ([systems.md](systems.md)).",
        "",
        *_HEAD,
        *_rows(SystemSettings, "systems.<name>"),
        "",
    ]
    for name, exporter in exporters.discover().items():
        lines += [f"## `exporters.{name}`", "", f"{exporter.summary[:1].upper()}{exporter.summary[1:]}.", "", *_HEAD]
        lines += [*_rows(exporter.settings, f"exporters.{name}"), ""]
    return "\n".join(lines)


_OF_KINDS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("`value: stock_items`, `combine: min`", {"value": "stock_items", "combine": "min"}),
    ("`rate: orders_total`, `per: 1m`", {"rate": "orders_total", "per": "1m"}),
    ("`increase: orders_total`, `window: 1h`", {"increase": "orders_total", "window": "1h"}),
    ("`quantile: 0.95`, `of: pay_seconds`", {"quantile": 0.95, "of": "pay_seconds"}),
    ("`mean: pay_seconds`", {"mean": "pay_seconds"}),
    ("`share: orders_total`, `where: {outcome: failed}`", {"share": "orders_total", "where": {"outcome": "failed"}}),
    ("`part: hits_total`, `rest: misses_total`", {"part": "hits_total", "rest": "misses_total"}),
    ("`ratio: pool_used`, `to: pool_size`", {"ratio": "pool_used", "to": "pool_size"}),
    ("`growth: queue_bytes`", {"growth": "queue_bytes"}),
    ("`promql: max by ($by) (age_seconds{$scope})`", {"promql": "max by ($by) (age_seconds{$scope})"}),
)
"""An example of each kind, as people write it and as it is."""


def _kinds() -> Iterator[str]:
    for kind, (written, keys) in zip(KINDS, _OF_KINDS, strict=True):
        signal = Signal(title="Example", **keys)
        counted = ", ".join(f"`{name}`" for name in signal.counted) or "none"
        became = signal.expr('app="bookshop"')
        yield _cells(kind, written, f"`{became}`", counted)


def _named() -> Iterator[str]:
    """The named signals, each with what a profile must say to have it."""

    def of(http: Http | None, *exporters: str) -> Mapping[str, Signal]:
        own = {"owner": "us", "services": {"web": Service()}, "http": http, "exporters": exporters}
        return named(Profile.model_validate(own))

    always = of(None)
    groups = [("", always), ("`http`", of(Http()))]
    groups += [(f"`exporters: [{exporter}]`", of(None, exporter)) for exporter in EXPORTERS]
    for needs, found in groups:
        for name, signal in found.items():
            if needs and name in always:
                continue
            asks = needs or ("`probes`" if "probe_" in signal.expr("") else "nothing")
            yield _cells(f"`{name}`", signal.title, signal.unit.value, signal.kind, asks, signal.description)


def systems_page() -> str:
    """`docs/systems.md`."""
    lines = [
        "# Systems",
        "",
        "Everything that may stand in the profile of a system, `systems/<name>.yaml`: what it is, whatever the",
        "environment. Where its parts are stands in the stack file, under `systems.<name>` ([settings](settings.md)).",
        "[Adding a system](adding-a-system.md) walks through one. Unknown keys are refused; editors complete and check",
        f"a profile by [system.schema.json](system.schema.json). This page is made by `{MADE_BY}`.",
        "",
        "## Keys of a profile",
        "",
        *_HEAD,
        *(row for row in _rows(Profile, "") if not row.startswith("| `signals.<name>.")),
        "",
        "## Signals",
        "",
        "A signal is what is measured, said once. Alerts, objectives, panels, recording rules and tests are made from",
        "it, so that none of them can disagree. Each result has the labels `app`, `environment` and `service`, and",
        "those of `by`. A signal of the profile takes the place of a named one of the same name.",
        "",
        *_HEAD,
        *_rows(Signal, "signals.<name>"),
        "",
        "### Kinds",
        "",
        "What each amounts to for the system `bookshop`. *Traffic* is what an alert looks at before it believes the",
        "value: below its `traffic` events a second it is quiet.",
        "",
        "| Kind | Written | Becomes | Traffic |",
        "| --- | --- | --- | --- |",
        *_kinds(),
        "",
        "### Units",
        "",
        "How alerts say a value, and what follows their limit; panels have the unit of the same name.",
        "",
        "| Unit | A value | Behind a limit |",
        "| --- | --- | --- |",
        *(_cells(f"`{unit.value}`", f"`{SPOKEN[unit][0]}`", SPOKEN[unit][1].strip() or "nothing") for unit in Unit),
        "",
        "### Named signals",
        "",
        "What most systems share. A profile has those of what it says it stands on.",
        "",
        "| Name | Title | Unit | Kind | Needs | Meaning |",
        "| --- | --- | --- | --- | --- | --- |",
        *_named(),
        "",
    ]
    return "\n".join(lines)


def _cells(*texts: str) -> str:
    """A row of a table."""
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"


def system_schema() -> dict[str, Any]:
    """`docs/system.schema.json`: a profile."""
    profile = Profile.model_json_schema(by_alias=True)
    _close(profile)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **profile,
        "title": "A profile of this project: systems/<name>.yaml",
    }


def stack_schema() -> dict[str, Any]:
    """`docs/stack.schema.json`: a whole stack file."""
    settings = Settings.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = settings.pop("$defs", {})

    def defined(model: type[BaseModel]) -> Mapping[str, Any]:
        schema = model.model_json_schema(by_alias=True)
        for key, value in cast("Mapping[str, Any]", schema.pop("$defs", {})).items():
            if definitions.setdefault(key, value) != value:
                raise ValueError(f"two models are called {key}")
        definitions[model.__name__] = schema
        return {"$ref": f"#/$defs/{model.__name__}"}

    each = {name: defined(exporter.settings) for name, exporter in exporters.discover().items()}
    systems = settings["properties"]["systems"]["patternProperties"]
    systems |= dict.fromkeys(systems, defined(SystemSettings))
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
