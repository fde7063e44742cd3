"""The rules of the policy pack as pure functions: resources in, violations out. They import nothing but PyYAML, so that
the pack can be taken elsewhere as it is."""

from collections.abc import Mapping

from .alerts import ALERTS
from .exposure import EXPOSURE
from .images import IMAGES
from .labels import LABELS
from .limits import LIMITS
from .model import Resource, Rule, Violation
from .plain_secrets import NAMED
from .secret_copies import COPIES
from .volumes import VOLUMES

RULES: tuple[Rule, ...] = (IMAGES, EXPOSURE, LIMITS, NAMED, COPIES, VOLUMES, LABELS, ALERTS)
"""Every rule, in the order of docs/policy.md."""

__all__ = ["RULES", "Resource", "Rule", "Violation", "violations"]


def violations(
    resources: tuple[Resource, ...], config: Mapping[str, Mapping[str, object]] | None = None
) -> dict[str, tuple[Violation, ...]]:
    """What each rule finds in a whole stack, by the rule's name. `config` has the settings of rules, by their names."""
    given = config or {}
    return {rule.name: tuple(rule.find(resources, given.get(rule.name, {}))) for rule in RULES}
