"""ConfigMaps and Secrets: the files of a workload in a cluster."""

from collections.abc import Iterator, Mapping

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from components.runtimes.secret_files import secret_file
from specs.settings import ExistingSecret
from specs.workload import Workload

LIMIT = 900_000
"""Bytes of files in one ConfigMap: etcd takes 1 MiB of everything that belongs to an object."""

READABLE = 0o444
SECRET = 0o440
"""Files belong to root and the pod's own group, which is what lets the program read its secrets."""


def key_of(path: str) -> str:
    """`path` as the key of a ConfigMap or Secret, which takes letters, digits, dots, dashes and underscores only.

    Two paths never share a key: `/` becomes `__`, and of anything else each byte becomes `_` and two digits.
    """
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
    return "".join(
        char if char in plain else "__" if char == "/" else "".join(f"_{byte:02x}" for byte in char.encode())
        for char in path
    )


def divided(files: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """`files` in the order of their paths, in as few parts as ConfigMaps can hold."""
    part: dict[str, str] = {}
    size = 0
    for path, text in sorted(files.items()):
        length = len(text.encode()) + len(path)
        if part and size + length > LIMIT:
            yield part
            part, size = {}, 0
        part[path] = text
        size += length
    if part:
        yield part


def files(
    workload: Workload,
    *,
    metadata: meta.ObjectMetaArgs,
    secrets: Mapping[str, pulumi.Output[str]],
    existing: Mapping[str, ExistingSecret],
    opts: pulumi.ResourceOptions,
) -> list[core.VolumeProjectionArgs]:
    """Declare the ConfigMaps and the Secret of `workload`, with `metadata` that has no name; return what its
    configuration directory is made of.

    `secrets` are the stack's by key; `existing` are Secrets that something else makes: they are mounted as they are.
    """
    # Never named: a change then makes a new one, whose name in the pod's template is what rolls the pods. A fixed name
    # would have everything that refers to it deleted first and made anew.
    sources: list[core.VolumeProjectionArgs] = []
    for index, part in enumerate(divided(workload.files)):
        made = core.ConfigMap(
            f"{workload.name}-config" + (f"-{index + 1}" if index else ""),
            metadata=metadata,
            immutable=True,
            data={key_of(path): text for path, text in part.items()},
            opts=opts,
        )
        items = [core.KeyToPathArgs(key=key_of(path), path=path, mode=READABLE) for path in part]
        projection = core.ConfigMapProjectionArgs(name=made.metadata.name, items=items)
        sources.append(core.VolumeProjectionArgs(config_map=projection))
    own = {path: ref for path, ref in workload.secrets.items() if ref.key not in existing}
    if own:
        kept = core.Secret(
            f"{workload.name}-secrets",
            metadata=metadata,
            immutable=True,
            string_data={key_of(path): secret_file(ref, secrets) for path, ref in own.items()},
            opts=opts,
        )
        items = [core.KeyToPathArgs(key=key_of(path), path=path, mode=SECRET) for path in own]
        sources.append(
            core.VolumeProjectionArgs(secret=core.SecretProjectionArgs(name=kept.metadata.name, items=items))
        )
    sources += [_of_others(path, existing[ref.key]) for path, ref in workload.secrets.items() if ref.key in existing]
    return sources


def _of_others(path: str, found: ExistingSecret) -> core.VolumeProjectionArgs:
    items = [core.KeyToPathArgs(key=found.key, path=path, mode=SECRET)]
    return core.VolumeProjectionArgs(secret=core.SecretProjectionArgs(name=found.name, items=items))
