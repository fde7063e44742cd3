"""The addresses of a cluster, and the link that it has to this machine."""

import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network

from tests.kubernetes.control_plane import NotStartedError


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """The addresses of a cluster of one node."""

    whole: IPv4Network

    @classmethod
    def free(cls) -> "Network":
        """One that no route of this machine leads to."""
        said = subprocess.run(["ip", "-json", "route"], capture_output=True, text=True, check=True).stdout
        taken = [IPv4Network(route["dst"]) for route in json.loads(said) if route["dst"] != "default"]
        for second in range(222, 255):
            whole = IPv4Network(f"10.{second}.0.0/16")
            if not any(whole.overlaps(other) for other in taken):
                return cls(whole=whole)
        raise NotStartedError("every network 10.222.0.0/16 to 10.254.0.0/16 has a route already")

    @property
    def link(self) -> IPv4Network:
        """Between machine and node."""
        return next(self.whole.subnets(new_prefix=30))

    @property
    def machine(self) -> str:
        """This machine's address on the link."""
        return str(self.link[1])

    @property
    def node(self) -> str:
        """The node's address."""
        return str(self.link[2])

    @property
    def pods(self) -> IPv4Network:
        """Where pods are."""
        return list(self.whole.subnets(new_prefix=18))[1]

    @property
    def services(self) -> IPv4Network:
        """Where Services are."""
        return list(self.whole.subnets(new_prefix=18))[2]

    @property
    def dns(self) -> str:
        """The address of the Service of CoreDNS."""
        return str(self.services[10])


@contextmanager
def linked(network: Network, link: str) -> Generator[None]:
    """The machine's end of the link, with routes over it, and `<link>-in`, which is the node's; also removes one that
    was left behind."""
    ip("link", "delete", link, check=False)
    ip("link", "add", link, "type", "veth", "peer", "name", f"{link}-in")
    try:
        ip("address", "add", f"{network.machine}/30", "dev", link)
        ip("link", "set", link, "up")
        yield
    finally:
        # Its other end, and the routes, go with it.
        ip("link", "delete", link, check=False)


def ip(*words: str, check: bool = True) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *words], check=check, capture_output=not check)
