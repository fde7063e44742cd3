"""The Kubernetes runtime: workloads as pods of one namespace, reached through Services."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.policy import v1 as policy
from pulumi_kubernetes.scheduling import v1 as scheduling

from components.runtimes import kubernetes_ingress, kubernetes_network
from components.runtimes.containers import DATA_VOLUME, labels, part_of, selector
from components.runtimes.extras import extras
from components.runtimes.kubernetes_access import account
from components.runtimes.kubernetes_files import files
from components.runtimes.kubernetes_pod import template
from specs.addresses import PEERS, Addresses
from specs.discovery import NODE_NAMESPACE
from specs.flows import namespace_of
from specs.settings import Settings
from specs.stack import Stack
from specs.workload import Port, Workload

START_SECONDS = 300
"""How long a deployment waits at most for one replica to become ready."""
PULL_SECONDS = 300
"""What pulling an image and attaching a volume may take, before the program itself starts."""


def of(stack: Stack, secrets: Mapping[str, pulumi.Output[str]], lock: Mapping[str, str]) -> "KubernetesRuntime":
    """The runtime on the cluster that the user's kubeconfig names."""
    context = stack.context
    return KubernetesRuntime(settings=context.settings, addresses=context.addresses, secrets=secrets, lock=lock)


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
        self._storage = settings.object_storage
        self._settings = settings.kubernetes
        self._addresses = addresses
        self._secrets = secrets
        self._lock = lock
        self._namespace = self._settings.namespace
        standard = _standard("restricted")
        # A patch makes a namespace that is missing, and leaves it when the stack goes: with it, all claims of volumes
        # would go too. It is also what takes a namespace that a cluster's administrators made.
        self._restricted: pulumi.CustomResource = (
            core.NamespacePatch("namespace", metadata=meta.ObjectMetaPatchArgs(name=self._namespace, labels=standard))
            if self._settings.keep_volumes
            else core.Namespace("namespace", metadata=meta.ObjectMetaArgs(name=self._namespace, labels=standard))
        )
        self._class = self._priority()

    def _priority(self) -> scheduling.PriorityClass | None:
        if self._settings.priority is None:
            return None
        return scheduling.PriorityClass(
            "priority",
            # Of the whole cluster, so the namespace tells stacks apart. A class never changes its value, so another
            # value is another class.
            metadata=meta.ObjectMetaArgs(
                name=f"{self._namespace}-{self._settings.priority}", labels=part_of(self._namespace)
            ),
            value=self._settings.priority,
            description="What watches applications outlives them when a node runs out of room.",
        )

    @property
    def home(self) -> str:
        """Empty: pods have no directory on this machine."""
        return ""

    @cached_property
    def _privileged(self) -> core.Namespace:
        """For pods that see their node: `restricted` and even `baseline` refuse host paths and the host's processes."""
        described = meta.ObjectMetaArgs(name=f"{self._namespace}{NODE_NAMESPACE}", labels=_standard("privileged"))
        return core.Namespace("node-namespace", metadata=described)

    def deploy(self, workload: Workload, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Declare configuration, identity, Services, and the StatefulSet, Deployment or DaemonSet behind them."""
        before: list[pulumi.Resource] = [self._privileged if workload.on_nodes else self._restricted]
        if self._class is not None:
            before.append(self._class)
        opts = pulumi.ResourceOptions(parent=parent, depends_on=before)
        unnamed, named = self._meta(workload, None), self._meta(workload, workload.name)
        programs = (workload, *workload.beside)
        pods = template(
            workload,
            files={
                program.name: files(
                    # The same program may be beside several.
                    program if program is workload else replace(program, name=f"{workload.name}-{program.name}"),
                    metadata=unnamed,
                    secrets=self._secrets,
                    existing=self._settings.secrets,
                    opts=opts,
                )
                for program in programs
            },
            registry=self._settings.registry,
            lock=self._lock,
            priority=self._class.metadata.name if self._class else None,
        )
        storage = self._storage
        dials_storage = storage is not None and any(
            storage.endpoint in text for program in programs for text in program.files.values()
        )
        account(
            workload,
            namespace=self._in(workload),
            annotations=self._settings.service_account_annotations if dials_storage else {},
            opts=opts,
        )
        self._services(workload, named, opts)
        if workload.replicas > 1:
            policy.PodDisruptionBudget(
                workload.name,
                metadata=named,
                spec=policy.PodDisruptionBudgetSpecArgs(
                    max_unavailable=1, selector=meta.LabelSelectorArgs(match_labels=selector(workload))
                ),
                opts=opts,
            )
        # Of the time that a start may take after a crash, an update waits for a part: whoever rolls out wants to know.
        seconds = f"{(PULL_SECONDS + min(workload.probe.start_seconds, START_SECONDS)) * workload.replicas}s"
        timeouts = pulumi.CustomTimeouts(create=seconds, update=seconds)
        timed = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(custom_timeouts=timeouts))
        placed = self._place(workload, named, pods, timed)
        url = f"http://{self._addresses.outside(workload.name, workload.ports[0].number)}"
        return placed.id.apply(lambda _: url)

    def connect(self, stack: Stack, parent: pulumi.Resource) -> None:
        """Declare NetworkPolicies, and what leads people from outside to the parts that have a host."""
        before: list[pulumi.Resource] = [self._restricted]
        if any(workload.on_nodes for workload in stack.workloads):
            before.append(self._privileged)
        kubernetes_network.declare(stack, parent, before)
        kubernetes_ingress.declare(stack, self._secrets, parent, before)

    def _meta(self, workload: Workload, name: str | None) -> meta.ObjectMetaArgs:
        """Metadata in the workload's namespace; without a name, Pulumi makes a new one for each content."""
        return meta.ObjectMetaArgs(name=name, namespace=self._in(workload), labels=labels(workload))

    def _in(self, workload: Workload) -> str:
        return namespace_of(workload, self._settings)

    def _services(self, workload: Workload, named: meta.ObjectMetaArgs, opts: pulumi.ResourceOptions) -> None:
        ports = [*workload.ports, *(port for program in workload.beside for port in program.ports)]
        core.Service(
            workload.name,
            metadata=named,
            spec=core.ServiceSpecArgs(
                # On nodes it is headless: what is on a node is dialled there, or not at all.
                cluster_ip="None" if workload.on_nodes else None,
                session_affinity="ClientIP" if workload.sticky and workload.replicas > 1 else None,
                selector=selector(workload),
                ports=[_service_port(port) for port in ports],
            ),
            opts=opts,
        )
        if self._keeps_names(workload):
            core.Service(
                f"{workload.name}{PEERS}",
                metadata=self._meta(workload, f"{workload.name}{PEERS}"),
                spec=core.ServiceSpecArgs(
                    cluster_ip="None",
                    # Replicas find each other before they are ready: that is what makes them ready.
                    publish_not_ready_addresses=True,
                    selector=selector(workload),
                    ports=[_service_port(port) for port in ports],
                ),
                opts=opts,
            )

    @staticmethod
    def _keeps_names(workload: Workload) -> bool:
        return not workload.on_nodes and (workload.volume is not None or bool(workload.peers))

    def _place(
        self,
        workload: Workload,
        named: meta.ObjectMetaArgs,
        pods: core.PodTemplateSpecArgs,
        opts: pulumi.ResourceOptions,
    ) -> pulumi.CustomResource:
        chosen = meta.LabelSelectorArgs(match_labels=selector(workload))
        if workload.on_nodes:
            daemons = apps.DaemonSetSpecArgs(
                selector=chosen,
                template=pods,
                update_strategy=apps.DaemonSetUpdateStrategyArgs(
                    type="RollingUpdate", rolling_update=apps.RollingUpdateDaemonSetArgs(max_unavailable="10%")
                ),
            )
            return apps.DaemonSet(workload.name, metadata=named, spec=daemons, opts=opts)
        if not self._keeps_names(workload):
            stateless = apps.DeploymentSpecArgs(
                replicas=workload.replicas,
                selector=chosen,
                template=pods,
                # The new one is ready before an old one goes.
                strategy=apps.DeploymentStrategyArgs(type="Recreate")
                if extras(workload).alone
                else apps.DeploymentStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=apps.RollingUpdateDeploymentArgs(max_unavailable=0, max_surge=1),
                ),
            )
            return apps.Deployment(workload.name, metadata=named, spec=stateless, opts=opts)
        stateful = apps.StatefulSetSpecArgs(
            replicas=workload.replicas,
            service_name=f"{workload.name}{PEERS}",
            # With the default, a pod that never becomes ready is not replaced by a repaired one.
            pod_management_policy="Parallel",
            update_strategy=apps.StatefulSetUpdateStrategyArgs(type="RollingUpdate"),
            selector=chosen,
            template=pods,
            volume_claim_templates=[self._claim(workload.volume.size)] if workload.volume else None,
            persistent_volume_claim_retention_policy=apps.StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
                when_deleted="Retain" if self._settings.keep_volumes else "Delete", when_scaled="Retain"
            ),
        )
        return apps.StatefulSet(workload.name, metadata=named, spec=stateful, opts=opts)

    def _claim(self, size: str) -> core.PersistentVolumeClaimArgs:
        return core.PersistentVolumeClaimArgs(
            # Without labels: a claim's template can never be changed.
            metadata=meta.ObjectMetaArgs(name=DATA_VOLUME),
            spec=core.PersistentVolumeClaimSpecArgs(
                access_modes=["ReadWriteOnce"],
                storage_class_name=self._settings.storage_class,
                resources=core.VolumeResourceRequirementsArgs(requests={"storage": size}),
            ),
        )


def _standard(name: str) -> dict[str, str]:
    """Labels of a namespace that admits no more than a Pod Security Standard."""
    return {"pod-security.kubernetes.io/enforce": name}


def _service_port(port: Port) -> core.ServicePortArgs:
    return core.ServicePortArgs(name=port.name, port=port.number, target_port=port.name, protocol=port.protocol.upper())
