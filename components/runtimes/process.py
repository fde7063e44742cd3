"""The process runtime: workloads as processes of this machine, kept by supervisor."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from components.runtimes.extras import extras
from components.runtimes.process_provider import FileProvider, ProcessProvider, SupervisorProvider
from components.runtimes.secret_files import secret_file
from processes.errors import ProcessError
from processes.home import of_stack
from processes.place import executable
from processes.ports import refuse_busy
from specs.addresses import Addresses
from specs.settings import KEY
from specs.stack import Stack
from specs.workload import Workload
from tools import native

OPTIONAL = ("grafana", "json_exporter")
"""Executables without which a stack is still a stack."""


class Supervisor(Resource, module="observability", name="Supervisor"):
    """The supervisor of a home."""

    def __init__(self, name: str, home: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(SupervisorProvider(), name, {"home": home}, opts)


class Process(Resource, module="observability", name="Process"):
    """A supervised program; inputs as in `process_provider.ProcessProvider`."""

    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(ProcessProvider(), name, dict(props), opts)


class RegistryFile(Resource, module="observability", name="RegistryFile"):
    """A file in a stack's registry: how an application has itself scraped."""

    def __init__(
        self, name: str, path: pulumi.Input[str], text: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(FileProvider(), name, {"path": path, "text": text}, opts)


def _version(workload: Workload, find: Callable[[str], Path]) -> str:
    """What another version of the program would have otherwise: the path of a native program names its version, and
    of a module of ours the content of its file is it."""
    path = str(find(workload.program.binary))
    module = find_spec(workload.args[1]) if workload.args[:1] == ("-m",) else None
    if module is None or module.origin is None:
        return path
    return f"{path} {sha256(Path(module.origin).read_bytes()).hexdigest()[:12]}"


def absent() -> list[str]:
    """Optional programs that are not on PATH."""
    return [name for name in OPTIONAL if native.locate(name) is None]


def of(stack: Stack, secrets: Mapping[str, pulumi.Output[str]], home_name: str = "") -> "ProcessRuntime":
    """The runtime of the stack's home, or of the one called `home_name`.

    Raises pulumi.RunError for a program that is not installed or a busy port.
    """
    file, offset = stack.context.file, stack.context.addresses.port(0)
    home = of_stack(home_name or pulumi.get_stack())
    try:
        for workload in stack.workloads:
            executable(workload.program.binary)
        ports = [(port, workload.name) for workload in stack.workloads for port in workload.ports]
        refuse_busy(
            home,
            [(port.number + offset, port.protocol, owner) for port, owner in ports],
            advice=f"end it, or move this stack's ports: {file}: {KEY}.port_offset, now {offset}",
        )
    except ProcessError as problem:
        raise pulumi.RunError(str(problem)) from None
    return ProcessRuntime(home=str(home.path), addresses=stack.context.addresses, secrets=secrets)


class ProcessRuntime:
    """Processes below one home directory."""

    def __init__(
        self,
        *,
        home: str,
        addresses: Addresses,
        secrets: Mapping[str, pulumi.Output[str]],
        find: Callable[[str], Path] = executable,
    ) -> None:
        """`find` gives the path of an executable by its name."""
        self.home = home
        self._find = find
        self._addresses = addresses
        self._secrets = secrets
        self._supervisor = Supervisor("supervisor", home)

    def connect(self, stack: Stack, parent: pulumi.Resource) -> None:
        """Nothing: processes of one machine dial each other by loopback."""

    def deploy(self, workload: Workload, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Declare one Process."""
        options = pulumi.ResourceOptions(parent=parent, depends_on=[self._supervisor])
        process = Process(workload.name, self.inputs(workload), options)
        url = f"http://{self._addresses.outside(workload.name, workload.ports[0].number)}"
        return process.id.apply(lambda _: url)

    def inputs(self, workload: Workload) -> dict[str, Any]:
        """The inputs of the Process that runs `workload`."""
        # A process sees the host and the registry as it is: nothing is left to do for an extra but to know it.
        extras(workload)

        def url(port: str, path: str) -> str:
            return f"http://{self._addresses.dial(workload.name, workload.port(port).number)}{path}"

        reload = workload.reload
        behind = workload.program.behind
        given = {path: ref for path, ref in workload.secrets.items() if ref.key in self._secrets}
        return {
            "home": self.home,
            "name": workload.name,
            "command": [workload.program.binary, *workload.args, *([str(self._find(behind))] if behind else [])],
            "version": _version(workload, self._find),
            "environment": dict(workload.environment),
            "files": dict(workload.files),
            "secrets": {path: secret_file(ref, self._secrets) for path, ref in given.items()},
            "generated": [path for path, ref in workload.secrets.items() if path not in given and ref.generated],
            "checks": [list(check.argv) for check in workload.checks],
            "reload": {
                "url": url(reload.port, reload.path),
                "metrics_url": url(reload.port, "/metrics"),
                "metric": reload.metric,
                "timestamp_metric": reload.timestamp_metric,
            }
            if reload
            else None,
            "probe_url": url(workload.probe.port, workload.probe.path),
            "start_seconds": workload.probe.start_seconds,
        }
