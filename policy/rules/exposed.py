"""Texts that more than a program itself can read: environment, arguments, ConfigMaps, uploads that are open."""

import base64
import binascii
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from .model import CONFIG_MAP, CONTAINER, PROCESS, UNKNOWN, Resource, items, mapping, maps


@dataclass(frozen=True, slots=True)
class Text:
    """A text, and where it stands."""

    where: str
    """As `environment variable X`, `prometheus.yml`."""
    text: str
    variable: str = ""
    """Name of the environment variable that it is the value of."""


def texts(resource: Resource) -> Iterator[Text]:
    """Every such text of the resource."""
    found = _container(resource) if resource.type == CONTAINER else _pods(resource)
    if resource.type == CONFIG_MAP:
        found = _config_map(resource)
    elif resource.type == PROCESS:
        found = _process(resource)
    return (each for each in found if each.text != UNKNOWN)


def files(resource: Resource) -> Iterator[Text]:
    """Those of them that are files."""
    for each in texts(resource):
        if not each.variable and each.where not in {"arguments", "labels"}:
            yield from _parts(each)


def _parts(upload: Text) -> Iterator[Text]:
    """A container's files come as one upload: a line with the length and path of each, before it."""
    if not upload.text.startswith("==> "):
        yield upload
        return
    lines = upload.text.split("\n")
    index = 0
    while index < len(lines) and lines[index].startswith("==> "):
        head = lines[index].removeprefix("==> ")
        count, _, path = head.partition(" lines of ")
        if not count.isdigit():
            break
        end = index + 1 + int(count)
        yield Text(path, "\n".join(lines[index + 1 : end]) + "\n")
        index = end


def _container(resource: Resource) -> Iterator[Text]:
    for line in map(str, items(resource.at("envs"))):
        name, _, value = line.partition("=")
        yield Text(f"environment variable {name}", value, name)
    yield Text("arguments", "\n".join(map(str, [*items(resource.at("entrypoints")), *items(resource.at("command"))])))
    yield Text("labels", "\n".join(str(value) for value in resource.labels.values()))
    for upload in maps(resource.at("uploads")):
        if not restricted(upload.get("permissions")):
            yield Text(str(upload.get("file")), str(upload.get("content") or ""))


def restricted(permissions: object) -> bool:
    """Whether only its owner may read an upload with these permissions."""
    return str(permissions or "").endswith("00") and str(permissions) != "00"


def _pods(resource: Resource) -> Iterator[Text]:
    for container in resource.containers:
        for variable in maps(container.get("env")):
            if variable.get("value") is not None:
                name = str(variable.get("name"))
                yield Text(f"environment variable {name}", str(variable["value"]), name)
        words = [*items(container.get("command")), *items(container.get("args"))]
        yield Text("arguments", "\n".join(map(str, words)))


def _config_map(resource: Resource) -> Iterator[Text]:
    for key, text in mapping(resource.at("data")).items():
        yield Text(str(key), str(text))
    for key, encoded in mapping(resource.at("binaryData")).items():
        # What is no text, a picture say, has no lines to look at.
        with contextlib.suppress(binascii.Error, UnicodeDecodeError, ValueError):
            yield Text(str(key), base64.b64decode(str(encoded), validate=True).decode())


def _process(resource: Resource) -> Iterator[Text]:
    for name, value in mapping(resource.at("environment")).items():
        yield Text(f"environment variable {name}", str(value), str(name))
    yield Text("arguments", "\n".join(map(str, items(resource.at("command")))))
    for path, text in mapping(resource.at("files")).items():
        yield Text(str(path), str(text))
