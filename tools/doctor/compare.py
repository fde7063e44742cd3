"""Whether what a program says it runs on has everything that is declared; programs add what they have by default."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from specs.model import seconds

_DURATION = r"(\d+(ms|[smhdwy]))+"
_SIZE = r"(\d+)([KMGT])i?B"
_HIDDEN = re.compile(r"<secret>|\*{3,}")
"""How programs show what is secret."""
_NAMES = ("job_name", "name", "alert", "record", "uid")
"""Keys that tell what is in a list from what is beside it."""


def differences(declared: object, effective: object, at: str = "") -> Iterator[str]:
    """One line for each value of `declared` that `effective` has not, with its path; values of secrets are not shown.

    A value of the environment (`${NAME}`) may have become anything, and one that is empty may be left out.
    """
    if isinstance(declared, Mapping):
        known = _mapping(effective)
        for key, value in cast("Mapping[str, object]", declared).items():
            where = f"{at}.{key}" if at else str(key)
            if key in known:
                yield from differences(value, known[key], where)
            elif not _nothing(value):
                yield f"{where} is missing"
    elif isinstance(declared, list):
        yield from _in_list(cast("list[object]", declared), effective, at)
    elif not same(declared, effective):
        yield f"{at} is {_shown(effective)}, not {_shown(declared)}"


def _in_list(declared: list[object], effective: object, at: str) -> Iterator[str]:
    found = cast("list[object]", effective) if isinstance(effective, list) else []
    names, other = [_name(item) for item in declared], [_name(item) for item in found]
    if names and all(names) and all(other):
        by_name = dict(zip(other, found, strict=True))
        for name, item in zip(names, declared, strict=True):
            if name in by_name:
                yield from differences(item, by_name[name], f"{at}[{name}]")
            else:
                yield f"{at}[{name}] is missing"
        # What nobody declared is in effect, too.
        yield from (f"{at}[{name}] is not declared" for name in other if name not in names)
    elif len(declared) != len(found):
        yield f"{at} has {len(found)} entries, not {len(declared)}"
    else:
        for index, (item, value) in enumerate(zip(declared, found, strict=True)):
            yield from differences(item, value, f"{at}[{index}]")


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else dict[str, object]()


def _name(item: object) -> str:
    known = _mapping(item)
    return next((str(known[key]) for key in _NAMES if key in known), "")


def _nothing(value: object) -> bool:
    """Whether a program may leave a value out: it is what there is without it."""
    if isinstance(value, Mapping):
        return all(_nothing(inner) for inner in cast("Mapping[str, object]", value).values())
    return value in (None, False, "", 0) or value == [] or (isinstance(value, str) and bool(_zero(value)))


def _zero(value: str) -> bool:
    return re.fullmatch(_DURATION, value) is not None and seconds(value) == 0


def same(declared: object, effective: object) -> bool:
    """Whether two single values mean the same."""
    if declared == effective or (_nothing(declared) and _nothing(effective)):
        return True
    if not isinstance(declared, str):
        return str(declared) == str(effective)
    other = str(effective)
    if _HIDDEN.fullmatch(other) or "${" in declared:
        return True
    if re.fullmatch(_DURATION, declared) and re.fullmatch(_DURATION, other):
        return seconds(declared) == seconds(other)
    ours, theirs = re.fullmatch(_SIZE, declared), re.fullmatch(_SIZE, other)
    if ours and theirs:
        # Prometheus takes both forms of a unit for powers of 1024.
        return _bytes(ours) == _bytes(theirs)
    # Programs make paths relative to where they run, and matchers have spaces or not.
    return other.endswith(f"/{declared}") or declared.replace(" ", "") == other.replace(" ", "")


def _bytes(size: re.Match[str]) -> int:
    exponent = "KMGT".index(size[2]) + 1
    return int(size[1]) << (10 * exponent)


def _shown(value: object) -> str:
    if isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str)):
        return "something else"
    text = "nothing" if value is None else str(value)
    # A login may stand in an address.
    text = re.sub(r"//[^/@\s]+@", "//…@", text)
    return text if len(text) <= 60 else f"{text[:59]}…"


def lines_apart(declared: str, placed: str) -> int:
    """How many lines of either text the other has not."""
    ours, theirs = declared.splitlines(), placed.splitlines()
    return len(set(ours) ^ set(theirs)) or abs(len(ours) - len(theirs)) or 1


def declared_flags(args: Sequence[str]) -> dict[str, Any]:
    """Flags of a command line by name: `--a=b` is a: b, `--a` is a: true."""
    flags = [arg.lstrip("-").partition("=") for arg in args if arg.startswith("-")]
    return {name: value if sign else "true" for name, sign, value in flags}
