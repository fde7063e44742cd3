"""The typed, validated shape of a stack file: what stands under `observability:settings` of `Pulumi.<stack>.yaml`."""

import re
from collections.abc import Hashable, Iterator, Mapping
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast
from zoneinfo import available_timezones

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from specs.model import (
    Address,
    Duration,
    HttpUrl,
    LabelName,
    Model,
    Name,
    Pause,
    Secret,
    SettingsError,
    Size,
    address,
    http_url,
    parse,
    problem_at,
    seconds,
)

PROJECT = "observability"
KEY = f"{PROJECT}:settings"


class RuntimeKind(StrEnum):
    """Where workloads run."""

    PROCESS = "process"
    """Processes of this machine, kept by supervisor."""
    DOCKER = "docker"
    """Containers of a Docker engine."""
    KUBERNETES = "kubernetes"
    """Pods of a cluster."""


class Severity(StrEnum):
    """How much of a hurry an alert is in."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


def _at_least_a_day(value: str) -> str:
    if seconds(value) < 24 * 3600:
        raise ValueError(f'"{value}" is too short, since Loki\'s index has a period of a day (accepted: at least 24h)')
    return value


def _channel(value: str) -> str:
    if not re.fullmatch(r"[#@]?[\w.-]+", value):
        raise ValueError(f'"{value}" is not a channel (accepted: "#channel" or "@person", in quotes)')
    return value


def _mail(value: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        raise ValueError(f'"{value}" is not a mail address (accepted: name@host)')
    return value


def _bind(value: str) -> str:
    # The parts dial each other by 127.0.0.1, so that must be among what they listen on.
    if value not in {"127.0.0.1", "0.0.0.0"}:  # noqa: S104 - the user's own choice
        raise ValueError(
            f'"{value}" is not an address to bind (accepted: 127.0.0.1, or 0.0.0.0 for all of this machine)'
        )
    return value


Mail = Annotated[str, AfterValidator(_mail), Field(examples=["team@example.com"])]
"""A mail address."""


class Retention(Model):
    """How long telemetry is kept. One number a signal drives every knob of the program that stores it."""

    metrics: Duration = "30d"
    """Prometheus' samples."""
    metrics_size: Size | None = None
    """Upper bound of Prometheus' blocks; the older of both limits wins."""
    logs: Annotated[Duration, AfterValidator(_at_least_a_day)] = "7d"
    """Log lines can be searched for at least this long, and are taken in until they are this old; at least a day."""
    log_archive: Annotated[Duration, AfterValidator(_at_least_a_day)] = "30d"
    """Loki keeps log lines for this long, and searches what it keeps; at least `logs`."""
    alert_history: Annotated[Duration, AfterValidator(_at_least_a_day)] = "90d"
    """Loki keeps for this long who was told of which alert, and with what outcome."""
    traces: Duration = "7d"
    """Jaeger's spans."""

    @model_validator(mode="after")
    def _archive_is_longer(self) -> "Retention":
        if seconds(self.log_archive) < seconds(self.logs):
            raise problem_at(
                f'"{self.log_archive}" is shorter than logs, which is {self.logs} (accepted: at least that)',
                "log_archive",
            )
        return self


LogFormat = Literal["json", "text", "nginx-access", "nginx-error", "postgres", "redis"]
"""How the lines of a log are written."""


def _glob(value: str) -> str:
    # The collector takes $ for the beginning of a variable's name.
    if not re.fullmatch(r"/[^$]+", value) or not value.isprintable():
        raise ValueError(f'"{value}" is not a file (accepted: an absolute path, which may have * and ?, without $)')
    return value


Glob = Annotated[str, AfterValidator(_glob), Field(examples=["/var/log/shop/*.log"])]
"""Absolute path of files."""


class LogFile(Model):
    """A log file that the collector follows."""

    name: Name
    """Names it."""
    app: Name
    """System that the lines belong to."""
    service: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_-]*$")
    """Becomes `service_name` of its lines unless a JSON line names its own; none: the name does."""
    include: Annotated[tuple[Glob, ...], Field(min_length=1)]
    """Globs of absolute paths."""
    format: LogFormat = "json"
    """`json`: one object a line; `text`: the line is the message; the others as the programs write them (docs/logs.md)."""
    durations: Literal["s", "ms"] = "ms"
    """Unit of `duration` in its JSON lines."""


class Webhook(Model):
    """An HTTP endpoint that takes Alertmanager's JSON."""

    url: HttpUrl | Secret
    """In the clear, or a secret when the URL itself is one."""


class Slack(Model):
    """A Slack channel."""

    url: Secret
    """The incoming webhook's URL."""
    channel: Annotated[str, AfterValidator(_channel), Field(examples=["#alerts"])]
    """Where it is said; in quotes, since YAML takes a # for a comment."""


class PagerDuty(Model):
    """A PagerDuty service (Events API v2)."""

    routing_key: Secret
    """The integration key of the service."""


class Email(Model):
    """Mail through an SMTP relay with TLS."""

    to: Mail
    """Whom to write to."""
    from_: Annotated[Mail, Field(alias="from")]
    """Sender of the mails."""
    smarthost: Address
    """The relay."""
    username: str | None = None
    """None: the relay wants no login."""
    password: Secret | None = None
    """The login's password."""


