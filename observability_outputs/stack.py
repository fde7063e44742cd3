"""A stack's outputs as values: what an application puts into its environment, labels and annotations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from observability_outputs.annotations import post
from observability_outputs.contract import OutputsError, attribute, block, label, name, refuse_foreign, required, value

if TYPE_CHECKING:
    import pulumi

    from observability_outputs.deployed import DeployedStack

CLIENT_LABEL = "observability/client"
"""Label of pods that dial Prometheus, Loki, Alertmanager or Jaeger themselves."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The outputs of one observability stack. `app` is the system that a service belongs to, as profiles name it."""

    outputs: Mapping[str, Any]
    """As the stack told them; newer stacks may tell more."""

    def __post_init__(self) -> None:
        refuse_foreign(self.outputs)

    @overload
    @staticmethod
    def of(source: "pulumi.StackReference") -> "DeployedStack": ...

    @overload
    @staticmethod
    def of(source: Mapping[str, Any]) -> "Stack": ...

    @staticmethod
    def of(source: "Mapping[str, Any] | pulumi.StackReference") -> "Stack | DeployedStack":
        """The stack whose outputs `source` holds: a StackReference in a Pulumi program, or the outputs themselves.

        Raises OutputsError for outputs of another major version.
        """
        if isinstance(source, Mapping):
            return Stack(source)
        # Only here: CI has no use for Pulumi's SDK.
        from observability_outputs.deployed import DeployedStack

        return DeployedStack(source)

    @property
    def version(self) -> str:
        """Version of the outputs, `<major>.<minor>`."""
        return refuse_foreign(self.outputs)

    @property
    def environment(self) -> str:
        """The label `environment` of everything that the stack watches."""
        return str(required(self.outputs, "environment", "every stack has one"))

    def otel_env(
        self, service: str, *, app: str, version: str | None = None, from_host: bool = False
    ) -> dict[str, str]:
        """Environment of an OpenTelemetry SDK: where it sends, and as whom.

        `from_host`: of a Docker stack, for a process of the engine's host and not for a container. Raises OutputsError
        for names that are none.
        """
        required(self.outputs, "otel_env", "every stack has one")
        env = block(self.outputs, "otel_env")
        inside = value(self.outputs, "docker.otlp.http")
        if inside and not from_host:
            env["OTEL_EXPORTER_OTLP_ENDPOINT"] = str(inside)
        own = {"app": name(app, "app"), **({"service.version": version} if version else {})}
        told = [env.get("OTEL_RESOURCE_ATTRIBUTES", ""), *(f"{key}={attribute(text)}" for key, text in own.items())]
        env["OTEL_RESOURCE_ATTRIBUTES"] = ",".join(filter(None, told))
        env["OTEL_SERVICE_NAME"] = name(service, "service")
        return env

    def sentry_env(self, *, app: str, version: str | None = None) -> dict[str, str]:
        """Environment of a Sentry SDK, the DSN a secret; empty where the stack takes no errors."""
        env = block(self.outputs, "sentry_env")
        if env and version:
            env["SENTRY_RELEASE"] = f"{name(app, 'app')}@{version}"
        return env

    def log_labels(self, service: str, *, app: str) -> dict[str, str]:
        """Labels that the service's log lines have in Loki, and so what finds them."""
        return {"app": name(app, "app"), "service_name": name(service, "service"), "environment": self.environment}

    def log_file(self, service: str, *, app: str, form: str = "json") -> str:
        """Path of the service's log file: absolute, or below the volume `docker.registry` on a Docker stack.

        Raises OutputsError where nothing follows files, and for a `form` that is neither json nor text.
        """
        if form not in {"json", "text"}:
            raise OutputsError(f"form: {form!r} is no form of log files (accepted: json, text)")
        directory = value(self.outputs, "logs.directory") or ("logs" if value(self.outputs, "docker") else None)
        if not directory:
            raise OutputsError("outputs.logs.directory: absent: on a cluster, what pods write to their output is read")
        shape = str(required(self.outputs, f"logs.{form}", "every stack has one"))
        return f"{directory}/" + shape.replace("<app>", name(app, "app")).replace("<service>", name(service, "service"))

    def pod_labels(self, service: str, *, app: str, version: str | None = None, client: bool = False) -> dict[str, str]:
        """Labels of a pod by which its log lines and samples are the service's; `client`: it dials Prometheus, Loki,
        Alertmanager or Jaeger itself. A version is cut, and its characters replaced, as labels allow."""
        told = label(version or "")
        return {
            "app.kubernetes.io/name": name(service, "service"),
            "app.kubernetes.io/component": service,
            "app.kubernetes.io/part-of": name(app, "app"),
            **({"app.kubernetes.io/version": told} if told else {}),
            **({CLIENT_LABEL: "true"} if client else {}),
        }

    def scrape_annotations(self, port: int, path: str = "/metrics", *, service: str, app: str) -> dict[str, str]:
        """Annotations of a pod that is to be scraped. Raises OutputsError for a stack that is not on a cluster."""
        found: Mapping[str, Any] | None = value(self.outputs, "scrape.annotations")
        if not found:
            raise OutputsError(
                "outputs.scrape.annotations: absent: this stack scrapes what registers a file (scrape_file)"
            )
        if not 0 < port < 65536:
            raise OutputsError(f"port: {port} is not a port (accepted: 1 to 65535)")
        if not path.startswith("/"):
            raise OutputsError(f"path: {path!r} is not a path (accepted: one that begins with /, as /metrics)")
        given = {"<port>": str(port), "<app>": name(app, "app"), "<service>": name(service, "service")}
        annotations = {str(key): given.get(str(text), str(text)) for key, text in found.items()}
        return {key: path if key.endswith("/path") else text for key, text in annotations.items()}

    def scrape_file(self, *addresses: str, service: str, app: str) -> tuple[str, list[dict[str, Any]]]:
        """Path and content (JSON) of the file that has `addresses` (`host:port`) scraped; the path is absolute, or
        below the volume `docker.registry` on a Docker stack. Raises OutputsError for a stack on a cluster."""
        directory = value(self.outputs, "scrape.directory") or ("scrape" if value(self.outputs, "docker") else None)
        if not directory:
            raise OutputsError(
                "outputs.scrape.directory: absent: this stack scrapes annotated pods (scrape_annotations)"
            )
        labels: Mapping[str, str] = value(self.outputs, "scrape.labels") or {}
        own = {**labels, "app": name(app, "app"), "service": name(service, "service")}
        return f"{directory}/{app}.{service}.json", [{"targets": list(addresses), "labels": own}]

    def annotate(self, text: str, *, app: str, version: str, tags: Sequence[str] = (), token: str | None = None) -> int:
        """Mark a deployment of `app` on every dashboard that shows it; returns the annotation's id.

        `token`: where the outputs have none (Grafana reads files), one of a service account with the role Editor.
        Raises OutputsError with one line when there is no Grafana or no token, or when Grafana does not take it.
        """
        url = str(required(self.outputs, "grafana.annotations.url", "this stack has no Grafana"))
        told = token or value(self.outputs, "grafana.annotations.token")
        if not told:
            raise OutputsError(
                "outputs.grafana.annotations.token: absent: this stack makes none (accepted: the setting"
                " grafana.delivery: provider, or a token of your own)"
            )
        return post(url, str(told), text, self.annotation_tags(app=app, version=version, tags=tags))

    def annotation_tags(self, *, app: str, version: str, tags: Sequence[str] = ()) -> list[str]:
        """Tags of a deployment's annotation: `deployment` makes the mark, the name of the app puts it on its
        dashboards. Raises OutputsError for an empty version."""
        if not version.strip():
            raise OutputsError("version: empty (accepted: the version that is deployed, like 1.4.2)")
        own = ["deployment", name(app, "app"), f"version:{version}", f"environment:{self.environment}"]
        return list(dict.fromkeys([*own, *tags]))
