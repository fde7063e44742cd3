"""The whole stack as one value: settings in, everything that runs and every file out. Pure, and so quick to render."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dashboards
from specs import (
    agent,
    alertmanager,
    apm,
    applications,
    capacity,
    cluster,
    collector,
    discovery,
    elk,
    exporters,
    glitchtip,
    grafana,
    inbox,
    jaeger,
    links,
    log_files,
    loki,
    objectives,
    outputs,
    prometheus,
    routing,
    sampling,
    scale,
    sizing,
    system,
    versions,
)
from specs import programs as known_programs
from specs.addresses import Addresses, Cluster, Containers, Loopback
from specs.exporter import Exporting
from specs.model import SettingsError, parse
from specs.monitoring import RuleGroup, ScrapeJob, override
from specs.part import Context
from specs.settings import KEY, RuntimeKind, Settings
from specs.system import System
from specs.workload import Program, SecretRef, Workload


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """What a stack file amounts to."""

    context: Context
    workloads: tuple[Workload, ...]
    systems: tuple[System, ...]
    jobs: tuple[ScrapeJob, ...]
    groups: tuple[RuleGroup, ...]
    """Rules that Prometheus evaluates."""
    log_groups: tuple[RuleGroup, ...]
    """Rules that Loki evaluates."""
    dashboards: Mapping[str, Mapping[str, Any]]
    """`<folder>/<uid>.json` → dashboard."""
    grafana_content: grafana.Content | None
    """What Grafana's provider makes; None where Grafana reads files, or there is none."""
    left_out: tuple[str, ...]
    """One line for each part that is asked for but cannot run here."""
    capacity: capacity.Capacity | None
    """What a cluster has to have for it; None on one machine."""

    def workload(self, name: str) -> Workload:
        """The workload called `name`; KeyError when the stack has none."""
        for workload in self.workloads:
            if workload.name == name:
                return workload
        raise KeyError(name)

    @property
    def names(self) -> frozenset[str]:
        """Names of all workloads."""
        return frozenset(workload.name for workload in self.workloads)

    @property
    def programs(self) -> tuple[Workload, ...]:
        """All workloads, and what runs beside them."""
        return tuple(program for workload in self.workloads for program in (workload, *workload.beside))

    def secrets(self) -> tuple[SecretRef, ...]:
        """Every secret that has to be configured for some program, Grafana's provider or an output, once."""
        existing = self.context.settings.kubernetes.secrets
        files = [ref for program in self.programs for ref in program.secrets.values() if ref.key not in existing]
        own = (one for ref in files for one in ref.each())
        refs = [*own, *self.secrets_of_ways_in(), *self.secrets_outside()]
        return tuple({ref.key: ref for ref in refs}.values())

    def secrets_outside(self) -> tuple[SecretRef, ...]:
        """Secrets that Pulumi itself has to know, for Grafana's provider or an output."""
        provided = self.grafana_content.secrets() if self.grafana_content else ()
        return (*provided, *outputs.secrets(self.outputs()))

    def secrets_of_ways_in(self) -> tuple[SecretRef, ...]:
        """Secrets that the cluster's own parts read."""
        existing = self.context.settings.kubernetes.secrets
        return tuple(ref for ref in links.secrets(self.context) if ref.key not in existing)

    def outputs(self, home: str = "") -> dict[str, Any]:
        """The outputs contract (docs/outputs.md). `home` is the directory of a process stack."""
        return outputs.outputs(self.context, home=home, names=self.names)


_CONFIG_MAP = 1_000_000
"""Bytes of one file that a pod can have: a little less than etcd takes."""


def addresses(settings: Settings) -> Addresses:
    """How the settings' runtime lays out its network."""
    match settings.runtime:
        case RuntimeKind.PROCESS:
            return Loopback(offset=settings.port_offset, bind=settings.bind)
        case RuntimeKind.DOCKER:
            return Containers(offset=settings.port_offset)
        case RuntimeKind.KUBERNETES:
            return Cluster(namespace=settings.kubernetes.namespace)


def _exporters(context: Context, systems: Sequence[System]) -> dict[str, Exporting]:
    known = exporters.discover()
    found: dict[str, Exporting] = {}
    for name, value in system.exporter_settings(systems, context.settings.exporters, file=context.file).items():
        key = f"{KEY}.exporters.{name}"
        if name not in known:
            raise SettingsError(f"{context.file}: {key}: unknown exporter (accepted: {', '.join(known)})")
        exporter = known[name]
        if context.settings.runtime not in exporter.runtimes:
            runs_on = ", ".join(sorted(kind.value for kind in exporter.runtimes))
            raise SettingsError(
                f"{context.file}: {key}: does not run on {context.settings.runtime.value} (accepted: {runs_on})"
            )
        found[name] = exporter.build(context, parse(exporter.settings, value, file=context.file, key=key))
    return found


