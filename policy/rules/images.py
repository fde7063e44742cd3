"""Images are pinned: two deployments of one program run the same code."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from .model import CONTAINER, UNKNOWN, Config, Resource, Rule, mapping

_LOCK = Path(__file__).resolve().parents[2] / "images.lock"
"""Digests that `make images LOCK=1` found; the file need not be there."""
_MOVING = frozenset({"latest", "main", "master", "edge", "nightly", "stable"})


@cache
def _locked(file: Path) -> Mapping[str, str]:
    """`path:tag`, without the registry's host since mirrors have another → digest."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {_path(str(image)): str(digest) for image, digest in mapping(found).items()}


def _path(repository: str) -> str:
    host, slash, path = repository.partition("/")
    return path if slash and ("." in host or ":" in host or host == "localhost") else repository


def _images(resource: Resource) -> Iterator[str]:
    if resource.type == CONTAINER:
        yield str(resource.at("image") or "")
    for container in resource.containers:
        yield str(container.get("image") or "")


def pinned(image: str, locked: Mapping[str, str]) -> str:
    """What is wrong with the reference `image`; empty when nothing is. `locked`: `path:tag` → digest."""
    named, at, digest = image.partition("@")
    repository, colon, tag = named.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = named, ""
    if not named:
        return "no image is named"
    if not tag and not at:
        return f"image {image} has neither tag nor digest: it is whatever is latest"
    if tag in _MOVING and not at:
        return f"image {image} has a tag that moves"
    # A mirror has a prefix of its own.
    known = [each for name, each in locked.items() if f"/{_path(repository)}:{tag}".endswith(f"/{name}")]
    if known and digest not in known:
        return f"image {image} is not pinned by the digest that images.lock has for it"
    return ""


def _check(resource: Resource, _: Config) -> Iterator[str]:
    for image in _images(resource):
        problem = "" if image == UNKNOWN else pinned(image, _locked(_LOCK))
        if problem:
            yield problem


IMAGES = Rule(
    name="pinned-images",
    title="Images have a tag that stays, and the digest where images.lock has one.",
    remedy="Name a version (versions.<program> of the stack file), or lock digests: make images LOCK=1.",
    resource=_check,
)
