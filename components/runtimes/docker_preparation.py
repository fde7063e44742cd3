"""What prepares a container's volumes: containers that run once, as root, and end.

A container with a read-only root filesystem takes no uploads, a new volume belongs to root, and most images have no
shell to change either. So files reach a workload through a volume, which a container with a shell fills. Secrets have
a container of their own: one secret among its uploads, and the engine hides all of them from people who read a diff.
"""

from components.runtimes.containers import CONFIG, DATA, REGISTRY
from specs.workload import Workload

SEED = "/seed"
"""Where the uploads of such a container lie."""
FILES = f"{SEED}/files"
"""All files of a workload as one upload, see `joined`."""
SECRETS = "secrets"
"""Directory below CONFIG that all secrets of a workload are in."""
CAPABILITIES = ("CAP_CHOWN", "CAP_DAC_OVERRIDE")
"""To give files to a program's user, and to go through directories that are only that user's."""
MEMORY = 32
"""MiB."""
MARK = ".prepared"
"""An empty file that keeps a volume of data from being empty. One that is, Docker makes the image's in all respects
when a program's container is made: owned by root, since that is who owns the directory that a container starts in."""

# Arguments: the program's user, and what in the volume is not this container's. Applications register as whatever user
# they are, so the registry's directories are as open as /tmp.
_FILES = f"""
umask 022
if [ -d {CONFIG} ]; then
  cd {CONFIG}
  for old in * .[!.]*; do [ "$old" = "$2" ] || rm -rf -- "$old"; done
  [ ! -f {FILES} ] || awk '
    !left {{
      left = $2; path = $0; sub(/^==> [0-9]+ lines of /, "", path)
      directory = path
      if (sub("/[^/]*$", "", directory)) if (system("mkdir -p \\"" directory "\\"")) exit 1
      printf "" > path
      next
    }}
    {{ print > path; if (!--left) close(path) }}
  ' {FILES}
fi
if [ -d {DATA} ]; then
  : > {DATA}/{MARK}
  chown -R "$1:$1" {DATA}
fi
if [ -d {REGISTRY} ]; then
  cd {REGISTRY}
  mkdir -p scrape logs
  chmod 1777 scrape logs
fi
"""
_SECRETS = f"""
umask 077
rm -rf {CONFIG}/{SECRETS}
cp -R {SEED}/. {CONFIG}
chown -R "$1:$1" {CONFIG}/{SECRETS}
"""


def joined(workload: Workload) -> str:
    """All files as one text that the script of `place_files` takes apart: a line with their length and path, then each.

    The provider keeps uploads as a set, so that a changed one would show as a change of most, and each is a request
    of its own. Raises AssertionError for a file that does not end with a newline: it would get one.
    """
    open_ended = [path for path, text in workload.files.items() if text and not text.endswith("\n")]
    if open_ended:
        raise AssertionError(f"{workload.name}: {open_ended[0]} does not end with a newline")
    # Not `splitlines`, which knows more ends of lines than awk does.
    return "".join(
        f"==> {text.count(chr(10))} lines of {path}\n{text}" for path, text in sorted(workload.files.items())
    )


def prepares(workload: Workload, *, registry: bool) -> bool:
    """Whether there is anything to prepare: files, secrets, data that survives, or the registry's directories."""
    return bool(workload.files or workload.secrets or workload.volume or registry)


def place_files(workload: Workload) -> list[str]:
    """What places the upload FILES as the workload's files, and makes its data its user's."""
    return _run(_FILES, str(workload.program.user), SECRETS if workload.secrets else "-")


def place_secrets(workload: Workload) -> list[str]:
    """What places the uploads below SEED/ as the workload's secrets, for its user alone.

    Raises AssertionError for a secret beside the directory of secrets: the next change of a file would remove it.
    """
    outside = [path for path in workload.secrets if not path.startswith(f"{SECRETS}/")]
    if outside:
        raise AssertionError(f"{workload.name}: {outside[0]} is not below {SECRETS}/")
    return _run(_SECRETS, str(workload.program.user))


def _run(script: str, *arguments: str) -> list[str]:
    return ["sh", "-ec", script.strip(), "sh", *arguments]
