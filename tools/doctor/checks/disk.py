"""How long the disks last, at the rate at which they filled lately."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from specs import prometheus
from specs.part import APP
from tools.doctor.findings import Finding, fail, listed, ok, warn
from tools.doctor.live import Live, SilentError
from tools.doctor.placed import OnDisk

_WINDOW = "6h"
_LEAST = 3600.0
"""Seconds of history without which a rate says nothing."""
_DAY = 86400.0
_FULL, _TIGHT = 0.03, 0.05
"""Free part of a disk below which it fails, and is warned of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk:
    """A disk or volume that data of the stack is on."""

    name: str
    free: float
    """Bytes."""
    size: float
    growth: float
    """Bytes a second that it lost lately; 0 or less: it does not fill, or that is not known."""

    @property
    def runway(self) -> float:
        """Seconds until it is full."""
        return self.free / self.growth if self.growth > 0 else float("inf")


async def check(live: Live) -> list[Finding]:
    """Every disk that the stack's metrics know; of processes the one that their home is on."""
    try:
        oldest = await live.query("time() - min(prometheus_tsdb_lowest_timestamp_seconds)")
        known = any(age > _LEAST for _, age in oldest)
        disks = await _volumes(live) if live.stack.context.on_cluster else await _filesystems(live)
    except SilentError:
        if not isinstance(live.placed, OnDisk):
            raise
        # A full disk is what takes Prometheus down.
        known, disks = False, [_own(live.placed.home.path, 0.0)]
    if not disks:
        return [warn("no metric tells how full the disks are", "add exporters.node, or watch the cluster")]
    found = [finding for disk in disks for finding in _of(disk, known=known)]
    rates = "" if known else "; how fast it goes is known after an hour of metrics"
    return found or [ok(f"{listed(_words(disk, known=known) for disk in disks)}{rates}")]


def _of(disk: Disk, *, known: bool) -> Iterator[Finding]:
    part = disk.free / disk.size if disk.size else 1.0
    runway = disk.runway if known else float("inf")
    words = _words(disk, known=known)
    todo = "make the disk larger, or shorten retention (docs/sizing.md)"
    if part < _FULL or runway < _DAY:
        yield fail(words, todo)
    elif part < _TIGHT or runway < 7 * _DAY:
        yield warn(words, todo)


def _words(disk: Disk, *, known: bool) -> str:
    free = f"{disk.name}: {disk.free / 2**30:.1f} of {disk.size / 2**30:.1f} GiB free"
    if not known:
        return free
    days = disk.runway / _DAY
    return f"{free}, full in {days:.1f} days" if days < 365 else f"{free}, for more than a year"


async def _several(live: Live, label: str, **queries: str) -> dict[str, dict[str, float]]:
    """Values of each of `queries` by the label `label`."""
    found: dict[str, dict[str, float]] = {}
    for name, promql in queries.items():
        for labels, value in await live.query(promql):
            found.setdefault(labels.get(label, ""), {})[name] = value
    return found


def _disks(values: Mapping[str, Mapping[str, float]]) -> list[Disk]:
    return [
        Disk(name=name, free=found["free"], size=found["size"], growth=-found.get("slope", 0.0))
        for name, found in sorted(values.items())
        if "free" in found and "size" in found
    ]


async def _volumes(live: Live) -> list[Disk]:
    """Volumes of the stack's pods, as kubelets measure them."""
    namespace = live.stack.context.settings.kubernetes.namespace
    of, by = f'{{namespace="{namespace}"}}', "by (persistentvolumeclaim)"
    return _disks(
        await _several(
            live,
            "persistentvolumeclaim",
            free=f"min {by} (kubelet_volume_stats_available_bytes{of})",
            size=f"min {by} (kubelet_volume_stats_capacity_bytes{of})",
            slope=f"min {by} (deriv(kubelet_volume_stats_available_bytes{of}[{_WINDOW}]))",
        )
    )


async def _filesystems(live: Live) -> list[Disk]:
    """File systems of the machine, as the stack's own node exporter measures them; of processes without one, the disk
    of their home, which fills as fast as Prometheus' own data grows."""
    of, by = f'{{app="{APP}", fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660"}}', "by (mountpoint)"
    disks = _disks(
        await _several(
            live,
            "mountpoint",
            free=f"min {by} (node_filesystem_avail_bytes{of})",
            size=f"min {by} (node_filesystem_size_bytes{of})",
            slope=f"min {by} (deriv(node_filesystem_avail_bytes{of}[{_WINDOW}]))",
        )
    )
    if not isinstance(live.placed, OnDisk):
        return disks
    mount = _mount_of(live.placed.home.path)
    own = [disk for disk in disks if disk.name == str(mount)]
    if own:
        return own
    stored = "prometheus_tsdb_storage_blocks_bytes", "prometheus_tsdb_wal_storage_size_bytes"
    grown = [
        value
        for name in stored
        for _, value in await live.query(f'sum(deriv({name}{{job="{prometheus.NAME}"}}[{_WINDOW}]))')
    ]
    return [_own(mount, sum(grown))]


def _own(path: Path, growth: float) -> Disk:
    """The disk that `path` is on, as this machine measures it."""
    usage = shutil.disk_usage(mount := _mount_of(path))
    return Disk(name=str(mount), free=usage.free, size=usage.total, growth=growth)


def _mount_of(path: Path) -> Path:
    """Where the file system of `path` is mounted."""
    found = path.resolve()
    while not found.is_mount():
        found = found.parent
    return found
