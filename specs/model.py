"""What every model of user-written YAML shares: strictness, house types, and errors that name file and key."""

import difflib
import json
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType, UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from specs.workload import SecretRef


class Model(BaseModel):
    """Frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


M = TypeVar("M", bound=Model)


class SettingsError(Exception):
    """A user's file is not acceptable. `str()` is the whole message: one line for each problem, file and key first."""


def plain(text: str) -> str:
    """`text` on one line and without what terminals obey: what cannot be printed as an escape, what is endless cut."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


_LONGEST = 2000
"""Most characters of a sentence of an error: some list many names that are accepted."""


def problem_at(message: str, *at: str | int) -> PydanticCustomError:
    """What a validator raises when the bad key stands below the value it sees: `at` is the way there."""
    return PydanticCustomError("problem_at", "{message}", {"message": message, "at": at})


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
# Prometheus wants every unit once at most, the longest first.
# Digits are these ten: \d is every alphabet's.
_DURATION = r"(?=[0-9])([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?"
_SIZE = r"[0-9]+(\.[0-9]+)?(Mi|Gi|Ti)"
_NAME = r"[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?"
_ADDRESS = r"[A-Za-z0-9_.-]+:[0-9]{1,5}"
_URL_LETTER = r"([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
URL_PATH = rf"^/{_URL_LETTER}*$"
"""Path of a page, of the letters that URLs have."""
_HTTP_URL = rf"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{{1,5}})?([/?#]{_URL_LETTER}*)?"
_SECRET = r"[a-z0-9][a-z0-9-]*"  # noqa: S105 - the form of a secret's name


_LONGEST_SECONDS = 100 * 31536000.0
"""Programs count nanoseconds in 63 bits, which end after 292 years."""
_BIGGEST = 2**60
"""Likewise bytes."""


def seconds(duration: str) -> float:
    """Length of a duration such as `1h30m`, in seconds."""
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))


def _duration(value: str) -> str:
    if not re.fullmatch(_DURATION, value) or not 0 < seconds(value) <= _LONGEST_SECONDS:
        raise ValueError(
            f'"{value}" is not a duration (accepted: a number with ms, s, m, h, d, w or y, like 15s, 1h30m or 30d)'
        )
    return value


def _pause(value: str) -> str:
    if not re.fullmatch(_DURATION, value) or seconds(value) > _LONGEST_SECONDS:
        raise ValueError(
            f'"{value}" is not a duration (accepted: a number with ms, s, m, h, d, w or y, like 0s or 10m)'
        )
    return value


def _size(value: str) -> str:
    # Prometheus is told whole megabytes, and takes nought for "no limit".
    if not re.fullmatch(_SIZE, value) or not 2**20 <= size_bytes(value) <= _BIGGEST:
        raise ValueError(f'"{value}" is not a size (accepted: a number with Mi, Gi or Ti, at least 1Mi, like 20Gi)')
    return value


def _name(value: str) -> str:
    if not re.fullmatch(_NAME, value):
        raise ValueError(f'"{value}" is not a name (accepted: small letters, digits and dashes, at most 42)')
    return value


def address(value: str) -> str:
    """`value`. Raises ValueError when it is no `host:port`."""
    if not re.fullmatch(_ADDRESS, value) or not 0 < int(value.rpartition(":")[2]) < 65536:
        raise ValueError(f'"{value}" is not an address (accepted: host:port, like 127.0.0.1:5432)')
    return value


def http_url(value: str) -> str:
    """`value`. Raises ValueError when it is no URL without credentials."""
    if "@" in value.split("://", 1)[-1].split("/", 1)[0]:
        # Not repeated here: what stands before the @ is a secret.
        raise ValueError("a URL with a user or password (accepted: http://host/… or https://host/…, without them)")
    if not re.fullmatch(_HTTP_URL, value):
        raise ValueError(f'"{value}" is not a URL (accepted: http://host/… or https://host/…)')
    return value


def _secret_key(value: str) -> str:
    if not re.fullmatch(_SECRET, value):
        raise ValueError("not the name of a secret (accepted: small letters, digits and dashes, like smtp-password)")
    return value


def _form(title: str, pattern: str, *examples: str) -> WithJsonSchema:
    """How editors and the documents see a house type."""
    return WithJsonSchema({"type": "string", "title": title, "pattern": f"^{pattern}$", "examples": list(examples)})


Duration = Annotated[str, AfterValidator(_duration), _form("duration", _DURATION, "15s", "30d")]
"""A positive length of time in Prometheus' form."""
Pause = Annotated[str, AfterValidator(_pause), _form("duration or 0s", _DURATION, "0s", "5m")]
"""A length of time in Prometheus' form that may be nought."""
Size = Annotated[str, AfterValidator(_size), _form("size", _SIZE, "20Gi")]
"""Bytes in Kubernetes' form, binary units."""
Name = Annotated[str, AfterValidator(_name), _form("name", _NAME, "shop")]
"""A name that is good in a file name, a DNS label and a metric label alike."""
Address = Annotated[str, AfterValidator(address), _form("host:port", _ADDRESS, "127.0.0.1:5432")]
"""`host:port`."""
HttpUrl = Annotated[str, AfterValidator(http_url), _form("URL", _HTTP_URL, "https://example.com/hook")]
"""A URL without credentials."""


LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", examples=["endpoint"])]
"""Name of a label, as Prometheus has them."""


HttpPath = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~:/@!&'()*+,;=-]*$", examples=["/metrics"])]
"""A path of a URL, without a query."""


def _templated(value: str) -> str:
    if re.search(r"\{\{|\}\}", _TEMPLATE.sub("", value)):
        raise ValueError(
            f'"{value}" has braces that are no label or value (accepted: text, with {{{{ $labels.x }}}} for a label,'
            " {{ $value | humanize }} for the value)"
        )
    return value


_TEMPLATE = re.compile(r"\{\{-?\s*(?:\$labels\.\w+|\$value)(?:\s*\|\s*humanize\w*)?\s*-?\}\}")


Templated = Annotated[str, AfterValidator(_templated)]
"""Text that becomes part of an alert's annotations, which are templates."""


def size_bytes(size: str) -> int:
    """Bytes of a size such as `20Gi`."""
    number, unit = size[:-2], size[-2:]
    return int(float(number) * 1024 ** (["Ki", "Mi", "Gi", "Ti"].index(unit) + 1))


class Secret(Model):
    """A pointer to a secret of the stack: `{secret: postgres-password}`."""

    secret: Annotated[str, AfterValidator(_secret_key), _form("name of a secret", _SECRET, "smtp-password")]
    """Key of the secret; set it with `pulumi config set --secret <key>`."""

    @property
    def ref(self) -> SecretRef:
        """The reference that specs carry."""
        return SecretRef(self.secret)


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that `model` accepts, as people write them, in the order of their declaration."""
    return [field.alias or name for name, field in model.model_fields.items()]


def models_in(annotation: object) -> list[type[BaseModel]]:
    """The models that a value of the type `annotation` may be, without those further inside."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    origin = get_origin(annotation)
    if origin is Annotated:
        return models_in(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [model for part in get_args(annotation) for model in models_in(part)]
    return []


def inner_type(annotation: object) -> object:
    """The type of a list's or a mapping's entries; None where `annotation` is neither."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return inner_type(inside[0])
    if origin in (Union, UnionType):
        return next((found for part in inside if (found := inner_type(part)) is not None), None)
    if origin is tuple:
        return inside[0]
    return inside[1] if isinstance(origin, type) and issubclass(origin, Mapping) else None


def _type_at(model: type[BaseModel], path: Sequence[int | str]) -> object:
    """The type that `model` declares at `path`; None when there is none."""
    current: object = model
    for part in path:
        fields = {
            field.alias or name: field.annotation
            for found in models_in(current)
            for name, field in found.model_fields.items()
        }
        current = fields.get(str(part)) if fields else inner_type(current)
    return current


@dataclass(frozen=True, kw_only=True, slots=True)
class _Problem:
    """One of pydantic's errors, told where it stands in the file."""

    kind: str
    path: tuple[int | str, ...]
    """Keys of the file only."""
    branch: tuple[tuple[int | str, ...], str] | None
    """Where a choice of several types is, and the one of them that this is about."""
    found: object
    message: str
    details: Mapping[str, Any]


def _located(error: Mapping[str, Any], value: object) -> _Problem:
    """Pydantic's locations hold names of its own for the branches of a choice: take them out."""
    details = cast("Mapping[str, Any]", error.get("ctx") or {})
    location = cast("tuple[int | str, ...]", error["loc"])
    path: list[int | str] = []
    branch: tuple[tuple[int | str, ...], str] | None = None
    current = value
    for index, part in enumerate(location):
        last = index == len(location) - 1
        if isinstance(current, Mapping) and part in current:
            current = cast("Mapping[int | str, object]", current)[part]
            path.append(part)
        elif isinstance(current, (list, tuple)) and isinstance(part, int):
            current = cast("Sequence[object]", current)[part]
            path.append(part)
        elif last and error["type"] == "missing":
            path.append(part)
        elif part != "[key]":
            branch = (tuple(path), str(part))
    path += details.get("at", ())
    return _Problem(
        kind=str(error["type"]),
        path=tuple(path),
        branch=branch,
        found=error.get("input"),
        message=str(error["msg"]),
        details=details,
    )


def _chosen(problems: Sequence[_Problem]) -> list[_Problem]:
    """Of a choice of several types, only what is wrong with the one that was meant."""
    chosen: list[_Problem] = []
    for problem in problems:
        if problem.branch is not None and problem.path == problem.branch[0] and problem.kind.endswith("_type"):
            others = [other for other in problems if other.branch is not None and other.branch[0] == problem.branch[0]]
            if any(
                other is not problem and not (other.path == problem.path and other.kind.endswith("_type"))
                for other in others
            ):
                continue
            if others[0] is not problem:
                continue
        chosen.append(problem)
    return [
        problem
        for problem in chosen
        if not (problem.kind == "missing" and _misspelt(problem, chosen))
        and not (problem.kind == "too_short" and _below(problem, chosen))
    ]


def _below(short: _Problem, problems: Sequence[_Problem]) -> bool:
    """Whether something is wrong inside of what seems too short: what is refused there was not counted."""
    return any(
        len(problem.path) > len(short.path) and problem.path[: len(short.path)] == short.path for problem in problems
    )


def _misspelt(missing: _Problem, problems: Sequence[_Problem]) -> bool:
    """Whether an unknown key beside the missing one is told to be it."""
    return any(
        problem.kind == "extra_forbidden"
        and problem.path[:-1] == missing.path[:-1]
        and difflib.get_close_matches(str(problem.path[-1]), [str(missing.path[-1])], n=1)
        for problem in problems
    )


PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$": "small letters, digits and dashes, at most 63",
        r"^[a-z][a-z0-9_-]*$": "small letters, digits, _ and -, a letter first",
        r"^[a-z][a-z0-9_]*$": "small letters, digits and _, a letter first",
        r"^[a-z_][a-z0-9_]*$": "small letters, digits and _, no digit first",
        r"^[a-zA-Z_][a-zA-Z0-9_]*$": "letters, digits and _, no digit first",
        r"^[A-Z][A-Za-z0-9]*$": "letters and digits, a capital letter first, like LowMemory",
        r"^[a-zA-Z][a-zA-Z0-9_-]*$": "letters, digits, _ and -, a letter first",
        r"^[a-z0-9-]{1,40}$": "small letters, digits and dashes, at most 40",
        r"^[A-Za-z][A-Za-z0-9_+/-]*$": "a time zone, like Europe/Berlin or UTC",
        r"^[a-z0-9-]+/[a-z0-9.-]+$": "<namespace>/<name>, like gateways/public",
        r"^[A-Za-z0-9.-]+(:[0-9]+)?$": "host or host:port, without https://",
        r"^/[^:]+$": "a path that begins with / and has no colon",
        URL_PATH: "a path that begins with /, of the letters that URLs have",
        r"^/([^/\s]\S*)?$": "a path that begins with one /, without spaces",
        r"^/[A-Za-z0-9._~:/@!&'()*+,;=-]*$": "a path that begins with /, of the letters that paths of URLs have",
    }
)
"""Patterns of the models, in words: what is accepted is said to people."""

