"""The typed, validated shape of a stack file: what stands under `observability:settings` of `Pulumi.<stack>.yaml`."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, cast

import yaml
from pydantic import Field, model_validator

from specs.model import Address, Duration, HttpUrl, Model, Name, Pause, Secret, SettingsError, Size, parse

PROJECT = "observability"
KEY = f"{PROJECT}:settings"


class RuntimeKind(str, Enum):
    """Where workloads run."""

    PROCESS = "process"
    """Processes of this machine, kept by supervisor."""
    DOCKER = "docker"
    """Containers of a Docker engine."""
    KUBERNETES = "kubernetes"
    """Pods of a cluster."""


class Severity(str, Enum):
    """How much of a hurry an alert is in."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Retention(Model):
    """How long telemetry is kept. One number a signal drives every knob of the program that stores it."""

    metrics: Duration = "30d"
    """Prometheus' samples."""
    metrics_size: Size | None = None
    """Upper bound of Prometheus' blocks; the older of both limits wins."""
    logs: Duration = "7d"
    """Loki's streams: at least a day, since its index has a period of a day."""
    traces: Duration = "7d"
    """Jaeger's spans."""


class LogFile(Model):
    """A log file that the collector follows."""

    name: Name
    """Becomes `service_name` of its lines unless a JSON line names its own service."""
    app: Name
    """System that the lines belong to."""
    include: Annotated[tuple[str, ...], Field(min_length=1)]
    """Globs of absolute paths."""
    format: Annotated[str, Field(pattern=r"^(json|text)$")] = "json"
    """`json`: one object a line; `text`: the line is the message."""


class Webhook(Model):
    """An HTTP endpoint that takes Alertmanager's JSON."""

    url: HttpUrl | Secret
    """In the clear, or a secret when the URL itself is one."""


class Slack(Model):
    """A Slack channel."""

    url: Secret
    """The incoming webhook's URL."""
    channel: Annotated[str, Field(pattern=r"^[#@]?[\w.-]+$")]


class PagerDuty(Model):
    """A PagerDuty service (Events API v2)."""

    routing_key: Secret


class Email(Model):
    """Mail through an SMTP relay with TLS."""

    to: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    from_: Annotated[str, Field(alias="from", pattern=r"^[^@\s]+@[^@\s]+$")]
    smarthost: Address
    username: str | None = None
    password: Secret | None = None


class Receiver(Model):
    """Who is told: any number of channels, at least one."""

    webhook: Webhook | None = None
    slack: Slack | None = None
    pagerduty: PagerDuty | None = None
    email: Email | None = None

    @model_validator(mode="after")
    def _has_a_channel(self) -> "Receiver":
        if not (self.webhook or self.slack or self.pagerduty or self.email):
            raise ValueError("a receiver needs at least one channel (accepted: webhook, slack, pagerduty, email)")
        return self


class Grouping(Model):
    """Alertmanager's timings."""

    by: tuple[str, ...] = ("alertname", "cluster", "app", "service")
    wait: Pause = "30s"
    interval: Duration = "5m"
    repeat: Duration = "12h"


class Override(Model):
    """A change to one alert of this stack."""

    threshold: float | None = None
    for_: Annotated[Pause | None, Field(alias="for")] = None
    severity: Severity | None = None
    disabled: bool = False


class Alerting(Model):
    """Who is told of what, and how alerts differ from what ships."""

    receivers: Mapping[Name, Receiver] = Field(default_factory=dict[str, Receiver])
    """By name. A process stack without any uses its own `inbox`."""
    routes: Mapping[Severity, tuple[Name, ...]] = Field(default_factory=dict[Severity, tuple[str, ...]])
    """Receivers for a severity; severities that are not named go to `default`."""
    default: Name | None = None
    """Receiver of everything that no route takes; required as soon as there are receivers."""
    dead_mans_switch: Webhook | None = None
    """What expects the Watchdog's beat, and raises the alarm when it stops."""
    grouping: Grouping = Grouping()
    overrides: Mapping[str, Override] = Field(default_factory=dict[str, Override])
    """By the alert's name; an unknown name is an error."""

    @model_validator(mode="after")
    def _names_exist(self) -> "Alerting":
        if self.receivers and self.default is None:
            raise ValueError(f"default is required with receivers (accepted: {', '.join(sorted(self.receivers))})")
        used = [self.default, *(name for names in self.routes.values() for name in names)]
        for name in used:
            if name is not None and name not in self.receivers:
                raise ValueError(
                    f'"{name}" is not a receiver (accepted: {", ".join(sorted(self.receivers)) or "none is declared"})'
                )
        return self


