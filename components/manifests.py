"""The Kubernetes manifests of a stack, as text for people to read and tools to check."""

from typing import cast

from specs.monitoring import to_yaml
from specs.stack import Stack


def manifests(stack: Stack) -> dict[str, str]:
    """The manifests of a Kubernetes stack by file name, `<kind>-<name>.yaml`.

    The same bytes for the same stack; objects of the node namespace have it in front of their name. Secrets are not
    needed, and never in it: their values read `<secret: KEY>`.
    """
    # Pulumi and the SDK are slow to import; whoever renders only files of other stacks need not wait for them.
    import pulumi

    from components.recording import Secret, record
    from components.runtimes.images import read_lock
    from components.runtimes.kubernetes import KubernetesRuntime
    from components.stack import ObservabilityStack

    context = stack.context
    node = f"{context.settings.kubernetes.namespace}-node"

    def program() -> None:
        secrets = {ref.key: pulumi.Output.secret(f"<secret: {ref.key}>") for ref in stack.secrets()}
        runtime = KubernetesRuntime(
            settings=context.settings, addresses=context.addresses, secrets=secrets, lock=read_lock()
        )
        ObservabilityStack("observability", stack, runtime, secrets)

    def bare(value: object) -> object:
        if isinstance(value, Secret):
            return bare(value.value)
        if isinstance(value, dict):
            return {key: bare(item) for key, item in cast("dict[str, object]", value).items()}
        if isinstance(value, list):
            return [bare(item) for item in cast("list[object]", value)]
        return value

    found: dict[str, str] = {}
    for resource in record(program, stack=context.settings.environment).resources:
        if not resource.type.startswith("kubernetes:"):
            continue
        # Pulumi names what has no name; here that is the logical name, without its random end.
        metadata = dict(sorted({"name": resource.name, **resource.inputs["metadata"]}.items()))
        prefix = f"{node}-" if metadata.get("namespace") == node else ""
        file = f"{resource.inputs['kind'].lower()}-{prefix}{metadata['name']}.yaml"
        if file in found:
            raise ValueError(f"two manifests are called {file}")
        found[file] = to_yaml(bare({**resource.inputs, "metadata": metadata}))
    return dict(sorted(found.items()))
