"""Values that a JSON schema describes, and changes to a document that it describes: most are good, some are not."""

import copy
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Schema = Mapping[str, Any]

AWKWARD: tuple[Any, ...] = (
    *(
        "",
        " ",
        "a b",
        "a\nb",
        "a\tb",
        "\x00",
        "\x1b[31m",
        "ü",
        "日本",
        "\u202eabc",
        "e\u0301",
        "\ud83d",
        "٣s",
        "٣",
        "1e400",
    ),
    *("'", '"', "\\", "`", "{{ .x }}", "{{", "${HOME}", "$1", "%s", "{x}", "a: b", "- x", "#c", "&a", "*a", "!x", "|"),
    *(
        "null",
        "true",
        "yes",
        "~",
        "0x1",
        "007",
        "../../etc/passwd",
        "/",
        "//",
        "<b>",
        "a;b",
        "a,b",
        "(",
        "[",
        "?",
        "a" * 300,
    ),
    *("http://", "https://u:p@host/", "host:0", "host:65536", "[::1]:80", "-", "--", "0s", "1y1y", "0Mi", "99999999Ti"),
    *("9999999999999y", "default", "kube-system", "observability", "inbox", "stack", "prometheus", "loki", "watchdog"),
    *(0, -1, 1, 2, 65535, 65536, 2**31, 2**63, 2**64, 10**30, 0.1, -0.5, 1e-300, 1e308, float("inf"), float("nan")),
    *(True, False, None),
)
"""What people type by mistake, and what programs take for something else."""
NAMES = ("a", "web", "main", "shop", "team", "prometheus", "a-b", "a_b", "A", "z" * 42, "z" * 43, "0", "1a")
"""Keys of mappings, some of them colliding with what a stack has."""


class Shapes:
    """Strategies for the parts of one schema."""

    def __init__(self, schema: Schema, root: Schema) -> None:
        self._definitions: Mapping[str, Schema] = schema.get("$defs", {})
        self.root = root
        self._made: dict[int, SearchStrategy[Any]] = {}

    def _resolved(self, schema: Schema) -> Schema:
        reference = schema.get("$ref")
        return self._definitions[reference.rpartition("/")[2]] if reference else schema

    def values(self, schema: Schema, depth: int = 0) -> SearchStrategy[Any]:
        """Values that `schema` describes; `depth` levels deep in another."""
        found = self._made.get(id(schema))
        if found is None or depth:
            found = self._values(schema, depth)
            if not depth:
                self._made[id(schema)] = found
        return found

    def _values(self, schema: Schema, depth: int) -> SearchStrategy[Any]:  # noqa: PLR0911 - a table of types
        schema = self._resolved(schema)
        if "anyOf" in schema:
            return st.one_of([self.values(each, depth) for each in schema["anyOf"]])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        match schema.get("type"):
            case "null":
                return st.none()
            case "boolean":
                return st.booleans()
            case "integer":
                return st.sampled_from(_edges(schema, 1)) | st.integers(_low(schema, 1), _high(schema, 1))
            case "number":
                return st.sampled_from(_edges(schema, 0.5)) | st.floats(_low(schema, 0.0), _high(schema, 0.5))
            case "array":
                return st.lists(
                    self.values(schema.get("items", {}), depth + 1), min_size=schema.get("minItems", 0), max_size=3
                )
            case "object":
                return self._mappings(schema, depth)
            case "string":
                return _texts(schema)
            case _:
                return st.sampled_from(AWKWARD)

    def _mappings(self, schema: Schema, depth: int) -> SearchStrategy[dict[str, Any]]:
        properties: Mapping[str, Schema] = schema.get("properties", {})
        required = {key: self.values(properties[key], depth + 1) for key in schema.get("required", ())}
        if properties and depth < 4:
            optional = {key: self.values(each, depth + 1) for key, each in properties.items() if key not in required}
            return st.fixed_dictionaries(required, optional=optional) if depth < 2 else st.fixed_dictionaries(required)
        if properties:
            return st.fixed_dictionaries(required)
        inside = self._inside(schema)
        if not isinstance(inside, Mapping):
            return st.dictionaries(st.sampled_from(NAMES), st.sampled_from(AWKWARD), max_size=2)
        fewest = schema.get("minProperties", 0)
        return st.dictionaries(
            st.sampled_from(NAMES), self.values(inside, depth + 1), min_size=fewest, max_size=max(2, fewest)
        )

    @staticmethod
    def _inside(schema: Schema) -> Schema | bool | None:
        return next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))

    def change(self, draw: DrawFn, document: dict[str, Any]) -> None:
        """Change something somewhere in `document`."""
        schema, here = self._resolved(self.root), document
        for _ in range(8):
            keys = [*schema.get("properties", {})]
            inside = self._inside(schema)
            there: Schema | None = None
            if keys:
                # What stands there already is where cross-references are.
                key = draw(st.sampled_from([*keys, *(each for each in keys if each in here)]))
                there = schema["properties"][key]
            else:
                key = draw(st.sampled_from([*here, *here, *NAMES]))
                there = inside if isinstance(inside, Mapping) else None
            choices = [self._resolved(each) for each in (there or {}).get("anyOf", [there or {}])]
            deeper = next((each for each in choices if each.get("type") == "object"), None)
            if deeper is not None and draw(st.integers(0, 3)):
                if not isinstance(here.get(key), dict):
                    here[key] = {}
                schema, here = deeper, here[key]
                continue
            _put(draw, here, key, self.values(there) if there else st.sampled_from(AWKWARD))
            return


def _put(draw: DrawFn, here: dict[str, Any], key: str, good: SearchStrategy[Any]) -> None:
    # The first of hypothesis' choices are the likeliest.
    match draw(st.integers(0, 15)):
        case 15:
            here.pop(key, None)
        case 14:
            here[f"{key}s"] = draw(good)
        case 13 | 12:
            here[key] = draw(st.sampled_from(AWKWARD))
        case 11 if isinstance(here.get(key), list) and here[key]:
            here[key] = [*here[key], draw(st.sampled_from([*here[key], *AWKWARD]))]
        case 10 if here:
            here[key] = copy.deepcopy(here[draw(st.sampled_from(sorted(here, key=str)))])
        case _:
            here[key] = draw(good)


def _low(schema: Schema, least: float) -> Any:
    return schema.get("minimum", schema.get("exclusiveMinimum", -1000) + least)


def _high(schema: Schema, least: float) -> Any:
    return schema.get("maximum", schema.get("exclusiveMaximum", 10**6) - least)


def _edges(schema: Schema, step: float) -> list[Any]:
    low, high = _low(schema, step), _high(schema, step)
    return [low, high, low - step, high + step, 10**18]


def _texts(schema: Schema) -> SearchStrategy[Any]:
    good: list[SearchStrategy[Any]] = []
    if examples := schema.get("examples"):
        good += [st.sampled_from(examples)] * 2
    if (usual := schema.get("default")) is not None:
        good.append(st.just(usual))
    if pattern := schema.get("pattern"):
        good.append(st.from_regex(str(pattern), fullmatch=True))
    if not good:
        good.append(st.sampled_from(NAMES) | st.text(max_size=8))
    return st.one_of(*good)


@st.composite
def changed(draw: DrawFn, shapes: Shapes, documents: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    """One of `documents` with one to three changes."""
    document = copy.deepcopy(dict(draw(st.sampled_from(documents))))
    for _ in range(draw(st.sampled_from((1, 1, 1, 1, 2, 2, 3)))):
        shapes.change(draw, document)
    return document
