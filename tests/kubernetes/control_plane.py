"""A real Kubernetes API server with its etcd, on loopback: what accepts manifests, without anything that runs pods."""

import base64
import os
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import httpx
import yaml

from tests.kubernetes.certificates import Authority
from tools import native

ADMIN = "admin"
NOBODY = "nobody"
"""A user whom the server knows, and who may do nothing."""
_ATTEMPTS = 3
_READY_SECONDS = 60
_STOP_SECONDS = 20


class NotStartedError(Exception):
    """A server ended, or was not ready in time; `str()` has the end of what it said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What a control plane is started with."""

    address: str = "127.0.0.1"
    """Where the API server listens, and what it tells the cluster that it is reached by."""
    port: int | None = None
    """Where at it; none: one that is free."""
    service_network: str = "10.96.0.0/16"
    """Addresses of Services."""
    users: Mapping[str, Sequence[str]] | None = None
    """Further users by name, with their groups: each has a token, and `ControlPlane.kubeconfig` makes its file."""
    flags: Sequence[str] = ()
    """Further flags of kube-apiserver."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlPlane:
    """An API server that is ready."""

    directory: Path
    url: str
    authority: Authority
    account_key: Path
    """Signs the tokens of service accounts."""
    tokens: Mapping[str, str]
    """By user. Made for this cluster, which nobody but this machine can reach."""
    processes: Mapping[str, "subprocess.Popen[bytes]"]
    """`etcd` and `kube-apiserver`; what each says is in `<name>.log`."""

    @classmethod
    @contextmanager
    def running(cls, directory: Path, options: Options | None = None) -> "Generator[ControlPlane]":
        """Start etcd and an API server with Node and RBAC authorisation and the usual admission (Pod Security with it)
        in `directory`, which must not exist; stop both in the end.

        Raises NotStartedError with the end of what a server said.
        """
        wanted = options or Options()
        programs = native.ensure(["etcd", "kube-apiserver"])
        directory.mkdir(parents=True, mode=0o700)
        authority = Authority.make(directory / "certificates")
        account_key = authority.signing_key("service-accounts")
        groups = {ADMIN: ("system:masters",), NOBODY: (), **(wanted.users or {})}
        tokens = {user: secrets.token_hex(16) for user in groups}
        lines = [
            f'{token},"{user}","{user}","{",".join(groups[user])}"\n'
            if groups[user]
            else f'{token},"{user}","{user}"\n'
            for user, token in tokens.items()
        ]
        _write_private(directory / "tokens.csv", "".join(lines))
        with _etcd(programs["etcd"].path, directory) as (etcd, store):
            command = [
                str(programs["kube-apiserver"].path),
                *_flags(wanted, directory, store, authority),
                *_account_flags(account_key),
            ]
            with _api(command, directory, wanted, authority, tokens[ADMIN]) as (server, url):
                yield cls(
                    directory=directory,
                    url=url,
                    authority=authority,
                    account_key=account_key,
                    tokens=tokens,
                    processes={"etcd": etcd, "kube-apiserver": server},
                )

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """The file with which `user` reaches the server; only the owner may read it."""
        path = self.directory / f"{user.replace(':', '-')}.kubeconfig"
        if not path.exists():
            authority = base64.b64encode(self.authority.own.file.read_bytes()).decode()
            document = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {"name": "test", "cluster": {"server": self.url, "certificate-authority-data": authority}}
                ],
                "users": [{"name": user, "user": {"token": self.tokens[user]}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
                "current-context": "test",
            }
            _write_private(path, yaml.safe_dump(document))
        return path

    def kubectl(
        self, *arguments: str, user: str = ADMIN, stdin: str = "", check: bool = True, seconds: float = 120
    ) -> "subprocess.CompletedProcess[str]":
        """Run kubectl as `user`; AssertionError with what it said when it fails, unless `check` is off."""
        command = [kubectl(), f"--kubeconfig={self.kubeconfig(user)}", *arguments]
        # kubectl keeps what it learns about a server below HOME, by host and port: the next test's may be another.
        environment = {**os.environ, "HOME": str(self.directory)}
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=False, timeout=seconds, env=environment
        )
        assert not check or done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def client(self, user: str = ADMIN) -> httpx.Client:
        """A client of the API as `user`, for what kubectl would take long for."""
        return _client(self.url, self.authority, self.tokens[user])


def kubectl() -> str:
    """The kubectl that the requirements of the tests bring."""
    return str(Path(sys.executable).with_name("kubectl"))


def free_port(address: str = "127.0.0.1") -> int:
    """A port of `address` that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def _client(url: str, authority: Authority, token: str) -> httpx.Client:
    trust = ssl.create_default_context(cafile=str(authority.own.file))
    return httpx.Client(base_url=url, verify=trust, headers={"authorization": f"Bearer {token}"}, timeout=30)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-3000:]