class Receiver(Model):
    """Who is told: any number of channels, at least one."""

    webhook: Webhook | None = None
    """An HTTP endpoint."""
    slack: Slack | None = None
    """A Slack channel."""
    pagerduty: PagerDuty | None = None
    """A PagerDuty service."""
    email: Email | None = None
    """A mail address."""

    @model_validator(mode="after")
    def _has_a_channel(self) -> "Receiver":
        if not (self.webhook or self.slack or self.pagerduty or self.email):
            raise ValueError("a receiver needs at least one channel (accepted: webhook, slack, pagerduty, email)")
        return self


def _clock(value: str) -> str:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", value):
        raise ValueError(f'"{value}" is not a time of day (accepted: "00:00" to "24:00", in quotes)')
    return value


Clock = Annotated[str, AfterValidator(_clock), Field(examples=["20:00"])]
"""A time of day."""


def _zone(value: str) -> str:
    known = available_timezones()
    # A machine may know none.
    if known and value not in known:
        raise ValueError(f'"{value}" is no time zone (accepted: like Europe/Berlin or UTC)')
    return value


class MuteTime(Model):
    """Hours of some days."""

    from_: Annotated[Clock, Field(alias="from")] = "00:00"
    """When it begins; in quotes, since YAML takes it for a number."""
    to: Clock = "24:00"
    """When it ends; before `from`: the hours from midnight on are of the same days."""
    weekdays: tuple[Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], ...] = ()
    """None: every day."""
    location: Annotated[
        str, AfterValidator(_zone), Field(pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$", examples=["Europe/Berlin"])
    ] = "UTC"
    """Time zone of the hours and days."""

    @model_validator(mode="after")
    def _lasts(self) -> "MuteTime":
        if self.from_ == self.to:
            raise problem_at(f'"{self.to}" is when it begins (accepted: another time)', "to")
        return self


def _never_critical(value: Mapping[Severity, tuple[str, ...]]) -> Mapping[Severity, tuple[str, ...]]:
    if Severity.CRITICAL in value:
        raise problem_at("critical alerts are never muted (accepted: warning, info)", Severity.CRITICAL.value)
    return value


Mutes = Annotated[Mapping[Severity, tuple[Name, ...]], AfterValidator(_never_critical)]
"""Names of mute times by severity."""
ByService = Mapping[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")], tuple[Name, ...]]
"""Receivers by the value of the label `service`."""
OWN_RECEIVERS = ("dashboards", "dead-mans-switch", "inbox", "nobody")
"""Names of receivers that a stack has of its own."""


class Grouping(Model):
    """Alertmanager's timings."""

    by: tuple[LabelName, ...] = ("alertname", "cluster", "app", "service")
    """Labels whose equal values make alerts one notification."""
    wait: Pause = "30s"
    """How long the first notification of a group waits for more alerts."""
    interval: Duration = "5m"
    """How long a group's next notification waits when alerts join or leave."""
    repeat: Duration = "12h"
    """How long until an unchanged group is told again."""


class Override(Model):
    """A change to one alert of this stack."""

    threshold: float | None = None
    """Limit of the alert, where it has one."""
    for_: Annotated[Pause | None, Field(alias="for")] = None
    """How long the condition must hold."""
    severity: Severity | None = None
    """Another severity."""
    disabled: bool = False
    """Leaves the alert out."""


class Alerting(Model):
    """Who is told of what, and how alerts differ from what ships."""

    receivers: Mapping[Name, Receiver] = Field(default_factory=dict[str, Receiver])
    """By name. On a process stack without any, everyone who is named anywhere is a page of its own `inbox`."""
    routes: Mapping[Severity, tuple[Name, ...]] = Field(default_factory=dict[Severity, tuple[str, ...]])
    """Receivers for a severity; severities that are not named go to `default`, but `info` goes to dashboards alone."""
    services: ByService = Field(default_factory=dict[str, tuple[str, ...]])
    """Receivers for the label `service`, told as well as those of the severity; `info` excepted."""
    default: Name | None = None
    """Receiver of everything that no route takes; required as soon as there are receivers."""
    backup: Name | None = None
    """Told as well when alerting itself is broken, since the usual channel may be what failed."""
    stand_in: Name | None = None
    """Takes the place of receivers that systems' profiles name and this stack does not declare."""
    dead_mans_switch: Webhook | None = None
    """What expects the Watchdog's beat, and raises the alarm when it stops."""
    grouping: Grouping = Grouping()
    mute_times: Mapping[Name, Annotated[tuple[MuteTime, ...], Field(min_length=1)]] = Field(
        default_factory=dict[str, tuple[MuteTime, ...]]
    )
    """Hours by name, for `mute` here and in systems' profiles."""
    mute: Mutes = Field(default_factory=dict[Severity, tuple[str, ...]])
    """Mute times in which a severity is told to nobody; never of `critical`."""
    overrides: Mapping[str, Override] = Field(default_factory=dict[str, Override])
    """By the alert's name; an unknown name is an error."""

    @model_validator(mode="after")
    def _names_exist(self) -> "Alerting":
        for name in self.receivers:
            if name in OWN_RECEIVERS:
                raise problem_at(f'"{name}" is a receiver of every stack (accepted: another name)', "receivers", name)
        if self.receivers and self.default is None:
            raise problem_at(
                f"required with receivers, but missing (accepted: {', '.join(sorted(self.receivers))})", "default"
            )
        for name, at in self.named():
            # Without any, it depends on the runtime: a process stack has its inbox.
            if self.receivers and name not in self.receivers:
                raise problem_at(f'"{name}" is not a receiver (accepted: {", ".join(sorted(self.receivers))})', *at)
        for severity, times in self.mute.items():
            for index, name in enumerate(times):
                if name not in self.mute_times:
                    known = ", ".join(sorted(self.mute_times)) or "none, since no mute_times are declared"
                    raise problem_at(f'"{name}" is not a mute time (accepted: {known})', "mute", severity.value, index)
        return self

    def named(self) -> Iterator[tuple[str, tuple[str | int, ...]]]:
        """Every name of a receiver, and where it stands."""
        for key in ("default", "backup", "stand_in"):
            name: str | None = getattr(self, key)
            if name is not None:
                yield name, (key,)
        for key, routes in (("routes", self.routes), ("services", self.services)):
            for value, names in routes.items():
                yield from ((name, (key, str(value), index)) for index, name in enumerate(names))


def _mirror(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*", value):
        raise ValueError(
            f'"{value}" is no mirror (accepted: a host, its port and a path, like mirror.example.com:5000/hub)'
        )
    return value


class Flavor(StrEnum):
    """Whose cluster it is: decides which parts of its control plane can be scraped, and so which rules there are."""

    EKS = "eks"
    """Amazon's: the control plane is theirs, its API server answers."""
    GKE = "gke"
    """Google's: likewise; DNS is kube-dns."""
    AKS = "aks"
    """Microsoft's: likewise."""
    K3S = "k3s"
    """One process is the whole control plane."""
    KIND = "kind"
    """kubeadm in containers: its control plane listens on loopback."""
    GENERIC = "generic"
    """Any other: API server, kubelets and CoreDNS."""


class ExistingSecret(Model):
    """A key of a Kubernetes Secret that something else makes, External Secrets for example."""

    name: str
    """The Secret, in the namespace of what uses it."""
    key: str
    """The key in it."""


def _host(value: str) -> str:
    if not re.fullmatch(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+", value):
        raise ValueError(f'"{value}" is not a host (accepted: a name in small letters, like grafana.example.com)')
    return value


def _network_range(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError:
        raise ValueError(f'"{value}" is not a range of addresses (accepted: like 10.0.0.0/16)') from None


def _where_from(value: str) -> str:
    return _network_range(value) if "/" in value else _namespace(value)


def _namespace(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", value):
        raise ValueError(f'"{value}" is not a namespace (accepted: small letters, digits and dashes, at most 63)')
    return value


def _own_namespace(value: str) -> str:
    if value == "default" or value.startswith("kube-"):
        raise ValueError(f'"{value}" is not the stack\'s alone (accepted: a namespace of its own, like observability)')
    return value


Range = Annotated[str, AfterValidator(_network_range), Field(examples=["10.0.0.0/16"])]
"""A range of addresses."""


class Filter(Model):
    """An object that a Gateway's controller understands as a filter of requests."""

    group: str
    """API group of its kind."""
    kind: str
    """Its kind."""
    name: str
    """The object, in the namespace of the stack."""


class Ingress(Model):
    """How people reach the parts from outside of the cluster: TLS always, and somebody who asks who they are."""

    kind: Literal["ingress", "gateway"] = "ingress"
    """An Ingress for each host, or an HTTPRoute of the Gateway API."""
    class_name: str | None = None
    """Ingress class; none: the cluster's default one."""
    gateway: Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9.-]+$", examples=["gateways/public"])] | None = None
    """`<namespace>/<name>` of the Gateway, for kind gateway."""
    listener: str = "https"
    """The Gateway's listener that ends TLS: routes are attached to no other."""
    hosts: Annotated[Mapping[Name, Annotated[str, AfterValidator(_host)]], Field(min_length=1)]
    """Host by part (grafana, prometheus, alertmanager, jaeger, …); what is not named is not reachable from outside."""
    tls_secret: str | None = None
    """Kubernetes Secret with the certificate; none: cert-manager makes one for each host where the annotations ask it
    to, or the controller or the Gateway has one."""
    annotations: Mapping[str, str] = Field(default_factory=dict[str, str])
    """For cert-manager and the like, on each Ingress or route."""
    users: Secret | None = None
    """htpasswd lines of who may open the parts that have no login of their own, for controllers that read ingress-nginx'
    annotations (docs/network.md)."""
    guard: Mapping[str, str] = Field(default_factory=dict[str, str])
    """Further annotations of the parts that have no login of their own, by which the controller asks people who they
    are: oauth2-proxy's address, a middleware."""
    filter: Filter | None = None
    """What does so on routes of a Gateway."""
    trusted: bool = False
    """Whether something before the controller knows already who people are (a VPN, a policy of the Gateway), so that
    parts without a login may be reached without a question."""
    controller: tuple[Annotated[str, AfterValidator(_where_from), Field(examples=["ingress-nginx"])], ...] = ()
    """Where the controller's requests come from: its namespace, or ranges of a load balancer's addresses. None: the
    namespace of the Gateway, or from anywhere."""

    @model_validator(mode="after")
    def _of_one_kind(self) -> "Ingress":
        hosts = list(self.hosts.values())
        for part, host in self.hosts.items():
            if hosts.count(host) > 1:
                raise problem_at(f'"{host}" is the host of two parts (accepted: one of its own each)', "hosts", part)
        if self.kind == "gateway" and self.gateway is None:
            raise problem_at("required with kind gateway, but missing (accepted: <namespace>/<name>)", "gateway")
        others = ("class_name", "tls_secret", "users", "guard") if self.kind == "gateway" else ("gateway", "filter")
        for key in others:
            if getattr(self, key):
                raise problem_at(f"not with kind {self.kind} (accepted: with the other kind)", key)
        if self.users and self.guard:
            raise problem_at("one way to ask (accepted: users, or guard)", "guard")
        return self


def _refuse_words(value: object) -> None:
    """Words for what is switched on and off, or has settings."""
    if isinstance(value, str):
        raise ValueError("text is neither of its values (accepted: true, false, or a mapping with its settings)")  # noqa: TRY004 - what pydantic takes


def _switch(value: object) -> object:
    """`true` and `false` for what has settings of its own."""
    _refuse_words(value)
    return {} if value is True else None if value is False else value


class Watch(Model):
    """How the cluster itself is watched."""

    dns: bool | None = None
    """Whether CoreDNS has pods, labelled `k8s-app: kube-dns`, that tell metrics on 9153; none: as the flavor has it."""
    verify_kubelets: bool | None = None
    """Whether kubelets' certificates are of the cluster's authority, and so can be verified; none: as the flavor has
    it. kubeadm's are self-signed unless `serverTLSBootstrap` is on."""


class Kubernetes(Model):
    """The cluster and the part of it that the stack may use."""

    namespace: Annotated[Name, AfterValidator(_own_namespace)] = "observability"
    """Namespace that everything is in, of the stack's own: whatever else is in it is cut off from the network, and held to
    the Pod Security Standard `restricted`."""
    storage_class: str | None = None
    """None: the cluster's default class."""
    flavor: Flavor = Flavor.GENERIC
    """Whose cluster it is."""
    registry: Annotated[str, AfterValidator(_mirror)] | None = None
    """Prefix of a mirror that every image is pulled from, without a trailing slash."""
    keep_volumes: bool = True
    """Whether data outlives `destroy`: namespace and volume claims stay, and the next `up` finds them again."""
    network_policies: bool = True
    """Whether pods may only dial, and be dialled by, what the model has a flow to (docs/network.md)."""
    dns: tuple[Range, ...] = ()
    """Addresses of name servers that are neither pods of kube-system nor link-local: where a NodeLocal DNSCache takes the
    requests for it, the DNS Service's own."""
    dials: Mapping[Name, tuple[Address, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    """By the part's name, what it dials beside what the stack knows of: an address that only a secret has, on a port
    that is not the usual one."""
    priority: Annotated[int, Field(ge=-1_000_000_000, le=1_000_000_000)] | None = 1_000_000
    """Value of a priority class of the stack's own: above applications, below the cluster's own parts. None: no class."""
    watch: Annotated[Watch | None, BeforeValidator(_switch)] = Watch()
    """`true`, `false` or its settings: whether the cluster itself is watched, with its kubelets, containers, workloads,
    API server and DNS."""
    pod_logs: bool = True
    """Whether an agent on every node follows what pods write to their output, and `log_files` of the node."""
    discover: bool = True
    """Whether pods with the annotation `prometheus.io/scrape: "true"` are scraped, in every namespace."""
    ingress: Ingress | None = None
    """None: nothing is reachable from outside of the cluster (docs/kubernetes.md has the port-forward)."""
    secrets: Mapping[str, ExistingSecret] = Field(default_factory=dict[str, ExistingSecret])
    """By the secret's name here: Secrets that exist in the cluster, in the place of Pulumi's configuration."""
    service_account_annotations: Mapping[str, str] = Field(default_factory=dict[str, str])
    """Of what reads and writes object storage, for IRSA, workload identity and the like."""


class ObjectStorage(Model):
    """S3, or what speaks like it: long-term metrics and Loki's log lines."""

    endpoint: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+(:[0-9]+)?$", examples=["s3.eu-central-1.amazonaws.com"])]
    """`host` or `host:port`."""
    region: str | None = None
    """Where the service wants one."""
    metrics_bucket: str | None = None
    """Bucket of Thanos' blocks; required with thanos."""
    logs_bucket: str | None = None
    """Bucket of Loki's chunks and index; required when Loki has several replicas."""
    access_key: Secret | None = None
    """With neither keys nor credentials, the pod's own identity is asked (kubernetes.service_account_annotations)."""
    secret_key: Secret | None = None
    """With access_key."""
    credentials: Secret | None = None
    """Both keys as one file, in the form of `~/.aws/credentials` with the profile `default`: what a Secret that exists
    in the cluster holds (kubernetes.secrets)."""
    insecure: bool = False
    """Plain HTTP, for a store inside of the cluster."""
    path_style: bool = False
    """`endpoint/bucket` in the place of `bucket.endpoint`, as MinIO and Ceph want it."""

    @model_validator(mode="after")
    def _both_keys(self) -> "ObjectStorage":
        if (self.access_key is None) != (self.secret_key is None):
            missing = "secret_key" if self.secret_key is None else "access_key"
            raise problem_at("both keys or neither (accepted: {secret: <its name>})", missing)
        if self.credentials and self.access_key:
            raise problem_at("one login (accepted: credentials, or access_key and secret_key)", "credentials")
        return self


class Thanos(Model):
    """Long-term metrics: blocks in object storage, one query over all replicas."""

    raw: Duration = "30d"
    """How long samples are kept as they were scraped."""
    five_minutes: Duration = "180d"
    """How long one point in five minutes is kept."""
    one_hour: Duration = "2y"
    """How long one point an hour is kept."""
    ruler: bool = False
    """Whether Thanos' ruler evaluates the rules, over all of the history, in the place of each Prometheus over its own;
    with several shards it always does."""

    @model_validator(mode="after")
    def _thinned_out_in_time(self) -> "Thanos":
        # Before that it has made no thinner blocks, so that nothing would be left.
        for key, least in (("raw", "40h"), ("five_minutes", "10d")):
            given: str = getattr(self, key)
            if seconds(given) < seconds(least):
                raise problem_at(f'"{given}" ends before what replaces it is made (accepted: at least {least})', key)
        return self


class ScrapeLimits(Model):
    """What one target may answer a scrape with. What is beyond a limit is refused whole.

    The target counts as down then; TargetOverLimit tells of `samples` and `body`.
    """

    samples: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """None: half of the series that a Prometheus is sized for, and 50 000 at least."""
    body: Size | None = None
    """Unpacked, in whole MiB; none: 512 bytes for each of `samples`."""
    labels: Annotated[int, Field(ge=1, le=10**9)] = 100
    """Labels of a series."""
    label_length: Annotated[int, Field(ge=1, le=10**9)] = 4096
    """Bytes of a label's value."""


class RemoteWrite(Model):
    """An existing Mimir, Thanos, or managed Prometheus that gets every sample too."""

    url: HttpUrl
    """Where samples are sent."""
    query_url: HttpUrl | None = None
    """Where its history is asked; none: dashboards ask the stack's own Prometheus."""
    username: str | None = None
    """With password."""
    password: Secret | None = None
    """With username."""
    token: Secret | None = None
    """Bearer token, in the place of username and password."""
    tenant: str | None = None
    """Value of the header X-Scope-OrgID."""

    @model_validator(mode="after")
    def _one_login(self) -> "RemoteWrite":
        if (self.username is None) != (self.password is None):
            missing = "password" if self.password is None else "username"
            raise problem_at(f"both or neither of username and password (accepted: {missing} as well)", missing)
        if self.token and self.password:
            raise problem_at("one login (accepted: token, or username and password)", "token")
        return self


class Sampling(Model):
    """Which traces are kept: all with an error, all slow ones, and a part of the rest. Decided once a trace is whole."""

    percent: Annotated[float, Field(gt=0, le=100)] = 10.0
    """Of the traces that are neither slow nor failed."""
    slow: Duration = "1s"
    """Slower traces are all kept."""
    wait: Duration = "10s"
    """How long spans of a trace are waited for."""


class Traces(Model):
    """Where Jaeger keeps spans, and which it gets."""

    store: Literal["badger", "elasticsearch", "opensearch", "cassandra", "clickhouse"] = "badger"
    """`badger` is a volume of one replica; the others exist elsewhere, and take several replicas."""
    servers: tuple[str, ...] = ()
    """URLs of Elasticsearch or OpenSearch, `host:port` of Cassandra or ClickHouse; required unless badger."""
    username: str | None = None
    """With password."""
    password: Secret | None = None
    """With username."""
    database: Name | None = None
    """Keyspace of Cassandra, database of ClickHouse (none: `jaeger`), or what the names of the indices begin with (none:
    nothing)."""
    datacenter: str = "datacenter1"
    """Cassandra's own word for where it runs, for a keyspace that Jaeger makes."""
    tls: bool = True
    """Whether Cassandra and ClickHouse are dialled by TLS; of the others the URLs say it."""
    sampling: Annotated[Sampling | None, BeforeValidator(_switch)] = None
    """None: every trace is kept."""

    @model_validator(mode="after")
    def _has_servers(self) -> "Traces":
        if (self.store == "badger") == bool(self.servers):
            words = (
                "not with badger (accepted: another store, or no servers)"
                if self.servers
                else f"required with {self.store}, but missing (accepted: a list)"
            )
            raise problem_at(words, "servers")
        by_url = self.store in {"elasticsearch", "opensearch"}
        validate, accepted = (http_url, "URLs") if by_url else (address, "host:port")
        for server in self.servers:
            try:
                validate(server)
            except ValueError:
                # What stands before an @ is a secret.
                which = (
                    "a server with a user or password" if "@" in server else f'"{server}" is no server of {self.store}'
                )
                more = ", and username" if "@" in server else ""
                raise problem_at(f"{which} (accepted: {accepted}{more})", "servers") from None
        if (self.username is None) != (self.password is None):
            missing = "password" if self.password is None else "username"
            raise problem_at(f"both or neither of username and password (accepted: {missing} as well)", missing)
        return self


class Load(Model):
    """What the stack is to bear, all systems together; it decides memory and volumes on Kubernetes (docs/sizing.md)."""

    targets: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Targets that are scraped; none: what `series` or `size` say."""
    series: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """Active series; none: 500 for each of `targets`, or what `size` says."""
    log_lines: Annotated[float, Field(ge=0, le=10**12)] | None = None
    """A second; none: what `size` says."""
    log_bytes: Annotated[int, Field(ge=1, le=10**9)] = 300
    """Bytes of an average line."""
    spans: Annotated[float, Field(ge=0, le=10**12)] | None = None
    """A second; none: what `size` says."""


def _cores(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _is_cores(value: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,8}m|[1-9][0-9]{0,5}(\.[0-9]{1,3})?|0\.[0-9]{1,3}", value) or not value.strip(
        "0."
    ):
        raise ValueError(f'"{value}" is no number of cores (accepted: like 250m, 0.5 or 2)')
    return value


class Share(Model):
    """What one replica of a workload may take, in the place of what its load asks for."""

    memory: Size | None = None
    """Request and limit."""
    cpu: Annotated[str, BeforeValidator(_cores), AfterValidator(_is_cores), Field(examples=["250m"])] | None = None
    """Request, in cores; on Docker the limit."""


_Replicas = Annotated[int, Field(ge=1, le=32)] | None


class Replicas(Model):
    """How many of each part run, on Kubernetes; none: what `size` says."""

    prometheus: _Replicas = None
    """Each scrapes everything of its shard."""
    shards: _Replicas = None
    """Parts that the targets are divided into; more than one needs thanos."""
    alertmanager: _Replicas = None
    """They gossip."""
    loki: _Replicas = None
    """One, or at least three, which need object_storage."""
    collector: _Replicas = None
    """Of the gateway; the agent is on every node anyhow."""
    jaeger: _Replicas = None
    """More than one need another store than badger."""
    grafana: _Replicas = None
    """More than one need grafana.database."""


def _network(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value):
        raise ValueError(f'"{value}" is not the name of a Docker network (accepted: letters, digits and . _ -)')
    return value


class Docker(Model):
    """The Docker engine. Another engine than this machine's: `pulumi config set docker:host ssh://user@host`."""

    network: Name = "observability"
    """Network of the containers, and the beginning of their names."""
    networks: tuple[Annotated[str, AfterValidator(_network), Field(examples=["app_network"])], ...] = ()
    """Networks of applications, which exist already: what scrapes and what receives telemetry joins them."""
    registry: Annotated[str, AfterValidator(_mirror)] | None = None
    """Prefix of a mirror that every image is pulled from, without a trailing slash."""
    keep_volumes: bool = True
    """Whether data outlives `destroy`: the next `up` finds it again."""


def _run(value: object) -> object:
    _refuse_words(value)
    return {"run": value} if isinstance(value, bool) else value


class Delivery(StrEnum):
    """How dashboards reach Grafana."""

    FILES = "files"
    """Grafana reads them from its own directory: no provider, no drift to see."""
    PROVIDER = "provider"
    """Pulumi's Grafana provider makes folders, dashboards, permissions and a token for app deploys."""


class Database(Model):
    """A PostgreSQL that exists."""

    address: Address
    """Where it listens."""
    name: str = "grafana"
    """The database."""
    user: str
    """Who logs in."""
    password: Secret
    """The login's password."""
    tls: Literal["disable", "require", "verify-full"] = "require"
    """PostgreSQL's sslmode."""


class Oidc(Model):
    """People log in to Grafana by OpenID Connect."""

    issuer: HttpUrl
    """URL of the provider; the endpoints below it are `/authorize`, `/token` and `/userinfo` unless they are named."""
    authorize_url: HttpUrl | None = None
    """The authorization endpoint."""
    token_url: HttpUrl | None = None
    """The token endpoint."""
    userinfo_url: HttpUrl | None = None
    """The userinfo endpoint."""
    client_id: str
    """What the provider calls Grafana."""
    client_secret: Secret
    """The client's secret."""
    scopes: tuple[str, ...] = ("openid", "profile", "email", "groups")
    """What is asked for."""
    role: str = "'Viewer'"
    """JMESPath over the claims that gives Viewer, Editor or Admin; whom it gives none is not let in."""


class Grafana(Model):
    """Grafana: one that the stack runs, or one that exists elsewhere. `false`: none at all."""

    run: bool = True
    """Whether the stack runs one of its own; a process stack also needs a `grafana` on PATH."""
    delivery: Delivery | None = None
    """How dashboards reach it; none: `provider` on Docker and for one elsewhere, `files` otherwise."""
    url: HttpUrl | None = None
    """One that exists elsewhere: the stack then runs none, and serves that one through the provider."""
    token: Secret | None = None
    """Service-account token (role Admin) of the one elsewhere."""
    datasources: Mapping[Name, HttpUrl] = Field(default_factory=dict[str, str])
    """URLs by which the one elsewhere reaches prometheus, loki, jaeger, alertmanager and elasticsearch, where they
    differ from the URLs that people use."""
    teams: bool = True
    """Whether the owner of each system becomes a team that may edit the system's folder."""
    database: Database | None = None
    """None: Grafana keeps its own in its volume, which one replica can have."""
    oidc: Oidc | None = None
    """None: people log in with names and passwords of Grafana's own."""

    @model_validator(mode="after")
    def _elsewhere(self) -> "Grafana":
        if self.url and self.token is None:
            raise problem_at("required with url, but missing (accepted: {secret: <its name>})", "token")
        if self.url and self.delivery is Delivery.FILES:
            raise problem_at("a Grafana elsewhere has no files of ours (accepted: provider)", "delivery")
        for key, given in (("token", self.token is not None), ("datasources", bool(self.datasources))):
            if given and not self.url:
                raise problem_at("only with url (accepted: url as well)", key)
        return self


class Elk(Model):
    """Elasticsearch, Logstash and Kibana, with security on."""

    heap: Size = "512Mi"
    """Heap of Elasticsearch and of Logstash, each; their containers may take twice that, and that and 768Mi."""
    logs: Literal["beside", "instead", "none"] = "beside"
    """Whether the collector feeds log lines to it beside Loki, instead of Loki, or not at all. Logstash takes them
    in any case."""


class Errors(Model):
    """Error tracking with Sentry's SDKs. `off`, `dsn` and `glitchtip` by themselves mean `to`."""

    to: Literal["off", "dsn", "glitchtip"] = "off"
    """Nowhere; a project of a Sentry that exists elsewhere; or a GlitchTip that the stack runs."""
    dsn: Secret | None = None
    """DSN of the project; GlitchTip shows it once a project is made there."""
    traces_sample_rate: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Part of the transactions that applications send."""

    @model_validator(mode="after")
    def _has_a_dsn(self) -> "Errors":
        if self.to == "dsn" and self.dsn is None:
            raise problem_at("required with dsn, but missing (accepted: {secret: <its name>})", "dsn")
        return self


def _errors(value: object) -> object:
    # YAML reads `off` as false. What stands there instead is not repeated: it may be a DSN.
    if not isinstance(value, str | bool):
        return value
    if value not in (False, "off", "dsn", "glitchtip"):
        raise ValueError("none of its values (accepted: off, dsn, glitchtip, or a mapping with its settings)")
    return {"to": value or "off"}


class Links(Model):
    """Where people read on."""

    runbooks: HttpUrl | None = None
    """Directory of the runbook pages; a process stack serves its own when this is not set."""


def _tag(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}", value):
        raise ValueError(f'"{value}" is no tag of an image (accepted: letters, digits, _ . + and -, like v3.14.0)')
    return value


Tag = Annotated[str, AfterValidator(_tag), Field(examples=["v3.14.0"])]
"""Version of an image, as its registry spells it."""
_HERE = (RuntimeKind.PROCESS, RuntimeKind.DOCKER)
_CONTAINERS = (RuntimeKind.DOCKER, RuntimeKind.KUBERNETES)
_CLUSTER = (RuntimeKind.KUBERNETES,)
_PARTS_ONLY_ON: Mapping[str, tuple[RuntimeKind, ...]] = MappingProxyType(
    {"elk": _CONTAINERS, "errors": _CONTAINERS, "object_storage": _CLUSTER, "thanos": _CLUSTER}
)
_KEYS_ONLY_ON: Mapping[str, tuple[RuntimeKind, ...]] = MappingProxyType(
    {
        "bind": _HERE,
        "port_offset": _HERE,
        "docker": (RuntimeKind.DOCKER,),
        "resources": _CONTAINERS,
        "versions": _CONTAINERS,
        **dict.fromkeys(("size", "replicas", "load", "volumes", "kubernetes"), _CLUSTER),
    }
)
"""Where a key is read; any that is not named is read everywhere."""


def _says(value: object) -> bool:
    """Whether a key says something: neither nothing, nor what is everywhere without it."""
    if isinstance(value, Errors):
        return value.to == "glitchtip"
    # What is switched on by true alone has nothing set.
    if isinstance(value, Docker | Kubernetes | Load | Replicas):
        return bool(value.model_fields_set)
    return value not in (None, {})


class Settings(Model):
    """One environment."""

    environment: Name
    """The label `environment` of every sample, log line and span."""
    cluster: Name
    """The label `cluster`."""
    runtime: RuntimeKind
    """Where workloads run; never changes for a stack."""
    bind: Annotated[str, AfterValidator(_bind)] = "127.0.0.1"
    """Address that processes listen on, and that ports of containers are published on."""
    port_offset: Annotated[int, Field(ge=0, le=40000)] = 0
    """Added to every port that this machine sees, so that two stacks can live side by side."""
    scrape_interval: Duration = "15s"
    """How often targets are scraped."""
    scrape_limits: ScrapeLimits = ScrapeLimits()
    evaluation_interval: Duration = "15s"
    """How often rules are evaluated."""
    retention: Retention = Retention()
    log_files: tuple[LogFile, ...] = ()
    """Log files of this machine that the collector follows, beside what applications register."""
    exporters: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict[str, Mapping[str, Any]])
    """By the exporter's name; each takes its own settings (docs/exporters.md)."""
    systems: Mapping[Name, Mapping[str, Any]] = Field(default_factory=dict[str, Mapping[str, Any]])
    """Monitored systems by name, each with its addresses here (docs/adding-a-system.md); `{}` for one whose parts
    register themselves."""
    alerting: Alerting = Alerting()
    versions: Mapping[str, Tag] = Field(default_factory=dict[str, str])
    """Image tags by program, where this stack wants another than the one shipped."""
    grafana: Annotated[Grafana, BeforeValidator(_run)] = Grafana()
    elk: Annotated[Elk | None, BeforeValidator(_switch)] = None
    """`true`, `false` or its settings: Elasticsearch, Logstash and Kibana (docs/optional-parts.md)."""
    apm: bool = False
    """Elastic's APM server; needs elk."""
    errors: Annotated[Errors, BeforeValidator(_errors)] = Errors()
    links: Links = Links()
    size: Literal["small", "medium", "large"] = "small"
    """On Kubernetes, how many of each part run unless `replicas` says so (docs/kubernetes.md)."""
    replicas: Replicas = Replicas()
    load: Load = Load()
    resources: Mapping[Name, Share] = Field(default_factory=dict[str, Share])
    """By workload, or by program for all workloads of it; an unknown one is an error."""
    volumes: Mapping[Name, Size] = Field(default_factory=dict[str, str])
    """On Kubernetes, sizes of volumes, likewise; Prometheus' blocks may take 80 % of theirs. A volume that exists keeps
    its size (docs/sizing.md)."""
    object_storage: ObjectStorage | None = None
    """None: everything is on volumes."""
    thanos: Annotated[Thanos | None, BeforeValidator(_switch)] = None
    """`true`, `false` or its settings: long-term metrics; needs object_storage, and Kubernetes."""
    remote_write: RemoteWrite | None = None
    """None: samples stay here."""
    traces: Traces = Traces()
    docker: Docker = Docker()
    kubernetes: Kubernetes = Kubernetes()

    @model_validator(mode="after")
    def _optional_parts(self) -> "Settings":
        if self.apm and self.elk is None:
            raise problem_at("needs Elasticsearch (accepted: elk: true as well)", "apm")
        return self

    @model_validator(mode="after")
    def _of_its_runtime(self) -> "Settings":
        for words, keys in (("does not run on", _PARTS_ONLY_ON), ("means nothing on", _KEYS_ONLY_ON)):
            for key, kinds in keys.items():
                if key in self.model_fields_set and self.runtime not in kinds and _says(getattr(self, key)):
                    accepted = ", ".join(kind.value for kind in kinds)
                    raise problem_at(f"{words} {self.runtime.value} (accepted: on {accepted})", key)
        return self

    @model_validator(mode="after")
    def _uploaded_in_time(self) -> "Settings":
        # A block is whole after two hours, or three, and a bucket may be away for a while.
        if self.thanos and seconds(self.retention.metrics) < seconds("12h"):
            kept = self.retention.metrics
            words = f'"{kept}" may end before a block is uploaded (accepted: at least 12h with thanos)'
            raise problem_at(words, "retention", "metrics")
        return self

    @model_validator(mode="after")
    def _unique_logs(self) -> "Settings":
        names = [file.name for file in self.log_files]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise problem_at(f'"{twice[0]}" is a name twice (accepted: each name once)', "log_files")
        return self


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key stands once: PyYAML itself would let the last one win, silently."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        key: object = loader.construct_object(key_node)  # pyright: ignore[reportUnknownMemberType] - untyped in the stubs
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(
                None, None, "a key that is no text (accepted: text)", key_node.start_mark
            )
        if key in seen:
            words = f'"{key}" is a key twice (accepted: each key once)'
            raise yaml.constructor.ConstructorError(None, None, words, key_node.start_mark)
        seen.add(key)
    loader.flatten_mapping(node)
    return cast("dict[Any, Any]", loader.construct_mapping(node, deep=True))


def _whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    """Text whose characters beyond the first 65,536 JSON's escapes may have written as two halves."""
    try:
        return str(loader.construct_scalar(node)).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        words = "half of a character (accepted: a whole one)"
        raise yaml.constructor.ConstructorError(None, None, words, node.start_mark) from None


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_UniqueKeys.add_constructor("tag:yaml.org,2002:str", _whole)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that stands in `path`.

    Raises SettingsError when the file is missing, is not YAML, has a key twice, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise SettingsError(f"{path.name}: cannot be read: {problem.strerror} ({path})") from None
    except UnicodeDecodeError as problem:
        raise SettingsError(f"{path.name}: not text (accepted: YAML in UTF-8): byte {problem.start + 1}") from None
    try:
        found: object = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise SettingsError(f"{path.name}:{where} not acceptable YAML: {problem.problem}") from None
    except yaml.reader.ReaderError as problem:
        raise SettingsError(
            f"{path.name}: not acceptable YAML: character {problem.position + 1}: {problem.reason}"
        ) from None
    except (ValueError, KeyError, AttributeError, RecursionError):
        # What looks like a date or a number and is none, which PyYAML does not expect.
        raise SettingsError(
            f"{path.name}: not acceptable YAML: a value that is no date or number, or is nested too deep (accepted: text"
            " in quotes)"
        ) from None
    if not isinstance(found, dict):
        raise SettingsError(f"{path.name}: not a stack file (accepted: a mapping with the key config)")
    return cast("dict[str, Any]", found)


def load(path: Path) -> Settings:
    """The settings of the stack file `path`, without any engine.

    Raises SettingsError naming file and key.
    """
    config: object = read_yaml(path).get("config")
    if not isinstance(config, dict) or KEY not in config:
        raise SettingsError(
            f"{path.name}: config.{KEY}: required, but missing (accepted: a mapping with environment, cluster, …)"
        )
    return parse(Settings, in_order(cast("dict[str, Any]", config)[KEY]), file=path.name, key=KEY)


def in_order(value: object) -> object:
    """`value` with the keys of each mapping by their names, as Pulumi hands them over: what is rendered is what runs."""
    if isinstance(value, dict):
        known = cast("dict[object, object]", value)
        return {key: in_order(known[key]) for key in sorted(known, key=str)}
    return [in_order(each) for each in cast("list[object]", value)] if isinstance(value, list) else value
