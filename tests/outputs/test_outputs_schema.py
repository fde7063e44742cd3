"""The schema of the outputs, the page about them, and what stacks really tell."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import jsonschema
import pytest

from specs import outputs as declared
from tests.outputs.told import ROOT, SCHEMA, outputs

STACKS = ("local", "dev", "prod", "everything")


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    if not name and "anyOf" in schema:
        return _resolved(schema["anyOf"][0])
    return cast("Mapping[str, Any]", SCHEMA["$defs"][name]) if name else schema


def _described(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every path that the schema names."""
    for key, inner in _resolved(schema).get("properties", {}).items():
        here = f"{path}.{key}".lstrip(".")
        yield here
        yield from _described(inner, here)


def _told(value: object, path: str, known: set[str]) -> Iterator[str]:
    """Every path of some outputs, down to where the schema names no more."""
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            here = f"{path}.{key}".lstrip(".")
            if not path or any(name.startswith(f"{path}.") for name in known):
                yield here
                yield from _told(inner, here, known)


@pytest.mark.parametrize("name", STACKS)
def test_outputs_are_of_the_schema(name: str) -> None:
    """Proves that what a stack tells is valid, whole, and nothing that the schema does not name."""
    found = outputs(name)
    known = set(_described(SCHEMA))

    jsonschema.validate(found, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert set(_told(found, "", known)) - known == set()


def test_the_schema_names_nothing_else() -> None:
    """Proves that every output that the schema names is told by some stack, and stands on the page, which has no row of
    anything else, and that the schema is of the version that stacks tell."""
    known = set(_described(SCHEMA))
    told = {path for name in STACKS for path in _told(outputs(name), "", known)}
    page = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    leaves = {path for path in known if not any(other.startswith(f"{path}.") for other in known)}

    # The inbox is of stacks that name nobody to tell.
    assert known - told == set()
    assert leaves - rows == set()
    assert rows - known == set()
    assert SCHEMA["$id"].endswith(f":{declared.SCHEMA_VERSION}")
    assert declared.SCHEMA_VERSION.split(".")[0] == str(declared.CONTRACT_VERSION)
    assert re.search(rf"`schema_version` \| string \|.*now `{re.escape(declared.SCHEMA_VERSION)}`", page)


BROKEN: Mapping[str, Mapping[str, Any]] = {
    "another major": {"contract_version": 2},
    "no scheme": {"otlp": {"grpc": "collector:4317", "http": "http://collector:4318"}},
    "a number": {"otel_env": {**outputs("prod")["otel_env"], "OTEL_TRACES_SAMPLER_ARG": 1}},
    "no annotations": {"scrape": {"kind": "annotations", "labels": {}}},
    "gone": {"grafana": {}},
}


@pytest.mark.parametrize("case", BROKEN)
def test_other_outputs_are_not(case: str) -> None:
    """Proves that the schema refuses outputs that are retyped or gone."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**outputs("prod"), **BROKEN[case]}, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_older_and_newer_minor_versions_are_of_the_schema() -> None:
    """Proves that outputs without what 1.1 added, and with what nobody knows yet, are still valid."""
    older = {key: item for key, item in outputs("prod").items() if key not in {"schema_version", "kubernetes"}}
    newer = {**outputs("prod"), "schema_version": "1.9", "profiles": {"url": "http://pyroscope:4040"}}

    for found in (older, newer):
        jsonschema.validate(found, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_schema_is_one() -> None:
    """Proves that the file is a JSON Schema of the draft that it names, written as the other ones are."""
    text = (ROOT / "docs" / "outputs.schema.json").read_text(encoding="utf-8")

    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    assert text.endswith("}\n")
