"""Who a pod is for the cluster's API server: a ServiceAccount of its own, and no more rights than the model names."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.rbac import v1 as rbac

from components.runtimes.containers import labels
from components.runtimes.extras import extras
from specs.workload import Workload


def account(
    workload: Workload, *, namespace: str, annotations: Mapping[str, str], opts: pulumi.ResourceOptions
) -> None:
    """Declare the ServiceAccount `<workload>`, without a token, and the rights that `ApiAccess` names.

    `namespace` is the workload's; `annotations` say which identity of a cloud it has.
    """
    asked = extras(workload).access
    core.ServiceAccount(
        workload.name,
        metadata=meta.ObjectMetaArgs(
            name=workload.name,
            namespace=namespace,
            labels=labels(workload),
            annotations=dict(annotations) or None,
        ),
        # The pod that needs a token says so itself.
        automount_service_account_token=False,
        opts=opts,
    )
    if not asked:
        return
    # Of the whole cluster, so the namespace tells stacks apart.
    name = f"{namespace}-{workload.name}"
    described = meta.ObjectMetaArgs(name=name, labels=labels(workload))
    rbac.ClusterRole(
        workload.name,
        metadata=described,
        rules=[
            rbac.PolicyRuleArgs(
                api_groups=None if rule.urls else list(rule.groups),
                resources=list(rule.resources) or None,
                non_resource_urls=list(rule.urls) or None,
                verbs=list(rule.verbs),
            )
            for rule in asked
        ],
        opts=opts,
    )
    rbac.ClusterRoleBinding(
        workload.name,
        metadata=described,
        role_ref=rbac.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name=name),
        subjects=[rbac.SubjectArgs(kind="ServiceAccount", name=workload.name, namespace=namespace)],
        opts=opts,
    )
