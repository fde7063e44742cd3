"""How checks get at a stack: at its ports, and at its files, wherever it runs."""

import base64
import contextlib
import os
from collections.abc import AsyncGenerator, Mapping

from specs import grafana, programs
from specs.stack import Stack
from specs.thanos.names import FRONTEND, RULER
from specs.workload import Workload
from tools import kubernetes_cluster
from tools.doctor.forwards import forwards
from tools.doctor.live import Instance, Live, client
from tools.doctor.placed import InContainers, InPods, OnDisk, Placed
from tools.health import Keeper, Supervised

_ASKED = frozenset(
    program.name
    for program in (
        programs.PROMETHEUS,
        programs.ALERTMANAGER,
        programs.LOKI,
        programs.JAEGER,
        programs.COLLECTOR,
        programs.GRAFANA,
    )
)
_ONE_BY_ONE = frozenset({programs.PROMETHEUS.name, programs.ALERTMANAGER.name})
"""Programs whose replicas are asked each: none of them knows what the others run on."""


def asked(workload: Workload) -> bool:
    """Whether some check asks the workload by HTTP, on its main port. Agents and samplers only take in."""
    if workload.program.name == programs.COLLECTOR.name:
        return workload.ports[0].published
    return workload.program.name in _ASKED or workload.name in {FRONTEND, RULER}


@contextlib.asynccontextmanager
async def opened(name: str, stack: Stack, keeper: Keeper, *, send: bool = False) -> AsyncGenerator[Live, None]:
    """The stack of Pulumi.<name>.yaml, which `keeper` keeps running, as checks ask it. What it takes to reach it ends
    with this."""
    placed: Placed
    async with contextlib.AsyncExitStack() as kept:
        if isinstance(keeper, kubernetes_cluster.Pods):
            instances = await kept.enter_async_context(_in_pods(stack, keeper))
            placed = InPods(keeper)
        else:
            instances = _here(stack)
            # Whatever is not a process of this machine is in containers: importing their tool takes a while.
            placed = OnDisk(stack, keeper.home) if isinstance(keeper, Supervised) else _in_containers(keeper)
        yield Live(
            name=name,
            stack=stack,
            keeper=keeper,
            placed=placed,
            instances=instances,
            client=await kept.enter_async_context(client()),
            grafana_login=_grafana_login(stack, placed),
            send=send,
        )


def _grafana_login(stack: Stack, placed: Placed) -> dict[str, str]:
    """Headers by which Grafana answers: with GRAFANA_TOKEN, else of processes with the password of their own file."""
    if token := os.environ.get("GRAFANA_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    if isinstance(placed, OnDisk) and grafana.NAME in stack.names:
        file = placed.home.config(grafana.NAME) / "secrets" / "admin-password"
        with contextlib.suppress(OSError):
            login = f"{grafana.ADMIN}:{file.read_text(encoding='utf-8').strip()}"
            return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return {}


def _in_containers(keeper: Keeper) -> Placed:
    from tools.docker_engine import Containers

    if not isinstance(keeper, Containers):
        raise TypeError(f"{type(keeper).__name__} keeps no stack that the doctor knows")
    return InContainers(keeper)


def _here(stack: Stack) -> dict[str, tuple[Instance, ...]]:
    outside = stack.context.addresses.outside
    return {
        workload.name: (
            Instance(
                name=workload.name,
                workload=workload,
                url=f"http://{outside(workload.name, workload.ports[0].number)}",
            ),
        )
        for workload in stack.workloads
        if asked(workload)
    }


@contextlib.asynccontextmanager
async def _in_pods(
    stack: Stack, pods: "kubernetes_cluster.Pods"
) -> AsyncGenerator[Mapping[str, tuple[Instance, ...]], None]:
    wanted = {
        replica: (workload, target)
        for workload in stack.workloads
        if asked(workload)
        for replica, target in _targets(workload).items()
    }
    commands = {
        replica: pods.command(
            f"--namespace={pods.namespace}",
            "port-forward",
            "--address=127.0.0.1",
            target,
            f":{workload.ports[0].number}",
        )
        for replica, (workload, target) in wanted.items()
    }
    async with forwards(commands) as ports:
        found: dict[str, tuple[Instance, ...]] = {}
        for replica, (workload, _) in wanted.items():
            # One that cannot be reached is a finding of each check that would ask it.
            url = f"http://127.0.0.1:{ports[replica]}" if replica in ports else ""
            instance = Instance(name=replica, workload=workload, url=url)
            found[workload.name] = (*found.get(workload.name, ()), instance)
        yield found


def _targets(workload: Workload) -> dict[str, str]:
    """What kubectl forwards to, by the name of the replica."""
    if workload.program.name in _ONE_BY_ONE and workload.replicas > 1:
        each = [f"{workload.name}-{index}" for index in range(workload.replicas)]
        return {name: f"pod/{name}" for name in each}
    return {workload.name: f"service/{workload.name}"}
