"""Which addresses a program dials: read out of the arguments, environment and files that it is given."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import yaml

from specs.workload import Workload


@dataclass(frozen=True, slots=True)
class Dialled:
    """An address that stands somewhere."""

    host: str
    port: int = 0
    """0: it does not stand there."""
    port_name: str = ""
    """Where DNS is asked for a port by its name."""


SCHEMES: Mapping[str, int] = {
    "http": 80,
    "https": 443,
    "redis": 6379,
    "rediss": 6379,
    "amqp": 5672,
    "amqps": 5671,
    "postgres": 5432,
    "postgresql": 5432,
}
"""Ports of URLs that name none."""
NODE = "$node"
"""Stands for the host of an address at the node that a pod runs on."""

_SHOWN = re.compile(r"^(rules|dashboards|consoles)/|\.(tmpl|html|json)$")
"""Files that people read, or that are about series: what stands in them is shown, and never dialled."""
_LINK = re.compile(
    r"external[-_.]?url|public[-_.]?(base)?[-_.]?url|root_url|redirect|domain|query[-_.]url|"
    r"(dashboard|runbook)_url|oauth_auth_url|expr$",
    re.IGNORECASE,
)
"""Names of what holds a link for people, or PromQL."""
_SCRAPED = re.compile(r"^scrape_configs:\n(?:[ -].*\n?)*", re.MULTILINE)
"""Scrape jobs are values (ScrapeJob): in the file, an address may be one that an exporter dials."""
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_URL = re.compile(rf"\b([a-z][a-z0-9+]*)://(?:[^\s/@\"']*@)?({_HOST})(?::(\d{{1,5}}))?")
_SERVICE = re.compile(
    r"(?:_([a-z0-9-]+)\._(?:tcp|udp)\.)?\b((?:[a-z0-9-]+\.)+svc(?:\.cluster\.local)?)\b(?::(\d{1,5}))?"
)
_PLAIN = re.compile(rf"(?:[a-z]+\+)?({_HOST}):(\d{{1,5}})(?:/\S*)?")
_OWN_NODE = re.compile(r"\$[({](?:env:)?(?:\w*NODE_NAME|\w*NODE_IP|HOST_IP)[)}]:(\d{1,5})")
_HERE = frozenset({"0.0.0.0", "127.0.0.1", "localhost"})  # noqa: S104 - addresses that are no other's


def dialled(program: Workload) -> tuple[Dialled, ...]:
    """Every address that `program` itself is told, but for links; once each, in the order in which they stand."""
    return tuple(dict.fromkeys(address for address in _all(program) if address.host not in _HERE))


def texts(program: Workload) -> str:
    """Everything that `program` is told, as one text."""
    return "\n".join(
        (
            *program.args,
            *program.environment.values(),
            *program.dials,
            *(text for path, text in program.files.items() if not _SHOWN.search(path)),
            *(ref.template for ref in program.secrets.values()),
        )
    )


def _all(program: Workload) -> Iterator[Dialled]:
    for arg in program.args:
        name, _, value = arg.rpartition("=") if arg.startswith("-") else ("", "", arg)
        # A script is an argument, too.
        yield from () if _LINK.search(name) else in_text(value)
    yield from _in_value(dict(program.environment))
    yield from _in_value(list(program.dials))
    for path, text in program.files.items():
        if _SHOWN.search(path):
            continue
        if path.endswith((".yml", ".yaml")):
            yield from _in_value(yaml.load(_SCRAPED.sub("", text), Loader=yaml.CSafeLoader))
        else:
            yield from in_text(text)
    for ref in program.secrets.values():
        yield from in_text(ref.template)


def _in_value(value: object) -> Iterator[Dialled]:
    """Addresses in a value of YAML."""
    if isinstance(value, str):
        yield from in_text(value)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _in_value(item)
    elif isinstance(value, Mapping):
        found = cast("Mapping[Any, object]", value)
        for key, item in found.items():
            if _LINK.search(str(key)):
                continue
            for address in _in_value(item):
                yield address if address.port or address.port_name else _beside(address, str(key), found)


def _beside(address: Dialled, key: str, around: Mapping[Any, object]) -> Dialled:
    """`address` with the port that stands beside its host, under a name of its own."""
    for name in ("port", re.sub("HOST$", "PORT", key)):
        port = str(around.get(name, ""))
        if name != key and port.isdigit():
            return Dialled(address.host, int(port))
    return address


def in_text(text: str) -> Iterator[Dialled]:
    """Addresses in a text: URLs and names of Services anywhere in it, others where it is a list of nothing else."""
    for found in _OWN_NODE.finditer(text):
        yield Dialled(NODE, int(found[1]))
    rest = text
    for found in _URL.finditer(text):
        scheme, host, port = found.groups()
        if scheme in SCHEMES or port:
            yield Dialled(host, int(port) if port else SCHEMES[scheme])
            rest = rest.replace(found[0], " ", 1)
    for found in _SERVICE.finditer(rest):
        yield Dialled(found[2], int(found[3] or 0), found[1] or "")
    words = [_PLAIN.fullmatch(word) for word in re.split(r"[,\s]+", rest.strip())]
    for word in words:
        # Words of a sentence or a script are no addresses, whatever stands in them.
        if word and all(words) and (re.search("[a-z]", word[1]) or word[1].count(".") == 3):
            yield Dialled(word[1], int(word[2]))
