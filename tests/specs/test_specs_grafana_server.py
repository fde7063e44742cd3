"""Grafana with a database, with OpenID Connect, behind a host of its own, and asking a store that exists elsewhere."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from specs import grafana
from specs.stack import Stack
from specs.workload import SecretRef, Volume
from tests.specs.support import EVERY_RECEIVER, stack, yaml_file

DATABASE = {"address": "postgres.example.com:5432", "user": "grafana", "password": {"secret": "grafana-database"}}
OIDC = {"issuer": "https://sso.example.com/realms/main/", "client_id": "grafana", "client_secret": {"secret": "sso"}}
SECRETS = "$__file{/workload/config/secrets"


def prod(**changes: object) -> Stack:
    """A Kubernetes stack."""
    return stack(runtime="kubernetes", alerting=EVERY_RECEIVER, **changes)


def _environment(made: Stack, start: str) -> dict[str, str]:
    found = made.workload(grafana.NAME).environment
    return {name: value for name, value in found.items() if name.startswith(start)}


def test_replicas_share_a_database() -> None:
    """Proves that with a database Grafana has replicas and no volume, and reads the password from a file."""
    made = prod(grafana={"database": DATABASE}, replicas={"grafana": 2})
    workload = made.workload(grafana.NAME)

    assert (workload.replicas, workload.volume) == (2, None)
    assert _environment(made, "GF_DATABASE") == {
        "GF_DATABASE_TYPE": "postgres",
        "GF_DATABASE_HOST": "postgres.example.com:5432",
        "GF_DATABASE_NAME": "grafana",
        "GF_DATABASE_USER": "grafana",
        "GF_DATABASE_PASSWORD": f"{SECRETS}/database-password}}",
        "GF_DATABASE_SSL_MODE": "require",
        "GF_DATABASE_MAX_OPEN_CONN": "20",
    }
    assert workload.secrets["secrets/database-password"] == SecretRef("grafana-database")


def test_one_alone_has_a_volume() -> None:
    """Proves that without a database nothing is said of one, and data are on a volume."""
    made = prod()

    assert (made.workload(grafana.NAME).replicas, made.workload(grafana.NAME).volume) == (1, Volume("5Gi"))
    assert _environment(made, "GF_DATABASE") == {}


def test_people_log_in_elsewhere() -> None:
    """Proves Grafana's form of OpenID Connect: endpoints of the issuer, the secret in a file, no automatic login, and
    nobody without a role."""
    made = prod(grafana={"oidc": {**OIDC, "role": "contains(groups[*], 'ops') && 'Admin'"}})
    start = "GF_AUTH_GENERIC_OAUTH_"

    assert _environment(made, start) == {
        f"{start}ENABLED": "true",
        f"{start}NAME": "single sign-on",
        f"{start}CLIENT_ID": "grafana",
        f"{start}CLIENT_SECRET": f"{SECRETS}/oidc-client-secret}}",
        f"{start}SCOPES": "openid profile email groups",
        f"{start}AUTH_URL": "https://sso.example.com/realms/main/authorize",
        f"{start}TOKEN_URL": "https://sso.example.com/realms/main/token",
        f"{start}API_URL": "https://sso.example.com/realms/main/userinfo",
        f"{start}ALLOW_SIGN_UP": "true",
        f"{start}AUTO_LOGIN": "false",
        f"{start}USE_PKCE": "true",
        f"{start}ROLE_ATTRIBUTE_PATH": "contains(groups[*], 'ops') && 'Admin'",
        f"{start}ROLE_ATTRIBUTE_STRICT": "true",
    }
    assert made.workload(grafana.NAME).secrets["secrets/oidc-client-secret"] == SecretRef("sso")


def test_endpoints_can_be_named() -> None:
    """Proves that endpoints which are elsewhere are taken as they are."""
    named = {f"{name}_url": f"https://sso.example.com/{name}" for name in ("authorize", "token", "userinfo")}
    found = _environment(prod(grafana={"oidc": {**OIDC, **named}}), "GF_AUTH_GENERIC_OAUTH_")

    assert [found[f"GF_AUTH_GENERIC_OAUTH_{name}_URL"] for name in ("AUTH", "TOKEN", "API")] == list(named.values())


@pytest.mark.parametrize(("runtime", "own"), [("process", False), ("docker", False), ("kubernetes", True)])
def test_what_grafana_encrypts_by(runtime: str, own: bool) -> None:
    """Proves that on a cluster Grafana has a key of its own, made once; elsewhere earlier data stay readable."""
    made = stack(runtime=runtime, alerting=EVERY_RECEIVER)
    keys = {ref for ref in made.workload(grafana.NAME).secrets.values() if ref.key == "grafana-secret-key"}

    assert keys == ({SecretRef("grafana-secret-key", generated=True)} if own else set())
    assert _environment(made, "GF_SECURITY_SECRET_KEY") == (
        {"GF_SECURITY_SECRET_KEY": f"{SECRETS}/secret-key}}"} if own else {}
    )


def test_a_host_of_its_own() -> None:
    """Proves that behind an ingress links and logins go to its host, and cookies by TLS alone."""
    hosts = {"grafana": "grafana.example.com"}
    made = prod(kubernetes={"ingress": {"hosts": hosts}})
    plain = prod()

    assert made.workload(grafana.NAME).environment["GF_SERVER_ROOT_URL"] == "https://grafana.example.com/"
    assert _environment(made, "GF_SECURITY_COOKIE") == {"GF_SECURITY_COOKIE_SECURE": "true"}
    assert plain.workload(grafana.NAME).environment["GF_SERVER_ROOT_URL"] == "http://grafana.observability.svc:3000/"
    assert _environment(plain, "GF_SECURITY_COOKIE") == {}


_STUB = """#!/bin/sh
echo "$@" >> calls
[ "$1" = cli ] && cat > password
exit 0
"""


def test_a_database_gets_the_password_at_each_start(tmp_path: Path) -> None:
    """Proves that with a database the password of the secret is set before the server starts, without a file to tell
    that there is one."""
    workload = prod(grafana={"database": DATABASE}).workload(grafana.NAME)
    for name in ("bin", "config/secrets", "data"):
        (tmp_path / name).mkdir(parents=True)
    stub = tmp_path / "bin" / "grafana"
    stub.write_text(_STUB)
    stub.chmod(0o755)
    (tmp_path / "config" / "secrets" / "admin-password").write_text("let me in")

    subprocess.run(
        [*workload.program.entrypoint, *workload.args],
        cwd=tmp_path / "data",
        env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
        check=True,
    )

    assert (tmp_path / "data" / "calls").read_text().splitlines() == [
        "cli --homepath=/usr/share/grafana admin reset-admin-password --password-from-stdin",
        "server --homepath=/usr/share/grafana",
    ]
    assert (tmp_path / "data" / "password").read_text() == "let me in"


def _prometheus(made: Stack) -> dict[str, Any]:
    sources = yaml_file(made, grafana.NAME, "provisioning/datasources/stack.yml")["datasources"]
    (found,) = (source for source in sources if source["uid"] == "prometheus")
    return dict(found)


REMOTE = {"url": "https://mimir.example.com/push", "query_url": "https://mimir.example.com/prometheus/"}


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ({}, {}),
        (
            {"username": "me", "password": {"secret": "mimir"}, "tenant": "shop"},
            {
                "basicAuth": True,
                "basicAuthUser": "me",
                "httpHeaderName1": "X-Scope-OrgID",
                "secureJsonData": {
                    "basicAuthPassword": f"{SECRETS}/prometheus-password}}",
                    "httpHeaderValue1": "shop",
                },
            },
        ),
        (
            {"token": {"secret": "mimir"}},
            {
                "httpHeaderName1": "Authorization",
                "secureJsonData": {"httpHeaderValue1": f"Bearer {SECRETS}/prometheus-token}}"},
            },
        ),
    ],
)
def test_metrics_are_asked_for_where_they_are_kept(remote: dict[str, object], expected: dict[str, object]) -> None:
    """Proves that dashboards ask the store that samples are sent to, with its login in files, by one uid throughout."""
    found = _prometheus(prod(remote_write={**REMOTE, **remote}))
    told = {
        **{name: value for name, value in found.items() if name in {"basicAuth", "basicAuthUser", "secureJsonData"}},
        **{name: value for name, value in found["jsonData"].items() if name.startswith("httpHeader")},
    }

    assert (found["uid"], found["url"], told) == ("prometheus", "https://mimir.example.com/prometheus", expected)


def test_what_only_takes_samples_is_not_asked() -> None:
    """Proves that without a URL for questions dashboards ask the stack's own Prometheus, and no login is theirs."""
    made = prod(remote_write={"url": REMOTE["url"], "token": {"secret": "mimir"}})

    assert _prometheus(made)["url"] == "http://prometheus.observability.svc:9090"
    assert "mimir" not in {ref.key for ref in made.workload(grafana.NAME).secrets.values()}


def test_no_secret_is_in_grafanas_files() -> None:
    """Proves that of everything that Grafana logs in with, files and environment hold paths only."""
    made = prod(grafana={"database": DATABASE, "oidc": OIDC}, remote_write={**REMOTE, "token": {"secret": "mimir"}})
    workload = made.workload(grafana.NAME)
    asked = {ref.key: path for path, ref in workload.secrets.items()}

    assert set(asked) == {"grafana-admin-password", "grafana-secret-key", "grafana-database", "sso", "mimir"}
    told = json.dumps([dict(workload.environment), workload.files["provisioning/datasources/stack.yml"]])
    assert [path for path in asked.values() if f"$__file{{/workload/config/{path}}}" not in told] == []
