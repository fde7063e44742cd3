"""The stack as other programs have it: in Python as a class, in other languages by the plugin of `package/`.

The plugin's schema is read from the annotations and docstrings of this module (docs/reuse.md), which is why they are
only what Pulumi's analyzer knows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

import pulumi

from components import runtimes
from components.generated import GeneratedSecret
from components.outputs import resolved
from components.stack import ObservabilityStack
from specs import grafana
from specs import stack as declared
from specs.model import SettingsError, parse
from specs.settings import RuntimeKind, Settings, in_order, load, read_yaml

TOKEN = "observability:index:Stack"  # noqa: S105 - a type's token


class StackArgs(TypedDict):
    """What a program says of the stack it wants. Exactly one of `settings` and `settings_file` is given."""

    settings: NotRequired[Mapping[str, Any]]
    """The environment: what stands under `observability:settings` in a stack file (docs/settings.md has every key)."""
    settings_file: NotRequired[str]
    """Path of a YAML file with the settings, or of a whole stack file; below the program's directory."""
    secrets: NotRequired[Mapping[str, pulumi.Input[str]]]
    """The value of each secret that the settings name, by its key: `{secret: KEY}`."""
    parts: NotRequired[Sequence[str]]
    """Place only these, by the names of their workloads, such as `loki`; without it, all that the settings declare."""


