"""The Kubernetes runtime: workloads as pods of one namespace, reached through Services."""

from collections.abc import Mapping
from functools import cached_property

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from components.runtimes.containers import labels, selector
from components.runtimes.extras import extras
from components.runtimes.kubernetes_pod import DATA_VOLUME, key_of, template
from components.runtimes.secret_files import secret_file
from specs.addresses import Addresses
from specs.settings import Settings
from specs.stack import Stack
from specs.workload import Workload

PULL_SECONDS = 300
"""What pulling an image and attaching a volume may take, before the program itself starts."""


def of(stack: Stack, secrets: Mapping[str, pulumi.Output[str]], lock: Mapping[str, str]) -> "KubernetesRuntime":
    """The runtime on the cluster that the user's kubeconfig names."""
    context = stack.context
    return KubernetesRuntime(settings=context.settings, addresses=context.addresses, secrets=secrets, lock=lock)


def _namespace(logical: str, name: str, standard: str) -> core.Namespace:
    return core.Namespace(
        logical,
        metadata=meta.ObjectMetaArgs(name=name, labels={"pod-security.kubernetes.io/enforce": standard}),
    )


class KubernetesRuntime:
    """Pods of a namespace that admits nothing beyond the Pod Security Standard `restricted`."""

    def __init__(
        self,
        *,
        settings: Settings,
        addresses: Addresses,
        secrets: Mapping[str, pulumi.Output[str]],
        lock: Mapping[str, str],
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._secrets = secrets
        self._lock = lock
        self._restricted = _namespace("namespace", settings.kubernetes.namespace, "restricted")

    @property
    def home(self) -> str:
        """Empty: pods have no directory on this machine."""
        return ""

    @cached_property
    def _privileged(self) -> core.Namespace:
        """For pods that see their node: `restricted` and even `baseline` refuse host paths and the host's processes."""
        return _namespace("node-namespace", f"{self._settings.kubernetes.namespace}-node", "privileged")

    def deploy(self, workload: Workload, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Declare configuration, a Service, and the StatefulSet, Deployment or DaemonSet behind it."""
        on_node = extras(workload).host
        opts = pulumi.ResourceOptions(parent=parent, depends_on=[self._privileged if on_node else self._restricted])
        config, secret = self._config(workload, opts), self._secret(workload, opts)
        pods = template(
            workload,
            config=config.metadata.name if config else None,
            secret=secret.metadata.name if secret else None,
            lock=self._lock,
        )
        self._service(workload, opts)
        if on_node:
            self._alias(workload, parent)
        seconds = f"{PULL_SECONDS + workload.probe.start_seconds}s"
        timeouts = pulumi.CustomTimeouts(create=seconds, update=seconds)
        placed = self._place(
            workload, pods, pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(custom_timeouts=timeouts))
        )
        url = f"http://{self._addresses.outside(workload.name, workload.ports[0].number)}"
        return placed.id.apply(lambda _: url)

    def _meta(self, workload: Workload, name: str | None) -> meta.ObjectMetaArgs:
        """Metadata in the workload's namespace; without a name, Pulumi makes a new one for each content."""
        namespace = self._settings.kubernetes.namespace
        return meta.ObjectMetaArgs(
            name=name, namespace=f"{namespace}-node" if extras(workload).host else namespace, labels=labels(workload)
        )

    def _config(self, workload: Workload, opts: pulumi.ResourceOptions) -> core.ConfigMap | None:
        # Never named: a change then makes a new one, whose name in the pod's template is what rolls the pods. A
        # fixed name would have everything that refers to it deleted first and made anew.
        if not workload.files:
            return None
        return core.ConfigMap(
            f"{workload.name}-config",
            metadata=self._meta(workload, None),
            immutable=True,
            data={key_of(path): text for path, text in workload.files.items()},
            opts=opts,
        )

    def _secret(self, workload: Workload, opts: pulumi.ResourceOptions) -> core.Secret | None:
        if not workload.secrets:
            return None
        return core.Secret(
            f"{workload.name}-secrets",
            metadata=self._meta(workload, None),
            immutable=True,
            string_data={
                key_of(path): secret_file(ref, self._secrets[ref.key]) for path, ref in workload.secrets.items()
            },
            opts=opts,
        )

    def _service(self, workload: Workload, opts: pulumi.ResourceOptions) -> None:
        core.Service(
            workload.name,
            metadata=self._meta(workload, workload.name),
            spec=core.ServiceSpecArgs(
                # A Service of one address that stays, also for StatefulSets: a headless one would only add DNS names
                # for single pods, and each set has one pod. On nodes it is headless: an address for every node.
                cluster_ip="None" if extras(workload).host else None,
                selector=selector(workload),
                ports=[
                    core.ServicePortArgs(
                        name=port.name, port=port.number, target_port=port.name, protocol=port.protocol.upper()
                    )
                    for port in workload.ports
                ],
            ),
            opts=opts,
        )

    def _alias(self, workload: Workload, parent: pulumi.Resource) -> None:
        """The name that others dial, in the namespace in which they look, for pods that live in the other one."""
        namespace = self._settings.kubernetes.namespace
        core.Service(
            f"{workload.name}-alias",
            metadata=meta.ObjectMetaArgs(name=workload.name, namespace=namespace, labels=labels(workload)),
            # An external name is taken as it stands, so it needs the cluster's domain; this is everybody's default.
            spec=core.ServiceSpecArgs(
                type="ExternalName", external_name=f"{workload.name}.{namespace}-node.svc.cluster.local"
            ),
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[self._restricted]),
        )

    def _place(
        self, workload: Workload, pods: core.PodTemplateSpecArgs, opts: pulumi.ResourceOptions
    ) -> pulumi.CustomResource:
        metadata = self._meta(workload, workload.name)
        chosen = meta.LabelSelectorArgs(match_labels=selector(workload))
        if extras(workload).host:
            daemons = apps.DaemonSetSpecArgs(selector=chosen, template=pods)
            return apps.DaemonSet(workload.name, metadata=metadata, spec=daemons, opts=opts)
        if workload.volume is None:
            stateless = apps.DeploymentSpecArgs(replicas=1, selector=chosen, template=pods)
            return apps.Deployment(workload.name, metadata=metadata, spec=stateless, opts=opts)
        claim = core.PersistentVolumeClaimArgs(
            # Without labels: a claim's template can never be changed.
            metadata=meta.ObjectMetaArgs(name=DATA_VOLUME),
            spec=core.PersistentVolumeClaimSpecArgs(
                access_modes=["ReadWriteOnce"],
                storage_class_name=self._settings.kubernetes.storage_class,
                resources=core.VolumeResourceRequirementsArgs(requests={"storage": workload.volume.size}),
            ),
        )
        stateful = apps.StatefulSetSpecArgs(
            replicas=1,
            service_name=workload.name,
            # With the default, a pod that never becomes ready is not replaced by a repaired one.
            pod_management_policy="Parallel",
            selector=chosen,
            template=pods,
            volume_claim_templates=[claim],
        )
        return apps.StatefulSet(workload.name, metadata=metadata, spec=stateful, opts=opts)
