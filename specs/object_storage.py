"""Object storage: where it is, and how programs log in to it. Every program reads the same file of keys."""

from collections.abc import Mapping

from specs.model import SettingsError
from specs.monitoring import to_yaml
from specs.part import Context
from specs.settings import KEY, ObjectStorage
from specs.workload import CONFIG, SecretRef

CREDENTIALS = "secrets/object-storage"
"""Path of the file of keys, below the configuration."""
FILE = "object-storage.yml"
"""Path of Thanos' description of the bucket, below the configuration."""


def _storage(context: Context) -> ObjectStorage:
    storage = context.settings.object_storage
    if storage is None:
        raise AssertionError("specs.scale refuses what needs object storage and has none")
    return storage


def credentials(context: Context) -> Mapping[str, SecretRef]:
    """The file of keys of whoever uses object storage; none where the pod's own identity is asked.

    Raises SettingsError for keys that a file cannot be made of.
    """
    storage = _storage(context)
    if storage.credentials:
        return {CREDENTIALS: storage.credentials.ref}
    if not (storage.access_key and storage.secret_key):
        return {}
    access, secret = storage.access_key.secret, storage.secret_key.secret
    for key, name in (("access_key", access), ("secret_key", secret)):
        if name in context.settings.kubernetes.secrets:
            raise SettingsError(
                f"{context.file}: {KEY}.object_storage.{key}: stands in a Secret that exists, which a file can only be"
                " whole (accepted: credentials, with a Secret of the whole file)"
            )
    # INI knows no quotes that every reader agrees on.
    template = f"[default]\naws_access_key_id = ${{{access}}}\naws_secret_access_key = ${{{secret}}}\n"
    return {CREDENTIALS: SecretRef(access, template=template, others=(secret,))}


def environment(context: Context) -> Mapping[str, str]:
    """Where the clients of Amazon's form look for their keys; nothing where the pod's own identity is asked."""
    return {"AWS_SHARED_CREDENTIALS_FILE": f"{CONFIG}/{CREDENTIALS}"} if credentials(context) else {}


def bucket(context: Context) -> Mapping[str, str]:
    """Thanos' description of the bucket of metrics as a file. There are no keys in it: those are `credentials`."""
    storage = _storage(context)
    if storage.metrics_bucket is None:
        raise AssertionError("specs.scale refuses thanos without a bucket of metrics")
    where = {
        "bucket": storage.metrics_bucket,
        "endpoint": storage.endpoint,
        **({"region": storage.region} if storage.region else {}),
        **({"insecure": True} if storage.insecure else {}),
        "bucket_lookup_type": "path" if storage.path_style else "auto",
    }
    return {FILE: to_yaml({"type": "S3", "config": where})}
