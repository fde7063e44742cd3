"""A value that is a secret somewhere stands nowhere in the clear."""

import base64
import binascii
from collections.abc import Iterator, Sequence

from .exposed import restricted, texts
from .model import CONTAINER, SECRET, UNKNOWN, Config, Resource, Rule, Violation, mapping, maps
from .plain_secrets import said

_LEAST = 8
"""Shorter values occur by chance."""


def _secrets(resource: Resource) -> Iterator[str]:
    yield from resource.secrets
    if resource.type == SECRET:
        yield from map(str, mapping(resource.at("stringData")).values())
        for text in mapping(resource.at("data")).values():
            try:
                yield base64.b64decode(str(text), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue
    if resource.type == CONTAINER:
        for upload in maps(resource.at("uploads")):
            if restricted(upload.get("permissions")):
                yield str(upload.get("content") or "")


def _parts(text: str) -> Iterator[str]:
    """The secret itself, where `text` is a file around it."""
    yield text.strip()
    for _, value in said(text):
        yield value


def _check(resources: Sequence[Resource], _: Config) -> Iterator[Violation]:
    found = {part for resource in resources for text in _secrets(resource) for part in _parts(text)}
    known = sorted(text for text in found if len(text) >= _LEAST and text != UNKNOWN)
    for resource in resources:
        for text in texts(resource):
            if any(secret in text.text for secret in known):
                yield Violation(resource, f"{text.where} holds a secret that another resource keeps as one")


COPIES = Rule(
    name="no-secret-copies",
    title="What is a secret in one place stands nowhere else in the clear.",
    remedy="Have the program read it from its file of secrets.",
    stack=_check,
)
