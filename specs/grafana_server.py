"""How Grafana's server starts, where it keeps what people make in it, and how they log in."""

from collections.abc import Mapping

from specs import links
from specs.part import Context
from specs.programs import GRAFANA
from specs.settings import Database, Oidc
from specs.workload import SecretRef

SECRET_KEY = "grafana-secret-key"  # noqa: S105 - the name of a secret
_FILES: Mapping[str, str] = {
    "database": "database-password",
    "oidc": "oidc-client-secret",
    "key": "secret-key",
}
"""Names of the files with secrets."""

_RESET = """grafana cli --homepath=/usr/share/grafana admin reset-admin-password --password-from-stdin \
    < ../config/secrets/admin-password > /dev/null || echo "the administrator keeps the password of an earlier start" >&2"""
_START = f"""
if [ -s grafana.db ]; then
  {_RESET}
fi
exec grafana "$@"
"""
"""How the container starts. Grafana itself takes the password only while it makes its database; a stack that kept its
data over a `destroy`, or was given another password, could not log in otherwise."""
_START_WITH_DATABASE = f"""
{_RESET}
exec grafana "$@"
"""
"""The same with a database elsewhere, which may have been made at any time."""


def start(context: Context) -> str:
    """The script that a container starts with."""
    return _START_WITH_DATABASE if context.settings.grafana.database else _START


def secrets(context: Context) -> Mapping[str, SecretRef]:
    """Files of the server with what it logs in with, and with what it encrypts by."""
    asked = context.settings.grafana
    found: dict[str, SecretRef] = {}
    if asked.database:
        found["database"] = asked.database.password.ref
    if asked.oidc:
        found["oidc"] = asked.oidc.client_secret.ref
    if context.on_cluster:
        # Elsewhere Grafana has its makers' key, by which data of earlier starts are encrypted.
        found["key"] = SecretRef(SECRET_KEY, generated=True)
    return {f"secrets/{_FILES[name]}": ref for name, ref in found.items()}


def environment(context: Context, directory: str) -> Mapping[str, str]:
    """Variables of the server; the files of `secrets` are in `directory`."""
    asked = context.settings.grafana

    def read(name: str) -> str:
        return f"$__file{{{directory}/{_FILES[name]}}}"

    public = {"GF_SECURITY_COOKIE_SECURE": "true"} if _by_tls(context) else {}
    key = {"GF_SECURITY_SECRET_KEY": read("key")} if context.on_cluster else {}
    # Each of several would evaluate every rule that somebody makes in it, and tell of it.
    silent = {"GF_UNIFIED_ALERTING_EXECUTE_ALERTS": "false"} if context.scale.grafana > 1 else {}
    return {
        **silent,
        **(_database(asked.database, read("database")) if asked.database else {}),
        **(_oidc(asked.oidc, read("oidc")) if asked.oidc else {}),
        **key,
        **public,
    }


def _by_tls(context: Context) -> bool:
    """Whether people open it by https."""
    return links.public_url(context, GRAFANA.name) is not None


def _database(database: Database, password: str) -> Mapping[str, str]:
    return {
        "GF_DATABASE_TYPE": "postgres",
        "GF_DATABASE_HOST": database.address,
        "GF_DATABASE_NAME": database.name,
        "GF_DATABASE_USER": database.user,
        "GF_DATABASE_PASSWORD": password,
        "GF_DATABASE_SSL_MODE": database.tls,
        # Replicas share what the server may take: PostgreSQL's own default is a hundred.
        "GF_DATABASE_MAX_OPEN_CONN": "20",
    }


def _oidc(oidc: Oidc, client_secret: str) -> Mapping[str, str]:
    """Grafana's form for a button beside the form for names and passwords, which the administrator keeps."""
    issuer = oidc.issuer.rstrip("/")
    start = "GF_AUTH_GENERIC_OAUTH_"
    return {
        f"{start}ENABLED": "true",
        f"{start}NAME": "single sign-on",
        f"{start}CLIENT_ID": oidc.client_id,
        f"{start}CLIENT_SECRET": client_secret,
        f"{start}SCOPES": " ".join(oidc.scopes),
        f"{start}AUTH_URL": oidc.authorize_url or f"{issuer}/authorize",
        f"{start}TOKEN_URL": oidc.token_url or f"{issuer}/token",
        f"{start}API_URL": oidc.userinfo_url or f"{issuer}/userinfo",
        f"{start}ALLOW_SIGN_UP": "true",
        f"{start}AUTO_LOGIN": "false",
        f"{start}USE_PKCE": "true",
        f"{start}ROLE_ATTRIBUTE_PATH": oidc.role,
        # Whoever gets no role is not let in, instead of as a Viewer.
        f"{start}ROLE_ATTRIBUTE_STRICT": "true",
    }
