"""No secret stands in a ConfigMap or in the environment, by what it is called and by what it looks like."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from .exposed import files, texts
from .model import Config, Resource, Rule

_WORDS = (
    r"(?:password|passwd|passphrase|secret|token|credential|dsn"
    r"|(?:api|access|private|routing|secret|encryption|signing)[_-]?key)s?"
)
_NAME = re.compile(rf"(?i){_WORDS}$")
"""Last words of names of secrets; names of files with them, of headers and so on, end otherwise."""
_SAID = re.compile(rf"""(?i)^[\s-]*["']?(?P<name>[\w.-]*?{_WORDS})["']?\s*[:=]\s*(?P<value>.+?)\s*,?$""", re.MULTILINE)
"""A line of a file that says one."""
_INLINE = re.compile(
    rf"""(?i)(?:^|[{{,])[\s-]*["']?(?P<name>[\w.-]*?{_WORDS})["']?\s*:\s*"""
    r"""(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s,{}\[\]"']+)\s*(?=[,}])""",
    re.MULTILINE,
)
"""One of several things that a line of JSON, or of YAML in braces, says."""
_ARGUMENT = re.compile(r"^--?(?P<name>[\w.-]+)(?:=|\n(?!-))(?P<value>\S+)$", re.MULTILINE)
"""An argument with its value, in one word or two."""
_PLACE = re.compile(
    r"^(?:[/.~<$({%]|file:|\.\./|\$__|env:|vault:|true$|false$|null$|none$|[\d.]+(?:[smhdwy]|[KMG]i?)?$)"
)
"""What a value says that only leads to a secret, or is none: a path, a placeholder, a switch, a number."""
_KNOWN = (
    (re.compile(r"-----BEGIN (?:[A-Z ]+ )?PRIVATE KEY-----"), "a private key"),
    (re.compile(r"\bAKIA[0-9A-Z]{16}\b"), "an access key of AWS"),
    (re.compile(r"\bgl(?:sa|c)_[A-Za-z0-9_]{20,}"), "a token of Grafana"),
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{30,}"), "a token of GitHub"),
    (re.compile(r"\bxox[abpr]-[A-Za-z0-9-]{10,}"), "a token of Slack"),
    (re.compile(r"hooks\.slack\.com/services/T\w+/B\w+/\w{10,}"), "a webhook of Slack"),
    (re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"), "a JSON web token"),
    (
        re.compile(r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)(?:\s|%20)+[\w.~+/=-]{16,}"),
        "a header with a token",
    ),
    (re.compile(r"://[^\s/:@\"'<>${}]*:[^\s/@\"'<>${}]{3,}@"), "a URL with a password"),
)
_LEAST = 8
"""Shorter values are words of a configuration."""


def entropy(text: str) -> float:
    """Bits for each character, by how often each occurs in `text`."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def random_looking(text: str) -> bool:
    """Whether `text` is long, in one word, of letters of both cases and digits, and of no pattern."""
    kinds = (str.islower, str.isupper, str.isdigit)
    return (
        len(text) >= 24
        and re.fullmatch(r"[\w+/=-]+", text) is not None
        and all(any(test(char) for char in text) for test in kinds)
        and entropy(text) >= 4.0
    )


def bare(value: str) -> str:
    """`value` without its quotes."""
    return value.strip().strip("\"'")


def said(text: str) -> Iterator[tuple[str, str]]:
    """Each name of a secret in the lines of `text`, and what it is said to be, without quotes."""
    for pattern in (_SAID, _INLINE):
        for found in pattern.finditer(text):
            yield found["name"], bare(found["value"])


def _literal(value: str) -> bool:
    """Whether `value` is what it says, and not a path, a placeholder, a switch or a word."""
    text = bare(value)
    return len(text) >= _LEAST and len(text.split()) == 1 and _PLACE.match(text) is None


@lru_cache(maxsize=4096)
def _known(text: str) -> tuple[str, ...]:
    """What in `text` is known by its form."""
    return tuple(what for pattern, what in _KNOWN if pattern.search(text))


@lru_cache(maxsize=4096)
def _said(text: str) -> tuple[str, ...]:
    """Names that the lines of `text` say a secret by."""
    return tuple(dict.fromkeys(name for name, value in said(text) if _literal(value)))


@lru_cache(maxsize=4096)
def _argued(text: str) -> tuple[str, ...]:
    """Names of those arguments that have one as their value."""
    return tuple(
        found["name"]
        for found in _ARGUMENT.finditer(text)
        if (_NAME.search(found["name"]) and _literal(found["value"])) or random_looking(found["value"])
    )


def _check(resource: Resource, _: Config) -> Iterator[str]:
    for text in texts(resource):
        for what in _known(text.text):
            yield f"{text.where} holds {what}"
        for name in _argued(text.text) if text.where == "arguments" else ():
            yield f"{text.where}: {name} holds what is, or looks like, a secret"
        named = text.variable and _NAME.search(text.variable) and _literal(text.text)
        if named or (text.variable and random_looking(text.text)):
            yield f"{text.where} holds what is, or looks like, a secret"
        elif text.text and text.text in resource.secrets:
            yield f"{text.where} holds a secret of the stack"
    for file in files(resource):
        if _NAME.search(file.where) and _literal(file.text):
            yield f"{file.where} holds what is, or looks like, a secret"
        for name in _said(file.text):
            yield f"{file.where}: {name} holds what is, or looks like, a secret"


NAMED = Rule(
    name="no-plain-secrets",
    title="No secret stands in a ConfigMap, an open file, an argument or the environment.",
    remedy="Name a secret in its place ({secret: key} of the stack file), and set it: pulumi config set --secret key.",
    resource=_check,
)
