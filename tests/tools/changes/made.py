"""A repository with two revisions of this checkout, made for tests: what differs between them is known."""

from pathlib import Path

from tests.tools.changes.repositories import Repository
from tools import paths
from tools.changes.revisions import WORKING_TREE, revision

CANARY = "canary-7f3a9c-of-a-test"
"""Stands in the place of every secret's value in the stack file, encrypted or not."""
STACK = "prod"
FILE = f"Pulumi.{STACK}.yaml"
_SECRETS = f"""  observability:slack-url:
    secure: v1:{CANARY}:{CANARY}
  observability:smtp-password: {CANARY}
"""
_OVERRIDES = """    alerting:
      overrides:
        wwmaa/HighErrorRate: {threshold: 0.1, for: 10m}
        wwmaa/LowCacheHitRate: {severity: critical}
"""
_SIZES = """    size: medium
    volumes: {prometheus: 80Gi}
    resources: {grafana: {memory: 1Gi}}
"""
_PANEL = "      - {title: Firing Alerts, kind: alerts}\n"

CHANGES = (
    # Thresholds, durations, severities.
    (FILE, "    alerting:\n", _OVERRIDES),
    # A receiver, and the routes to it; one who is told as well.
    (FILE, "        team-email: {", "        # team-email: {"),
    ("systems/wwmaa.yaml", "  default: team-email\n", "  default: slack\n"),
    (FILE, "security: [security-team]", "security: [security-team, email]"),
    # Outputs: one under another name, one of another type.
    ("specs/outputs.py", '"push_url": ', '"push": '),
    ("specs/outputs.py", '"contract_version": CONTRACT_VERSION', '"contract_version": str(CONTRACT_VERSION)'),
    # An image.
    ("specs/programs.py", 'blackbox-exporter",\n    version="v0', 'blackbox-exporter",\n    version="v1000'),
    # A panel more, a query, an objective.
    ("systems/wwmaa.yaml", _PANEL, f"{_PANEL}      - {{title: Cache Hits, signals: [cache_hits]}}\n"),
    ("systems/wwmaa.yaml", "signals: [zerodb_p95], by: [collection]", "signals: [zerodb_p95], by: [operation]"),
    ("systems/wwmaa.yaml", "99.9% of the requests are answered, percent: 99.9", "99.5% of them, percent: 99.5"),
    # Sizes, retention, targets, secrets.
    (FILE, "    size: medium\n", _SIZES),
    (FILE, "      logs: 30d\n", "      logs: 14d\n"),
    (FILE, 'backend: ["backend.wwmaa.svc:8000"]', 'backend: ["backend.wwmaa.svc:8000", "spare.wwmaa.svc:8000"]'),
    (FILE, "{secret: alerts-webhook-url}", "{secret: alerts-hook-url}"),
    (FILE, f"v1:{CANARY}:{CANARY}", f"v1:{CANARY}:{CANARY}-anew"),
    # A way in.
    (FILE, "hosts: {grafana: grafana.example.com}", "hosts: {grafana: grafana.example.org}"),
)
"""File, text of the base, and what stands there in the change."""


def of_checkout(root: Path) -> Repository:
    """Two commits at `root`: `base`, this checkout as it stands with values of secrets, and `change`."""
    with revision(WORKING_TREE, option="HEAD", root=paths.ROOT) as checkout:
        checkout.check_out(root)
    made = Repository.empty(root)
    _replace(root / FILE, None, _SECRETS)
    made.commit("base")
    for file, before, after in CHANGES:
        _replace(root / file, before, after)
    made.commit("change")
    return made


def _replace(file: Path, before: str | None, after: str) -> None:
    """Change a file; what is to be replaced is there once, None is its end."""
    text = file.read_text(encoding="utf-8")
    assert before is None or text.count(before) == 1, (file, before)
    file.write_text(text + after if before is None else text.replace(before, after), encoding="utf-8")