_KINDS = (
    (("string_type",), "text", "text; in quotes, where YAML takes it for something else"),
    (("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "a whole number", "a whole number"),
    (("float_type", "float_parsing", "finite_number"), "a number", "a number"),
    (("bool_type", "bool_parsing"), "true or false", "true, false"),
    (("tuple_type", "list_type"), "a list", "a list, each entry after a dash"),
    (("dict_type", "mapping_type"), "a mapping", "a mapping, each entry as key: value"),
)
_PLAIN: tuple[tuple[type, str], ...] = (
    (str, "text"),
    (bool, "true, false"),
    (int, "a whole number"),
    (float, "a number"),
)
_ENDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
    "too_short": ("min_length", "at least"),
}


def _accepted_models(declared: object) -> str:
    models = models_in(declared)
    if Secret in models:
        return ("text, or " if _has(declared, str) else "") + "{secret: <its name>}"
    return "a mapping with " + ", ".join(key for model in models for key in keys_of(model))


def _has(annotation: object, kind: type) -> bool:
    """Whether `annotation` is `kind`, or a choice with it."""
    parts = cast("tuple[object, ...]", get_args(annotation))
    return annotation is kind or any(_has(part, kind) for part in parts)


def _sentence(model: type[BaseModel], problem: _Problem) -> str:  # noqa: C901, PLR0911 - a table of sentences
    declared = _type_at(model, problem.path)
    if problem.kind == "extra_forbidden":
        names = [key for found in models_in(_type_at(model, problem.path[:-1])) for key in keys_of(found)]
        near = difflib.get_close_matches(str(problem.path[-1]), names, n=1)
        return f"unknown key (accepted: {', '.join(names)})" + (f"; did you mean {near[0]}?" if near else "")
    if problem.kind == "missing":
        return f"required, but missing (accepted: {_accepted(declared)})"
    if problem.kind in {"value_error", "problem_at"}:
        return problem.message.removeprefix("Value error, ")
    # A mapping may stand where a secret was written in the clear: only small values of other types are repeated.
    if problem.found is None:
        return f"nothing stands here (accepted: {_accepted(declared)})"
    if problem.kind in {"model_type", "model_attributes_type"} or (problem.branch and models_in(declared)):
        return f"{_kind(problem.found)} is not accepted here (accepted: {_accepted(declared)})"
    for kinds, what, accepted in _KINDS:
        if problem.kind in kinds:
            return f"{_shown(problem.found)} is not {what} (accepted: {accepted})"
    if problem.kind in {"enum", "literal_error"}:
        values = str(problem.details["expected"]).replace(" or ", ", ").replace("'", "")
        return f"{_shown(problem.found)} is none of its values (accepted: {values})"
    if problem.kind == "string_pattern_mismatch":
        pattern = str(problem.details["pattern"])
        one_of = re.fullmatch(r"\^\(([\w|-]+)\)\$", pattern)
        accepted = one_of[1].replace("|", ", ") if one_of else PATTERNS.get(pattern, f"what matches {pattern}")
        return f"{_shown(problem.found)} is not accepted here (accepted: {accepted})"
    if problem.kind == "too_short":
        return f"nothing stands in it (accepted: at least {problem.details['min_length']})"
    if problem.kind in _ENDS:
        detail, words = _ENDS[problem.kind]
        return f"{_shown(problem.found)} is out of bounds (accepted: {words} {problem.details[detail]})"
    return f"{problem.message[:1].lower()}{problem.message[1:]}"


def _accepted(declared: object) -> str:
    if models_in(declared):
        return _accepted_models(declared)
    if inner_type(declared) is not None:
        return (
            "a list, each entry after a dash"
            if get_origin(declared) is tuple
            else "a mapping, each entry as key: value"
        )
    plain = next((what for kind, what in _PLAIN if _has(declared, kind)), "a value")
    if isinstance(declared, type) and issubclass(declared, Enum):
        return ", ".join(str(member.value) for member in declared)
    return plain


def _kind(found: object) -> str:
    kinds = (
        (bool, "true or false"),
        (str, "text"),
        ((int, float), "a number"),
        (Mapping, "a mapping"),
        ((list, tuple), "a list"),
    )
    return next((words for kind, words in kinds if isinstance(found, kind)), "this")


def _shown(found: object) -> str:
    return shown(found) if isinstance(found, (str, int, float)) else _kind(found)


def shown(found: str | float) -> str:
    """A value as it stands in an error: quoted where it is text, and cut where that is long."""
    text = json.dumps(found, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


_LONGEST_VALUE = 200


def key_path(key: str, path: Sequence[int | str]) -> str:
    """`path` below `key`, as people write it."""
    steps = "".join(
        f"[{part}]"
        if isinstance(part, int)
        else f".{part}"
        if re.fullmatch(r"[\w:/-]+", part)
        else f".{json.dumps(part)}"
        for part in path
    )
    return f"{key}{steps}" if key else steps.removeprefix(".")


_LOGIN = re.compile(r'[^\s"@(]*:[^\s"@]*@')
"""What stands before the @ of an address: an error that repeats a value repeats no password."""


_HALF = re.compile("[\ud800-\udfff]")


def _halves(value: object, path: tuple[int | str, ...]) -> Generator[tuple[int | str, ...]]:
    """Where text below `value` cannot be written as UTF-8: an escape in JSON can stand for half a character."""
    match value:
        case str():
            if _HALF.search(value):
                yield path
        case Mapping():
            for name, inner in cast("Mapping[object, object]", value).items():
                here = (*path, str(name))
                yield from [here] if _HALF.search(str(name)) else _halves(inner, here)
        case list() | tuple():
            for number, inner in enumerate(cast("Sequence[object]", value)):
                yield from _halves(inner, (*path, number))
        case _:
            pass


def parse(model: type[M], value: object, *, file: str, key: str) -> M:
    """Validate `value`, found under `key` of `file`.

    Raises SettingsError naming each bad key as `file: key.path: what is wrong (accepted: …)`.
    """
    if halves := [plain(key_path(key, path)) for path in _halves(value, ())]:
        raise SettingsError(
            "\n".join(f"{file}: {path}: half a character of UTF-16 (accepted: whole ones)" for path in halves)
        )
    try:
        return model.model_validate(value)
    except ValidationError as refused:
        problems = _chosen([_located(cast("Mapping[str, Any]", error), value) for error in refused.errors()])
        lines = [
            f"{file}: {plain(key_path(key, problem.path))}: {_LOGIN.sub('…@', plain(_sentence(model, problem)))}"
            for problem in problems
        ]
        raise SettingsError("\n".join(dict.fromkeys(lines))) from None