def _exported(exporting: Mapping[str, Exporting], systems: Sequence[System]) -> set[str]:
    """Exporters whose samples the stack may have: its own, and those of systems that register themselves."""
    named = {name for each in systems for name in each.profile.exporters}
    return {*exporting, *named, *(["json"] if any(each.profile.json_pages for each in systems) else [])}


def _rules_of(systems: Sequence[System]) -> tuple[RuleGroup, ...]:
    """Recording rules, objectives and alerts of the systems."""
    promised = any(each.profile.objectives for each in systems)
    return (
        *(
            group
            for each in systems
            for group in (system.records(each), objectives.records(each), *system.alert_groups(each))
        ),
        *(objectives.groups() if promised else ()),
    )


def _refuse_clashes(context: Context, workloads: Sequence[Workload]) -> None:
    """Ports that one machine would see twice, and versions of programs that do not exist."""
    taken: dict[tuple[int, str], str] = {}
    for workload in workloads:
        for port in workload.ports:
            if not (context.on_one_machine or (port.published and context.settings.runtime is RuntimeKind.DOCKER)):
                continue
            here = (port.number + context.settings.port_offset, port.protocol)
            owner = f"{workload.name} ({port.name})"
            if here in taken:
                raise SettingsError(
                    f"{context.file}: {KEY}: port {here[0]}/{here[1]} is taken twice: by {taken[here]} and by {owner}"
                    " (accepted: another port in one of the exporters' settings)"
                )
            if here[0] > 65535:
                raise SettingsError(
                    f"{context.file}: {KEY}.port_offset: {owner} would listen on {here[0]} (accepted: at most 65535)"
                )
            taken[here] = owner
    programs = {
        program.name for program in vars(known_programs).values() if isinstance(program, Program) and program.image
    }
    for name in context.settings.versions:
        if name not in programs:
            raise SettingsError(
                f"{context.file}: {KEY}.versions.{name}: unknown program (accepted: {', '.join(sorted(programs))})"
            )


def _refuse_twins(context: Context, jobs: Sequence[ScrapeJob], groups: Sequence[RuleGroup]) -> None:
    """Scrape jobs, and groups of one file, of the same name: Prometheus takes neither."""
    for name, times in Counter(job.name for job in jobs).items():
        if times > 1:
            raise SettingsError(
                f"{context.file}: {KEY}.systems: {name} would be the scrape job of two (accepted: another job in the"
                " service of one's profile)"
            )
    seen: set[tuple[str, str]] = set()
    for group in groups:
        place = (group.file or group.name, group.name)
        if place in seen:
            raise SettingsError(
                f"{context.file}: {KEY}.systems.{place[0]}: {group.name} would be two groups of rules (accepted: another"
                " name for the system, or another group of its alerts)"
            )
        seen.add(place)


def _refuse_bulk(context: Context, workloads: Sequence[Workload]) -> None:
    """A file that is more than a cluster can hold in one piece."""
    if context.on_cluster:
        for workload in workloads:
            for path, text in workload.files.items():
                size = len(text.encode())
                if size > _CONFIG_MAP:
                    raise SettingsError(
                        f"{context.file}: {KEY}.systems: {path} of {workload.name} would have {size} bytes (accepted: at"
                        f" most {_CONFIG_MAP}, since a ConfigMap holds no more; watch fewer systems by one stack)"
                    )


def _refuse_existing(stack: Stack) -> None:
    """Secrets of the cluster that no program reads, or that something else than pods has to know."""
    context = stack.context
    read = {ref.key for program in stack.programs for ref in program.secrets.values()}
    read |= {ref.key for ref in links.secrets(context)}
    outside = {ref.key for ref in stack.secrets_outside()}
    for key in context.settings.kubernetes.secrets:
        where = f"{context.file}: {KEY}.kubernetes.secrets.{key}"
        if key in outside:
            raise SettingsError(f"{where}: Pulumi itself has to know it (accepted: pulumi config set --secret {key})")
        if key not in read:
            raise SettingsError(f"{where}: no part reads it (accepted: {', '.join(sorted(read)) or 'none'})")


