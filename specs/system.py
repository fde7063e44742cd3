"""A monitored system in a stack: its profile and its addresses, and the rules that come of them."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from specs import profile_checks
from specs.discovery import NODE_NAMESPACE, already_found, labelled_pods
from specs.exporters.celery import CeleryTarget
from specs.exporters.nginx import NginxTarget
from specs.exporters.node import NodeTarget
from specs.exporters.postgres import PostgresTarget
from specs.exporters.redis import RedisTarget
from specs.model import Address, HttpPath, Model, Name, SettingsError, parse
from specs.monitoring import ENVIRONMENT, THRESHOLD, Alert, RecordingRule, RuleGroup, ScrapeJob, Target, number
from specs.named_signals import signals
from specs.part import APP, Context
from specs.profile import EXPORTERS, Board, LogSource, Panel, Profile, SystemAlert, Word, find
from specs.settings import KEY, LogFile, RuntimeKind, Settings
from specs.signal import BASE, SPOKEN, Signal


def _label(value: str) -> str:
    prefix, _, name = value.rpartition("/")
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", name) or (
        "/" in value and not re.fullmatch(r"(?=.{1,253}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?", prefix)
    ):
        raise ValueError(f'"{value}" is no name of a label (accepted: like app or app.kubernetes.io/name)')
    return value


def _label_value(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", value):
        raise ValueError(
            f'"{value}" is no value of a label (accepted: letters, digits, - _ and . between them, at most 63)'
        )
    return value


class PodTargets(Model):
    """Pods of one service of a system, on Kubernetes."""

    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
    """Where they run."""
    labels: Annotated[
        Mapping[Annotated[str, AfterValidator(_label)], Annotated[str, AfterValidator(_label_value)]],
        Field(min_length=1, examples=[{"app": "backend"}]),
    ]
    """Labels that they all have, and no others."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Where they tell their metrics."""
    path: HttpPath | None = None
    """None: as the profile has it."""


