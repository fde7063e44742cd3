"""Certificates and keys of a cluster that lives for one test session, made by the `openssl` that every machine has."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DAYS = ("-days", "2")


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, as files."""

    file: Path
    """The certificate, PEM."""
    key: Path
    """Its private key, PEM; only the owner may read it."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority that everything in the cluster trusts."""

    directory: Path
    own: Certificate

    @classmethod
    def make(cls, directory: Path) -> "Authority":
        """A new one, in a directory that it may fill."""
        directory.mkdir(parents=True, mode=0o700)
        own = Certificate(directory / "ca.crt", directory / "ca.key")
        _openssl(
            *("req", "-x509", *_KEY, *_DAYS, "-subj", "/CN=test"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"),
            *("-keyout", own.key, "-out", own.file),
        )
        own.key.chmod(0o600)
        return cls(directory, own)

    def issue(
        self,
        name: str,
        *,
        user: str,
        groups: Sequence[str] = (),
        addresses: Sequence[str] = (),
        hosts: Sequence[str] = (),
    ) -> Certificate:
        """A certificate for `user` of `groups`, which also serves the `addresses` and `hosts`; its files are called
        `name`."""
        made = Certificate(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        request, more = self.directory / f"{name}.csr", self.directory / f"{name}.ext"
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        served = ",".join([*(f"IP:{address}" for address in addresses), *(f"DNS:{host}" for host in hosts)])
        more.write_text(
            "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth,serverAuth\n"
            + (f"subjectAltName={served}\n" if served else ""),
            encoding="utf-8",
        )
        _openssl("req", "-new", *_KEY, "-subj", subject, "-keyout", made.key, "-out", request)
        made.key.chmod(0o600)
        _openssl(
            *("x509", "-req", *_DAYS, "-in", request, "-out", made.file, "-extfile", more),
            *("-CA", self.own.file, "-CAkey", self.own.key, "-CAcreateserial"),
        )
        return made

    def signing_key(self, name: str) -> Path:
        """A private key without a certificate, for tokens of service accounts."""
        key = self.directory / f"{name}.key"
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        key.chmod(0o600)
        return key