@contextmanager
def started(command: Sequence[str], log: Path) -> "Generator[subprocess.Popen[bytes]]":
    """A process that is ended with the block, by force when it does not want to."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=log.parent, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(client: httpx.Client, path: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        if process.poll() is not None:
            raise NotStartedError(f"{log.stem} ended with {process.returncode}:\n{_said(log)}")
        try:
            if client.get(path, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise NotStartedError(f"{log.stem} is not ready after {_READY_SECONDS} s:\n{_said(log)}")
        time.sleep(0.1)


@contextmanager
def _etcd(program: Path, directory: Path) -> "Generator[tuple[subprocess.Popen[bytes], str]]":
    """The store and its URL."""
    log = directory / "etcd.log"
    for attempt in range(_ATTEMPTS):
        clients, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        command = [
            str(program),
            f"--data-dir={directory / f'etcd-{attempt}'}",
            *(f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}"),
            *(f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"),
            f"--initial-cluster=default={peers}",
            "--log-level=warn",
            # Nothing in it outlives the test.
            "--unsafe-no-fsync",
        ]
        with started(command, log) as process, httpx.Client(base_url=clients) as client:
            try:
                _await(client, "/health", process, log)
            except NotStartedError:
                if _is_taken(log) and attempt + 1 < _ATTEMPTS:
                    continue
                raise
            yield process, clients
            return


def _is_taken(log: Path) -> bool:
    """Whether the server found its port in use: between the look for a free one and its start, somebody took it."""
    return "address already in use" in log.read_text(encoding="utf-8", errors="replace")


def _flags(options: Options, directory: Path, store: str, authority: Authority) -> list[str]:
    first = str(ip_network(options.service_network)[1])
    serving = authority.issue(
        "kube-apiserver",
        user="kube-apiserver",
        addresses=tuple(dict.fromkeys(("127.0.0.1", options.address, first))),
        hosts=("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
    )
    kubelets = authority.issue("kubelet-client", user="kube-apiserver-kubelet-client", groups=("system:masters",))
    return [
        *(f"--bind-address={options.address}", f"--advertise-address={options.address}"),
        # It would refuse to tell the cluster of a loopback address.
        *(["--endpoint-reconciler-type=none"] if options.address.startswith("127.") else []),
        f"--service-cluster-ip-range={options.service_network}",
        f"--etcd-servers={store}",
        f"--client-ca-file={authority.own.file}",
        *(f"--tls-cert-file={serving.file}", f"--tls-private-key-file={serving.key}"),
        *(f"--kubelet-client-certificate={kubelets.file}", f"--kubelet-client-key={kubelets.key}"),
        "--kubelet-preferred-address-types=InternalIP",
        f"--token-auth-file={directory / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        *options.flags,
    ]


def _account_flags(key: Path) -> list[str]:
    return [
        *(f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"),
        "--service-account-issuer=https://kubernetes.default.svc",
    ]


@contextmanager
def _api(
    command: Sequence[str], directory: Path, options: Options, authority: Authority, token: str
) -> "Generator[tuple[subprocess.Popen[bytes], str]]":
    """The API server and its URL."""
    log = directory / "kube-apiserver.log"
    for attempt in range(_ATTEMPTS):
        port = options.port or free_port(options.address)
        url = f"https://{options.address}:{port}"
        with started([*command, f"--secure-port={port}"], log) as process, _client(url, authority, token) as client:
            try:
                _await(client, "/readyz", process, log)
            except NotStartedError:
                if _is_taken(log) and attempt + 1 < _ATTEMPTS:
                    continue
                raise
            yield process, url
            return