def build(settings: Settings, *, file: str, absent: Iterable[str] = ()) -> Stack:
    """The stack that `settings`, read from `file`, declare.

    `absent` are executables this machine does not have and cannot get (optional ones: grafana, json_exporter);
    what needs them is left out and named in `left_out`.

    Raises SettingsError naming file and key.
    """
    absent = frozenset(absent)
    versions.check(settings, file=file)
    systems = system.load(settings, file=file)
    settings = settings.model_copy(update={"log_files": (*settings.log_files, *system.log_files(systems))})
    log_files.refuse(settings, file=file)
    context = Context(settings=settings, addresses=addresses(settings), file=file, scale=scale.of(settings, file=file))
    exporting = _exporters(context, systems)
    left_out: list[str] = [*agent.left_out(context), *jaeger.left_out(context)]
    for name, found in list(exporting.items()):
        missing = sorted({workload.program.binary for workload in found.workloads} & absent)
        if missing:
            left_out.append(f"{name} exporter: left out, since there is no {missing[0]} on PATH")
            del exporting[name]
    asks_grafana = settings.grafana.run and settings.grafana.url is None
    with_grafana = asks_grafana and "grafana" not in absent
    if asks_grafana and not with_grafana:
        left_out.append("grafana: left out, since there is no grafana on PATH; everything else works without it")
    optional = [*elk.parts(context), *apm.parts(context), *glitchtip.parts(context)]
    left_out += elk.left_out(context)
    own_inbox = context.on_one_machine and (
        not settings.alerting.receivers or settings.alerting.dead_mans_switch is None
    )

    monitorings = [
        alertmanager.monitoring(context),
        loki.monitoring(context),
        jaeger.monitoring(context),
        collector.monitoring(context),
        *agent.monitoring(context),
        *sampling.monitoring(context),
        *([grafana.monitoring(context)] if with_grafana else []),
        *([inbox.monitoring(context)] if own_inbox else []),
        cluster.monitoring(context, systems),
        *(found.monitoring for found in (*optional, *exporting.values())),
    ]
    others = [*(job for monitoring in monitorings for job in monitoring.jobs), *system.jobs(context, systems)]
    if context.on_cluster and settings.kubernetes.discover:
        of_systems = system.found_pods(systems)
        others.append(discovery.applications(settings.environment, settings.kubernetes.namespace, of_systems))
    own = prometheus.monitoring(context, others)
    jobs = (*own.jobs, *others)
    of_logs = loki.log_groups()
    every = override(
        (
            *own.groups,
            applications.group([each.name for each in systems]),
            *(group for monitoring in monitorings for group in monitoring.groups),
            *_rules_of(systems),
            *of_logs,
        ),
        settings.alerting.overrides,
        file=file,
    )
    groups, log_groups = every[: -len(of_logs)], every[-len(of_logs) :]
    unwatched = exporters.discover().keys() - _exported(exporting, systems)
    unwatched |= {*([] if settings.elk else [elk.DASHBOARD]), *([] if cluster.watched(context) else cluster.DASHBOARDS)}
    boards = dashboards.render(systems, groups, absent=unwatched)
    routes = {each.name: each.profile.routes for each in systems}
    inbox_url = f"http://{context.addresses.dial(inbox.NAME, inbox.PORT)}" if own_inbox else None
    runbooks = settings.links.runbooks or (
        f"http://{context.addresses.outside(inbox.NAME, inbox.PORT)}/runbooks" if own_inbox else "docs/runbooks"
    )
    grafana_url = grafana.address(context)
    who = alertmanager.tree(context, inbox_url, routes)
    told = [alert for group in every for alert in group.alerts]
    routing.refuse_defects(
        file, who, routing.occurrences(told, apps=(*cluster.apps(context), *routes), services=who.services)
    )
    links_to = {"runbooks": runbooks.rstrip("/"), "dashboards": grafana_url}
    workloads = sizing.apply(
        context,
        (
            *prometheus.workloads(context, jobs, groups, **links_to),
            alertmanager.workload(context, inbox_url, routes=routes),
            *loki.workloads(context, log_groups, **links_to),
            jaeger.workload(context),
            collector.workload(context),
            *agent.workloads(context),
            *sampling.workloads(context),
            *([grafana.workload(context, boards)] if with_grafana else []),
            *([inbox.workload(context)] if own_inbox else []),
            *cluster.workloads(context),
            *(workload for found in (*optional, *exporting.values()) for workload in found.workloads),
        ),
    )
    _refuse_clashes(context, workloads)
    _refuse_bulk(context, workloads)
    _refuse_twins(context, jobs, every)
    links.refuse(context, workloads)
    made = Stack(
        context=context,
        workloads=workloads,
        systems=systems,
        jobs=jobs,
        groups=groups,
        log_groups=log_groups,
        dashboards=boards,
        grafana_content=grafana.content(context, boards, systems) if with_grafana or settings.grafana.url else None,
        left_out=tuple(left_out),
        capacity=capacity.of(context, workloads, jobs),
    )
    _refuse_existing(made)
    return made