class Kubernetes(Model):
    """The cluster and the part of it that the stack may use."""

    namespace: Name = "observability"
    storage_class: str | None = None
    """None: the cluster's default class."""


class Docker(Model):
    """The Docker engine."""

    network: Name = "observability"
    registry: str | None = None
    """Prefix of a mirror that every image is pulled from, without a trailing slash."""


class Links(Model):
    """Where people read on."""

    runbooks: HttpUrl | None = None
    """Directory of the runbook pages; a process stack serves its own when this is not set."""


class Settings(Model):
    """One environment."""

    environment: Name
    """The label `environment` of every sample, log line and span."""
    cluster: Name
    """The label `cluster`."""
    runtime: RuntimeKind
    """Where workloads run; never changes for a stack."""
    bind: Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+$")] = "127.0.0.1"
    """Address that processes listen on."""
    port_offset: Annotated[int, Field(ge=0, le=40000)] = 0
    """Added to every port that this machine sees, so that two stacks can live side by side."""
    scrape_interval: Duration = "15s"
    evaluation_interval: Duration = "15s"
    retention: Retention = Retention()
    log_files: tuple[LogFile, ...] = ()
    """Log files of this machine that the collector follows, beside what applications register."""
    exporters: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict[str, Mapping[str, Any]])
    """By the exporter's name; each takes its own settings (docs/exporters.md)."""
    alerting: Alerting = Alerting()
    versions: Mapping[str, str] = Field(default_factory=dict[str, str])
    """Image tags by program, where this stack wants another than the one shipped."""
    grafana: bool = True
    """Whether Grafana runs; a process stack also needs a `grafana` on PATH."""
    links: Links = Links()
    docker: Docker = Docker()
    kubernetes: Kubernetes = Kubernetes()

    @model_validator(mode="after")
    def _unique_logs(self) -> "Settings":
        names = [file.name for file in self.log_files]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f'log_files: "{twice[0]}" is a name twice (accepted: each name once)')
        return self


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key stands once: PyYAML itself would let the last one win, silently."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        key: object = loader.construct_object(key_node)  # pyright: ignore[reportUnknownMemberType] - untyped in the stubs
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f'"{key}" is a name twice', key_node.start_mark)
        seen.add(key)
    loader.flatten_mapping(node)
    return cast("dict[Any, Any]", loader.construct_mapping(node, deep=True))


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that stands in `path`.

    Raises SettingsError when the file is missing, is not YAML, has a key twice, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise SettingsError(f"{path.name}: cannot be read: {problem.strerror} ({path})") from None
    try:
        found: object = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SettingsError(f"{path.name}:{where}: not acceptable YAML: {problem.problem}") from None
    except yaml.YAMLError as problem:
        raise SettingsError(f"{path.name}: not acceptable YAML: {problem}") from None
    if not isinstance(found, dict):
        raise SettingsError(f"{path.name}: not a stack file (accepted: a mapping with the key config)")
    return cast("dict[str, Any]", found)


def load(path: Path) -> Settings:
    """The settings of the stack file `path`, without any engine.

    Raises SettingsError naming file and key.
    """
    config: object = read_yaml(path).get("config")
    if not isinstance(config, dict) or KEY not in config:
        raise SettingsError(f"{path.name}: config.{KEY}: required, but missing")
    return parse(Settings, cast("dict[str, Any]", config)[KEY], file=path.name, key=KEY)