class Stack(pulumi.ComponentResource):
    """A whole observability stack, as settings have it. Its properties are the outputs contract (docs/outputs.md)."""

    contract_version: pulumi.Output[int]
    """Version of the contract that the other properties keep."""
    schema_version: pulumi.Output[str]
    """Version of the contract's JSON Schema."""
    environment: pulumi.Output[str]
    """The label `environment` of everything in this stack."""
    cluster: pulumi.Output[str]
    """The label `cluster`."""
    urls: pulumi.Output[Mapping[str, str]]
    """What people open, by the part's name."""
    otlp: pulumi.Output[Mapping[str, str]]
    """Endpoints of OTLP: `grpc` and `http`."""
    loki: pulumi.Output[Mapping[str, str]]
    """Endpoints of Loki: `push_url` and `otlp_url`."""
    metrics: pulumi.Output[Mapping[str, Any]]
    """Endpoints for samples: `remote_write_url` (null with several replicas) and `otlp_url`."""
    otel_env: pulumi.Output[Mapping[str, str]]
    """Environment block for an OpenTelemetry SDK."""
    scrape: pulumi.Output[Mapping[str, Any]]
    """How an application has itself scraped."""
    logs: pulumi.Output[Mapping[str, Any]]
    """Where log files are followed."""
    grafana: pulumi.Output[Mapping[str, Any]]
    """Where a deployment posts its annotation."""
    logstash: pulumi.Output[str] | None
    """`host:port` of Logstash, with `elk`."""
    elastic_apm_env: pulumi.Output[Mapping[str, str]] | None
    """Environment block for Elastic's agents, with `apm`."""
    sentry_env: pulumi.Output[Mapping[str, str]] | None
    """Environment block for Sentry's SDKs, unless `errors` is off."""
    docker: pulumi.Output[Mapping[str, Any]] | None
    """How containers of applications reach the stack, on Docker."""
    kubernetes: pulumi.Output[Mapping[str, Any]] | None
    """What a NetworkPolicy of an application names, on Kubernetes."""

    def __init__(self, name: str, args: StackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Raises pulumi.RunError with a line for each mistake in `args`; nothing is declared then."""
        super().__init__(TOKEN, name, {}, opts)
        try:
            settings = _settings(name, args)
            wanted = declared.build(settings, file=name, absent=runtimes.absent(settings))
            chosen = _chosen(name, wanted, args.get("parts"))
            _refuse_secrets(name, wanted, chosen, args.get("secrets", {}))
        except SettingsError as problem:
            raise pulumi.RunError(str(problem)) from None
        # Another program's stack `dev` is not this project's.
        home = f"{pulumi.get_project()}.{pulumi.get_stack()}"
        secrets = _secrets(self, chosen, args.get("secrets", {}), home)
        runtime = runtimes.of(chosen, secrets, home=home)
        deployed = ObservabilityStack(name, chosen, runtime, secrets, pulumi.ResourceOptions(parent=self))
        found = resolved(chosen.outputs(runtime.home), {**secrets, **deployed.secrets})
        given = {key: pulumi.Output.from_input(value) for key, value in found.items() if value is not None}
        for key in found:
            setattr(self, key, given.get(key))
        self.register_outputs(given)


def _plain(value: object, path: str) -> Any:
    """`value` as YAML would give it: a number that is whole is an integer, which the wire does not know."""
    if isinstance(value, pulumi.Output):
        raise SettingsError(
            f"{path}: known only once something is deployed (accepted: plain values; those of secrets in `secrets`)"
        )
    if isinstance(value, Mapping):
        return {key: _plain(item, f"{path}.{key}") for key, item in cast("Mapping[str, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{path}[{at}]") for at, item in enumerate(cast("Iterable[object]", value))]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _settings(name: str, args: StackArgs) -> Settings:
    """The settings that the arguments hold or name. Raises SettingsError naming argument and key."""
    given, path = args.get("settings"), args.get("settings_file")
    if (given is None) == (path is None):
        raise SettingsError(f"{name}: settings, settings_file: give one of them (accepted: a mapping, or a path)")
    if path is None:
        return parse(Settings, in_order(_plain(given, f"{name}: settings")), file=name, key="settings")
    told = _plain(path, f"{name}: settings_file")
    if not isinstance(told, str | Path):
        raise SettingsError(f"{name}: settings_file: {told!r} (accepted: a path)")
    file = Path(told)
    found = read_yaml(file)
    return load(file) if "config" in found else parse(Settings, in_order(found), file=file.name, key="")


def _refuse_secrets(
    name: str, wanted: declared.Stack, chosen: declared.Stack, given: Mapping[str, pulumi.Input[str]]
) -> None:
    """Raise SettingsError with a line for each secret that is missing in `given` for what is `chosen`, and each that
    nothing reads of all that is `wanted`."""
    known = {ref.key: ref for ref in wanted.secrets()}
    if isinstance(given, pulumi.Output):
        raise SettingsError(f"{name}: secrets: a secret as a whole (accepted: a mapping of keys to secret values)")
    if not isinstance(cast("object", given), Mapping):
        raise SettingsError(f"{name}: secrets: {type(given).__name__} (accepted: a mapping of keys to secret values)")
    # A program that reads a configuration that is not there has None.
    empty = {key for key, value in given.items() if cast("object", value) is None}
    missing = [
        f"{name}: secrets.{ref.key}: missing (accepted: a secret value, which the settings name by this key)"
        for ref in chosen.secrets()
        if ref.key in empty or (not ref.generated and ref.key not in given)
    ]
    accepted = ", ".join(sorted(known)) or "none"
    spare = [f"{name}: secrets.{key}: nothing reads it (accepted: {accepted})" for key in given if key not in known]
    if missing or spare:
        raise SettingsError("\n".join([*missing, *spare]))


def _chosen(name: str, wanted: declared.Stack, parts: Sequence[str] | None) -> declared.Stack:
    """`wanted` with only the workloads called as `parts` say. Raises SettingsError for a name that is none."""
    if parts is None:
        return wanted
    if isinstance(parts, str) or not isinstance(cast("object", parts), Sequence):
        raise SettingsError(f"{name}: parts: {parts!r} (accepted: a list of names, such as [loki])")
    unknown = sorted(set(parts) - wanted.names)
    if unknown or not parts:
        raise SettingsError(
            f"{name}: parts: {unknown[0] if unknown else 'empty'}: no part of this stack"
            f" (accepted: {', '.join(sorted(wanted.names))})"
        )
    settings = wanted.context.settings
    with_grafana = grafana.NAME in parts or settings.grafana.url is not None
    return replace(
        wanted,
        context=replace(wanted.context, settings=_placed(settings, parts)),
        workloads=tuple(each for each in wanted.workloads if each.name in parts),
        grafana_content=wanted.grafana_content if with_grafana else None,
    )


def _placed(settings: Settings, parts: Sequence[str]) -> Settings:
    """`settings` without the ways in to what is not among `parts`."""
    asked = settings.kubernetes.ingress
    if asked is None:
        return settings
    hosts = {part: host for part, host in asked.hosts.items() if part in parts}
    ingress = asked.model_copy(update={"hosts": hosts}) if hosts else None
    return settings.model_copy(update={"kubernetes": settings.kubernetes.model_copy(update={"ingress": ingress})})


def _secrets(
    parent: pulumi.Resource, chosen: declared.Stack, given: Mapping[str, pulumi.Input[str]], home: str
) -> Mapping[str, pulumi.Output[str]]:
    """Every secret of the stack by its key; what nobody has to choose is made up where the programs do not do so."""
    found = {key: pulumi.Output.secret(value) for key, value in given.items()}
    settings = chosen.context.settings
    if settings.runtime is RuntimeKind.PROCESS:
        return found
    kept = settings.runtime is RuntimeKind.DOCKER and settings.docker.keep_volumes
    child = pulumi.ResourceOptions(parent=parent)
    made = {
        ref.key: GeneratedSecret(ref.key, stack=home, kept=kept, opts=child).value
        for ref in chosen.secrets()
        if ref.key not in found
    }
    return {**found, **made}
