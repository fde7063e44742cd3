"""How many of each part run: a preset by size, and what the settings say instead."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from specs.model import SettingsError
from specs.settings import KEY, RuntimeKind, Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How many of each part run."""

    prometheus: int
    """Of each shard."""
    shards: int
    alertmanager: int
    loki: int
    """Of one program that does everything; of each target where `split`."""
    split: bool
    """Whether Loki is three programs: one reads, one writes, one does the rest."""
    collector: int
    jaeger: int
    grafana: int


ONE = Scale(prometheus=1, shards=1, alertmanager=1, loki=1, split=False, collector=1, jaeger=1, grafana=1)
"""Everything once: on one machine."""
SIZES: Mapping[str, Scale] = MappingProxyType(
    {
        "small": Scale(prometheus=2, shards=1, alertmanager=3, loki=1, split=False, collector=2, jaeger=1, grafana=1),
        "medium": Scale(prometheus=2, shards=1, alertmanager=3, loki=3, split=False, collector=2, jaeger=2, grafana=2),
        "large": Scale(prometheus=2, shards=2, alertmanager=3, loki=3, split=True, collector=4, jaeger=3, grafana=2),
    }
)
"""The presets. `small` needs nothing but volumes; the others need object storage and databases."""


def of(settings: Settings, *, file: str) -> Scale:
    """How many of each part the stack of `settings`, read from `file`, has.

    Raises SettingsError naming the key that is missing for so many.
    """
    if settings.runtime is not RuntimeKind.KUBERNETES:
        return ONE
    preset, asked = SIZES[settings.size], settings.replicas
    numbers = {
        each.name: getattr(preset, each.name) if getattr(asked, each.name, None) is None else getattr(asked, each.name)
        for each in fields(Scale)
    }
    scale = Scale(**numbers)
    storage = settings.object_storage
    needs = (
        (scale.shards > 1 and settings.thanos is None, "thanos", "several shards of Prometheus", "true"),
        (settings.thanos is not None and storage is None, "object_storage", "thanos", "a mapping with endpoint, …"),
        (
            settings.thanos is not None and storage is not None and storage.metrics_bucket is None,
            "object_storage.metrics_bucket",
            "thanos",
            "text",
        ),
        (
            scale.loki > 1 and storage is None,
            "object_storage",
            "several replicas of Loki",
            "a mapping with endpoint, …",
        ),
        (
            scale.loki > 1 and storage is not None and storage.logs_bucket is None,
            "object_storage.logs_bucket",
            "several replicas of Loki",
            "text",
        ),
        (
            scale.jaeger > 1 and settings.traces.store == "badger",
            "traces.store",
            "several replicas of Jaeger",
            "elasticsearch, opensearch, cassandra, clickhouse",
        ),
        (
            scale.grafana > 1
            and settings.grafana.run
            and settings.grafana.url is None
            and not settings.grafana.database,
            "grafana.database",
            "several replicas of Grafana",
            "a mapping with address, user, password",
        ),
    )
    if scale.loki == 2:
        # Worse than one: each needs the other for a majority, so no line is taken when either is away.
        raise SettingsError(
            f"{file}: {KEY}.replicas.loki: two replicas take no line while one of them is away"
            " (accepted: 1, or at least 3)"
        )
    fewer = "; or fewer by replicas or a smaller size"
    lines = [
        f"{file}: {KEY}.{key}: required for {why} (accepted: {accepted}{fewer if why.startswith('several') else ''})"
        for missing, key, why, accepted in needs
        if missing
    ]
    if lines:
        raise SettingsError("\n".join(dict.fromkeys(lines)))
    return scale
