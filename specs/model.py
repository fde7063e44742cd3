"""What every model of user-written YAML shares: strictness, house types, and errors that name file and key."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from specs.workload import SecretRef


class Model(BaseModel):
    """Frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


M = TypeVar("M", bound=Model)


class SettingsError(Exception):
    """A user's file is not acceptable. `str()` is the whole message: one line for each problem, file and key first."""


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")
_SIZE = re.compile(r"\d+(?:\.\d+)?(?:Ki|Mi|Gi|Ti)")


def seconds(duration: str) -> float:
    """Length of a duration such as `1h30m`, in seconds."""
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))


def _duration(value: str) -> str:
    if not _DURATION.fullmatch(value) or seconds(value) <= 0:
        raise ValueError(f'"{value}" is not a duration (accepted: numbers with ms, s, m, h, d, w or y, like 15s or 30d)')
    return value


def _pause(value: str) -> str:
    if not _DURATION.fullmatch(value):
        raise ValueError(f'"{value}" is not a duration (accepted: numbers with ms, s, m, h, d, w or y, like 0s or 10m)')
    return value


def _size(value: str) -> str:
    if not _SIZE.fullmatch(value):
        raise ValueError(f'"{value}" is not a size (accepted: a number with Ki, Mi, Gi or Ti, like 20Gi)')
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?", value):
        raise ValueError(f'"{value}" is not a name (accepted: small letters, digits and dashes, at most 42)')
    return value


def _address(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+:\d{1,5}", value) or not 0 < int(value.rpartition(":")[2]) < 65536:
        raise ValueError(f'"{value}" is not an address (accepted: host:port, like 127.0.0.1:5432)')
    return value


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@]+(?:/\S*)?", value):
        raise ValueError(
            f'"{value}" is not a plain URL (accepted: http://host/… or https://host/…, without a user or password)'
        )
    return value


Duration = Annotated[str, AfterValidator(_duration), Field(examples=["15s", "30d"])]
"""A positive length of time in Prometheus' form."""
Pause = Annotated[str, AfterValidator(_pause), Field(examples=["0s", "5m"])]
"""A length of time in Prometheus' form that may be nought."""
Size = Annotated[str, AfterValidator(_size), Field(examples=["20Gi"])]
"""Bytes in Kubernetes' form, binary units."""
Name = Annotated[str, AfterValidator(_name)]
"""A name that is good in a file name, a DNS label and a metric label alike."""
Address = Annotated[str, AfterValidator(_address)]
"""`host:port`."""
HttpUrl = Annotated[str, AfterValidator(_http_url)]
"""A URL without credentials."""


def size_bytes(size: str) -> int:
    """Bytes of a size such as `20Gi`."""
    number, unit = size[:-2], size[-2:]
    return int(float(number) * 1024 ** (["Ki", "Mi", "Gi", "Ti"].index(unit) + 1))


class Secret(Model):
    """A pointer to a secret of the stack: `{secret: postgres-password}`."""

    secret: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """Key of the secret; set it with `pulumi config set --secret <key>`."""

    @property
    def ref(self) -> SecretRef:
        """The reference that specs carry."""
        return SecretRef(self.secret)


def _fields_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Names a model accepts where an unknown key was found; empty when that cannot be told."""
    current: object = model
    for part in location:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
        field = current.model_fields.get(str(part))
        if field is None:
            return []
        current = field.annotation
    return sorted(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _sentence(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    location = cast("tuple[int | str, ...]", error["loc"])
    if error["type"] == "extra_forbidden":
        names = _fields_at(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"unknown key (accepted: {', '.join(names)}){hint}" if names else "unknown key"
    if error["type"] == "missing":
        return "required, but missing"
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    found: object = error.get("input")
    message = str(error["msg"])
    return f"{message[:1].lower()}{message[1:]}" + (f" (found: {found!r})" if not isinstance(found, (dict, list)) else "")


def parse(model: type[M], value: object, *, file: str, key: str) -> M:
    """Validate `value`, found under `key` of `file`.

    Raises SettingsError naming each bad key as `file: key.path: what is wrong (accepted: …)`.
    """
    try:
        return model.model_validate(value)
    except ValidationError as problem:
        lines: list[str] = []
        for error in problem.errors():
            path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
            full = f"{key}{path}" if key else path.lstrip(".")
            lines.append(f"{file}: {full}: {_sentence(model, cast('Mapping[str, Any]', error))}")
        raise SettingsError("\n".join(lines)) from None
