"""A stack's outputs in a Pulumi program, where they are known once the stack is: every answer is an Output."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pulumi

from observability_outputs.contract import OutputsError, required, value
from observability_outputs.stack import Stack

T = TypeVar("T")
_VERSIONS = ("contract_version", "schema_version")


class DeployedStack:
    """What `Stack` has, for a `pulumi.StackReference`. Only what is asked for is read, so that only what holds a secret
    is secret. Another major version, or a wrong argument, is a pulumi.RunError of one line."""

    def __init__(self, reference: pulumi.StackReference) -> None:
        self._reference = reference

    def _of(self, use: Callable[[Stack], T], *names: str) -> pulumi.Output[T]:
        """`use` of the stack with the outputs `names`."""

        def call(found: Mapping[str, Any]) -> T:
            try:
                return use(Stack({key: item for key, item in found.items() if item is not None}))
            except OutputsError as problem:
                raise pulumi.RunError(str(problem)) from None

        wanted = {key: self._reference.get_output(key) for key in (*_VERSIONS, *names)}
        return pulumi.Output.all(**wanted).apply(call)

    @property
    def environment(self) -> pulumi.Output[str]:
        """The label `environment` of everything that the stack watches."""
        return self._of(lambda stack: stack.environment, "environment")

    @property
    def docker_network(self) -> pulumi.Output[str]:
        """Network of a Docker stack, which containers of applications join."""
        return self._told("docker.network", "this stack is not on Docker")

    @property
    def docker_registry(self) -> pulumi.Output[str]:
        """Volume of a Docker stack that applications mount to write log files and to be scraped."""
        return self._told("docker.registry", "this stack is not on Docker")

    @property
    def kubernetes_namespace(self) -> pulumi.Output[str]:
        """Namespace of a stack on a cluster."""
        return self._told("kubernetes.namespace", "this stack is not on a cluster")

    @property
    def collector_labels(self) -> pulumi.Output[dict[str, str]]:
        """Labels of the pods that take telemetry: what a NetworkPolicy lets an application dial."""
        return self._told("kubernetes.collector", "this stack is not on a cluster").apply(dict)

    @property
    def collector_ports(self) -> pulumi.Output[list[int]]:
        """Ports of those pods: OTLP over gRPC and over HTTP."""

        def numbers(found: Sequence[float]) -> list[int]:
            return [int(port) for port in found]

        return self._told("kubernetes.ports", "this stack is not on a cluster").apply(numbers)

    def _told(self, path: str, why: str) -> pulumi.Output[Any]:
        return self._of(lambda stack: required(stack.outputs, path, why), path.partition(".")[0])

    def otel_env(
        self, service: str, *, app: str, version: str | None = None, from_host: bool = False
    ) -> pulumi.Output[dict[str, str]]:
        """As `Stack.otel_env`."""
        return self._of(
            lambda stack: stack.otel_env(service, app=app, version=version, from_host=from_host), "otel_env", "docker"
        )

    def sentry_env(self, *, app: str, version: str | None = None) -> pulumi.Output[dict[str, str]]:
        """As `Stack.sentry_env`, and a secret as a whole: it belongs into a Secret, not among plain variables."""
        return pulumi.Output.secret(self._of(lambda stack: stack.sentry_env(app=app, version=version), "sentry_env"))

    def log_labels(self, service: str, *, app: str) -> pulumi.Output[dict[str, str]]:
        """As `Stack.log_labels`."""
        return self._of(lambda stack: stack.log_labels(service, app=app), "environment")

    def log_file(self, service: str, *, app: str, form: str = "json") -> pulumi.Output[str]:
        """As `Stack.log_file`."""
        return self._of(lambda stack: stack.log_file(service, app=app, form=form), "logs", "docker")

    def pod_labels(
        self, service: str, *, app: str, version: str | None = None, client: bool = False
    ) -> pulumi.Output[dict[str, str]]:
        """As `Stack.pod_labels`."""
        return self._of(lambda stack: stack.pod_labels(service, app=app, version=version, client=client))

    def scrape_annotations(
        self, port: int, path: str = "/metrics", *, service: str, app: str
    ) -> pulumi.Output[dict[str, str]]:
        """As `Stack.scrape_annotations`."""
        return self._of(lambda stack: stack.scrape_annotations(port, path, service=service, app=app), "scrape")

    def annotate(  # noqa: PLR0913 - what Stack.annotate takes, and what every resource does
        self,
        text: str,
        *,
        app: str,
        version: str,
        tags: Sequence[str] = (),
        token: pulumi.Input[str] | None = None,
        name: str = "",
        opts: pulumi.ResourceOptions | None = None,
    ) -> pulumi.Resource:
        """A resource that marks this deployment on every dashboard of `app`: posted once for each version, after what
        `opts` make it depend on. `name` is the resource's (empty: `<app>-deployment`): a second mark of an app in one
        program needs one. What marks the past stays when it is deleted."""
        # Only here: who does not annotate has no use for dynamic resources.
        from observability_outputs.mark import Mark

        def told(key: str) -> pulumi.Output[str]:
            return self._of(lambda stack: str(value(stack.outputs, f"grafana.annotations.{key}") or ""), "grafana")

        return Mark(
            name or f"{app}-deployment",
            url=told("url"),
            token=pulumi.Output.secret(told("token") if token is None else token),
            text=text,
            tags=self._of(lambda stack: stack.annotation_tags(app=app, version=version, tags=tags), "environment"),
            opts=opts,
        )
