"""Where workloads listen and how they are dialled: decided from names, so known before anything is deployed."""

from dataclasses import dataclass
from typing import Protocol

PEERS = "-peers"
"""Ending of the name of the headless Service of a workload that has peers."""


class Addresses(Protocol):
    """What the three runtimes say about addresses; all answers are pure."""

    def port(self, port: int) -> int:
        """The number really used for `port`."""
        ...

    def host(self) -> str:
        """The host part that a workload binds."""
        ...

    def listen(self, port: int) -> str:
        """`host:port` that a workload binds."""
        ...

    def dial(self, workload: str, port: int) -> str:
        """`host:port` that other workloads dial."""
        ...

    def outside(self, workload: str, port: int) -> str:
        """`host:port` that people and applications outside the stack dial."""
        ...

    def each(self, workload: str, port: int, replicas: int) -> tuple[str, ...]:
        """`host:port` of every replica of a workload that has peers."""
        ...

    def peers(self, workload: str, port: int) -> str:
        """`host:port` whose name stands for every replica of a workload that has peers, also those not ready yet."""
        ...


@dataclass(frozen=True, slots=True)
class Loopback:
    """Processes on this machine: one address, every port shifted by `offset` so that stacks live side by side."""

    offset: int = 0
    bind: str = "127.0.0.1"

    def port(self, port: int) -> int:
        """The shifted port."""
        return port + self.offset

    def host(self) -> str:
        """The address the stack's settings bind to."""
        return self.bind

    def listen(self, port: int) -> str:
        """The bound address and the shifted port."""
        return f"{self.bind}:{self.port(port)}"

    def dial(self, workload: str, port: int) -> str:
        """Always by loopback: `workload` makes no difference on one machine."""
        del workload
        return f"127.0.0.1:{self.port(port)}"

    def outside(self, workload: str, port: int) -> str:
        """The same as `dial`."""
        return self.dial(workload, port)

    def each(self, workload: str, port: int, replicas: int) -> tuple[str, ...]:
        """The one that there is."""
        del replicas
        return (self.dial(workload, port),)

    def peers(self, workload: str, port: int) -> str:
        """The same as `dial`."""
        return self.dial(workload, port)


@dataclass(frozen=True, slots=True)
class Containers:
    """Containers on one Docker network, dialled by alias; ports shift only where they are published."""

    offset: int = 0

    def port(self, port: int) -> int:
        """The port itself: every container has its own network namespace."""
        return port

    def host(self) -> str:
        """All addresses of the container; what leaves it is decided by publishing."""
        return "0.0.0.0"  # noqa: S104 - inside a container's own network namespace

    def listen(self, port: int) -> str:
        """All addresses of the container."""
        return f"{self.host()}:{port}"

    def dial(self, workload: str, port: int) -> str:
        """The container's network alias."""
        return f"{workload}:{port}"

    def outside(self, workload: str, port: int) -> str:
        """The published port on the Docker host's loopback."""
        del workload
        return f"127.0.0.1:{port + self.offset}"

    def each(self, workload: str, port: int, replicas: int) -> tuple[str, ...]:
        """The one that there is."""
        del replicas
        return (self.dial(workload, port),)

    def peers(self, workload: str, port: int) -> str:
        """The same as `dial`."""
        return self.dial(workload, port)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Pods behind Services of one namespace."""

    namespace: str

    def port(self, port: int) -> int:
        """The port itself: every pod has its own network namespace."""
        return port

    def host(self) -> str:
        """All addresses of the pod."""
        return "0.0.0.0"  # noqa: S104 - inside a pod's own network namespace

    def listen(self, port: int) -> str:
        """All addresses of the pod."""
        return f"{self.host()}:{port}"

    def dial(self, workload: str, port: int) -> str:
        """The Service's DNS name."""
        return f"{workload}.{self.namespace}.svc:{port}"

    def outside(self, workload: str, port: int) -> str:
        """The same: applications run in the cluster."""
        return self.dial(workload, port)

    def each(self, workload: str, port: int, replicas: int) -> tuple[str, ...]:
        """The names that a StatefulSet gives its pods, below its headless Service."""
        return tuple(f"{workload}-{index}.{workload}{PEERS}.{self.namespace}.svc:{port}" for index in range(replicas))

    def peers(self, workload: str, port: int) -> str:
        """The headless Service's name."""
        return f"{workload}{PEERS}.{self.namespace}.svc:{port}"