class SystemSettings(Model):
    """Where a system's parts are in this environment. What is not named is not scraped; what applications register
    themselves is."""

    profile: Annotated[str | None, Field(examples=["examples/systems/bookshop.yaml"])] = None
    """Path of the profile below the project; none: `systems/<name>.yaml`."""
    services: Mapping[Word, tuple[Address, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    """By the profile's service: `host:port` of each replica."""
    pods: Mapping[Word, PodTargets] = Field(default_factory=dict[str, PodTargets])
    """By the profile's service: its pods, each of which is scraped however many there are; on Kubernetes only."""
    node: Mapping[Name, NodeTarget] = Field(default_factory=dict[str, NodeTarget])
    """Its hosts."""
    postgres: Mapping[Name, PostgresTarget] = Field(default_factory=dict[str, PostgresTarget])
    """Its PostgreSQL servers."""
    redis: Mapping[Name, RedisTarget] = Field(default_factory=dict[str, RedisTarget])
    """Its Redis servers."""
    nginx: Mapping[Name, NginxTarget] = Field(default_factory=dict[str, NginxTarget])
    """Its nginx servers."""
    celery: Mapping[Name, CeleryTarget] = Field(default_factory=dict[str, CeleryTarget])
    """Its Celery brokers."""


@dataclass(frozen=True, kw_only=True)
class System:
    """A monitored system of a stack."""

    name: str
    """The label `app` of everything of it."""
    profile: Profile
    settings: SystemSettings

    @property
    def scope(self) -> str:
        """The matcher of its series."""
        return f'app="{self.name}"'

    @cached_property
    def signals(self) -> Mapping[str, Signal]:
        """Every signal it has, by name."""
        return signals(self.profile)

    @property
    def boards(self) -> tuple[Board, ...]:
        """Its dashboards: the profile's, or an overview of what it has."""
        return self.profile.dashboards or (_overview(self),)

    def uid(self, board: Board) -> str:
        """What Grafana calls one of its dashboards, in 40 characters."""
        if board.uid is not None:
            return board.uid
        title = "-".join(re.findall(r"[a-z0-9]+", board.title.lower()))
        found = title if title.startswith(f"{self.name}-") else f"{self.name}-{title}"
        return found if len(found) <= 40 else f"{found[:31]}-{hashlib.sha256(found.encode()).hexdigest()[:8]}"

    @property
    def dashboard(self) -> str:
        """The uid of the dashboard that people open first."""
        return self.uid(self.boards[0])

    def job(self, service: str) -> str:
        """Scrape job of one of its services."""
        return self.profile.services[service].job or f"{self.name}-{service}"


def _overview(system: System) -> Board:
    """What a system without dashboards of its own gets: rate, errors, duration, and what it stands on."""
    have = system.signals
    duration = tuple(name for name in ("http_p50", "http_p95", "http_p99") if name in have)
    shown = [
        ("Request Rate", ("http_rate",)),
        ("Error Rate", ("http_error_share",)),
        ("Response Time", duration),
        ("Targets Up", ("targets_up",)),
        *((have[name].title, (name,)) for name in system.profile.signals),
        ("Process CPU", ("process_cpu",)),
        ("Process Memory", ("process_memory",)),
        *((have[name].title, (name,)) for name in have if name.startswith(_BELOW)),
    ]
    panels = [
        Panel(title=title, signals=names, kind="state" if title == "Targets Up" else "graph")
        for title, names in shown
        if names and all(name in have for name in names)
    ]
    panels += [Panel(title="Firing Alerts", kind="alerts")]
    if system.profile.logs:
        panels.append(Panel(title="Errors in the Log", description="Lines of level error.", kind="logs", logs=_ERRORS))
    return Board(title=f"{system.name} Overview", description=system.profile.description, panels=tuple(panels))


_BELOW = ("host_", "postgres_", "cache_", "redis_", "nginx_", "celery_")
_ERRORS = '| detected_level =~ "error|critical|fatal"'


def _alert(system: System, spec: SystemAlert) -> Alert:
    signal = system.signals[spec.signal]
    limit, sign, word = (spec.above, ">", "high") if spec.below is None else (spec.below, "<", "low")
    keep = BASE if spec.service is None else BASE[:-1]
    measured = signal.expr(system.scope, keep=keep)
    if signal.kind == "promql":
        measured = f"({measured})"
    expr = f"{measured} {sign} {THRESHOLD}"
    traffic = (
        f"sum by ({', '.join(keep)}) (rate({spec.traffic_of}{{{system.scope}}}[{signal.window}]))"
        if spec.traffic_of
        else signal.traffic(system.scope, keep=keep)
    )
    if traffic and spec.traffic:
        # Of the very thing that is measured: one that is busy says nothing of another that is not.
        on = ", ".join(keep if spec.traffic_of else dict.fromkeys((*keep, *signal.by)))
        expr += f"\nand on ({on}) {traffic} > {number(spec.traffic)}"
    says, follows = SPOKEN[signal.unit]
    where = "".join(f", {label} {{{{ $labels.{label} }}}}" for label in signal.by)
    return Alert(
        name=spec.name,
        of=system.name,
        app="" if spec.service is None else system.name,
        service=spec.service or "",
        expr=expr,
        threshold=limit,
        for_=spec.for_,
        severity=spec.severity,
        summary=spec.summary or f"{signal.title} of {system.name} is too {word}",
        description=f"{signal.title} is {says}{where} (limit {THRESHOLD}{follows}).",
        action=spec.action,
        dashboard=system.dashboard,
        signal=spec.signal,
        below=spec.below is not None,
    )


def alert_groups(system: System) -> tuple[RuleGroup, ...]:
    """The alerts of the system's profile, in the groups that it names, all in one file."""
    groups: dict[str, list[Alert]] = {}
    for spec in system.profile.alerts:
        groups.setdefault(spec.group, []).append(_alert(system, spec))
    return tuple(RuleGroup(name=name, file=system.name, alerts=tuple(alerts)) for name, alerts in groups.items())


SHARED = ("http_rate", "http_error_share", "http_p50", "http_p95", "http_p99")
"""Signals that are computed once, since dashboards of many systems show them."""


def recorded(name: str) -> str:
    """Name of the series of a signal that is computed once."""
    return f"app:{name}:5m"


def records(system: System) -> RuleGroup:
    """Series that are computed once and shown often: the same names for every system, whatever it calls its metrics."""
    return RuleGroup(
        name="signals",
        file=system.name,
        records=tuple(
            RecordingRule(record=recorded(name), expr=system.signals[name].expr(system.scope))
            for name in SHARED
            if name in system.signals
        ),
    )


RESERVED = frozenset({APP, ENVIRONMENT, "cluster", "slo", "signals", "objectives"})
"""Names that no system can have."""


def load(settings: Settings, *, file: str) -> tuple[System, ...]:
    """The systems that `settings`, read from `file`, watch.

    Raises SettingsError naming file and key: of the stack file, or of a profile.
    """
    found: list[System] = []
    for name, value in settings.systems.items():
        key = f"{KEY}.systems.{name}"
        if name in RESERVED:
            raise SettingsError(f"{file}: {key}: the name is the stack's own (accepted: another one)")
        own = parse(SystemSettings, value, file=file, key=key)
        profile = find(name, own.profile, file=file, key=key)
        if own.pods and settings.runtime is not RuntimeKind.KUBERNETES:
            raise SettingsError(
                f"{file}: {key}.pods: there are no pods on {settings.runtime.value} (accepted: on kubernetes; services"
                " with addresses elsewhere)"
            )
        system = System(name=name, profile=profile, settings=own)
        _refuse_unknown(system, file=file, key=key)
        own_namespace = settings.kubernetes.namespace
        for service, pods in own.pods.items():
            if pods.namespace in {own_namespace, own_namespace + NODE_NAMESPACE}:
                raise SettingsError(
                    f"{file}: {key}.pods.{service}.namespace: {pods.namespace} is the stack's own (accepted: another;"
                    " what else is in it is cut off from the network)"
                )
        profile_checks.refuse_mistakes(name, profile, system.signals)
        found.append(system)
    return tuple(found)


def _refuse_unknown(system: System, *, file: str, key: str) -> None:
    """Addresses of what the profile does not know."""
    for service in system.settings.services:
        if service not in system.profile.services:
            accepted = ", ".join(system.profile.services)
            raise SettingsError(
                f"{file}: {key}.services.{service}: not a service of {system.name} (accepted: {accepted})"
            )
    for service, pods in system.settings.pods.items():
        if service not in system.profile.services:
            accepted = ", ".join(system.profile.services)
            raise SettingsError(f"{file}: {key}.pods.{service}: not a service of {system.name} (accepted: {accepted})")
        if pods.path is None and not system.profile.services[service].metrics:
            raise SettingsError(
                f"{file}: {key}.pods.{service}.path: required, since the profile of {system.name} names no page of"
                f" metrics of {service} (accepted: a path like /metrics)"
            )
    for exporter in EXPORTERS:
        if getattr(system.settings, exporter) and exporter not in system.profile.exporters:
            accepted = ", ".join(system.profile.exporters) or "none"
            raise SettingsError(
                f"{file}: {key}.{exporter}: {system.name} does not say that it stands on it"
                f" (accepted: {accepted}, or {exporter} among the exporters of its profile)"
            )


def exporter_settings(
    systems: Iterable[System], exporters: Mapping[str, Mapping[str, Any]], *, file: str
) -> dict[str, dict[str, Any]]:
    """What stands under `exporters` of a stack, read from `file`, with what its systems stand on.

    Raises SettingsError when two targets of an exporter would have one name.
    """
    merged = {name: dict(value) for name, value in exporters.items()}

    def add(exporter: str, key: str, name: str, value: Mapping[str, Any]) -> None:
        own = merged.setdefault(exporter, {})
        if name in own.get(key, {}):
            raise SettingsError(
                f"{file}: {KEY}.systems: {name} would be twice among exporters.{exporter}.{key}"
                " (accepted: names that differ when they follow their system's, with a dash between)"
            )
        own[key] = {**own.get(key, {}), name: dict(value)}

    for system in systems:
        for exporter in EXPORTERS:
            targets: Mapping[str, Model] = getattr(system.settings, exporter)
            for name, target in targets.items():
                value = target.model_dump(by_alias=True, exclude_unset=True, mode="json")
                add(exporter, "targets", f"{system.name}-{name}", {**value, "app": system.name})
        for name, probe in system.profile.probes.items():
            for place, address in _places(name, system.settings.services.get(probe.service, ())):
                value = {"url": f"http://{address}{probe.path}", "interval": probe.every, "timeout": probe.timeout}
                add(
                    "blackbox",
                    "probes",
                    f"{system.name}-{place}",
                    {**value, "app": system.name, "service": probe.service},
                )
        for name, page in system.profile.json_pages.items():
            for place, address in _places(name, system.settings.services.get(page.service, ())):
                value = {"url": f"http://{address}{page.path}", "metrics": dict(page.metrics)}
                add("json", "targets", f"{system.name}-{place}", {**value, "app": system.name})
    return merged


def _places(name: str, addresses: Sequence[str]) -> list[tuple[str, str]]:
    """`name` for the first address, with a number for each further one."""
    plain = name.replace("_", "-")
    return [(plain if index == 0 else f"{plain}-{index + 1}", address) for index, address in enumerate(addresses)]


def jobs(context: Context, systems: Iterable[System]) -> tuple[ScrapeJob, ...]:
    """The scrape jobs of the systems' own services."""
    return tuple(job for system in systems for job in (*_addressed(context, system), *_discovered(context, system)))


def _addressed(context: Context, system: System) -> Iterator[ScrapeJob]:
    for name, service in system.profile.services.items():
        addresses = system.settings.services.get(name)
        if service.metrics and addresses:
            labels = context.labels(app=system.name, service=name)
            yield ScrapeJob(
                name=system.job(name),
                targets=tuple(Target(address=address, labels=labels) for address in addresses),
                path=service.metrics,
                interval=service.interval or "",
            )


def found_pods(systems: Iterable[System]) -> tuple[dict[str, Any], ...]:
    """Relabellings that leave out what the jobs of the systems' pods scrape, from a job that would find it, too."""
    return tuple(
        already_found(pods.namespace, pods.labels, pods.port, pods.path or system.profile.services[name].metrics or "")
        for system in systems
        for name, pods in system.settings.pods.items()
    )


def _discovered(context: Context, system: System) -> Iterator[ScrapeJob]:
    for name, pods in system.settings.pods.items():
        service = system.profile.services[name]
        # A job is either of addresses or of pods: each is watched for having none left.
        beside = "-pods" if service.metrics and system.settings.services.get(name) else ""
        yield ScrapeJob(
            name=f"{system.job(name)}{beside}",
            targets=(),
            path=pods.path or service.metrics or "",
            interval=service.interval or "",
            discovery=labelled_pods(pods.namespace, pods.labels, pods.port),
            labels=context.labels(app=system.name, service=name),
        )


def _numbered(sources: Sequence[LogSource]) -> list[tuple[int, LogSource]]:
    """Each source with how many of its service come before it."""
    return [
        (sum(other.service == source.service for other in sources[:index]), source)
        for index, source in enumerate(sources)
    ]


def _short(name: str) -> str:
    """`name`, or what is as good where that is longer than names are."""
    return name if len(name) <= 42 else f"{name[:33].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def log_files(systems: Iterable[System]) -> tuple[LogFile, ...]:
    """The log files that the systems write on their hosts."""
    return tuple(
        LogFile(
            name=_short(
                f"{system.name}-{source.service}{f'-{index + 1}' if index else ''}".replace("_", "-").rstrip("-")
            ),
            app=system.name,
            service=source.service,
            include=(source.path,),
            format=source.format,
            durations=source.durations,
        )
        for system in systems
        for index, source in _numbered(system.profile.logs)
        if source.path
    )
