# pyright: basic, reportMissingImports=false
"""The policy pack: what Pulumi's engine runs, by `pulumi preview --policy-pack policy`. The rules are in `rules`."""

from collections.abc import Callable, Mapping
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError
from rules import RULES, Resource, Rule
from rules.model import UNKNOWN


def _plain(value: Any) -> Any:
    """`value` without the SDK's proxies, which raise for what only an update learns."""
    if isinstance(value, Mapping):
        return {key: _known(value, key) for key in value if not str(key).startswith("__")}
    if hasattr(value, "__len__") and hasattr(value, "__getitem__") and not isinstance(value, str | bytes):
        return [_known(value, index) for index in range(len(value))]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _known(value: Any, key: Any) -> Any:
    try:
        return _plain(value[key])
    except UnknownValueError:
        return UNKNOWN


def _resource(found: Any) -> Resource:
    return Resource(
        type=found.resource_type,
        name=found.name,
        urn=found.urn,
        props=_plain(found.props),
        protected=bool(found.opts.protect),
    )


def _policy(rule: Rule) -> ResourceValidationPolicy | StackValidationPolicy:
    told: dict[str, Any] = {
        "name": rule.name,
        "description": rule.title,
        "remediation_steps": rule.remedy,
        "config_schema": PolicyConfigSchema({key: dict(value) for key, value in rule.settings.items()}),
    }
    if rule.resource is None:
        return StackValidationPolicy(validate=_of_stack(rule), **told)
    return ResourceValidationPolicy(validate=_of_resource(rule), **told)


def _of_resource(rule: Rule) -> Callable[[ResourceValidationArgs, Any], None]:
    def validate(args: ResourceValidationArgs, report: Any) -> None:
        for found in rule.find((_resource(args),), args.get_config() or {}):
            report(found.message)

    return validate


def _of_stack(rule: Rule) -> Callable[[StackValidationArgs, Any], None]:
    def validate(args: StackValidationArgs, report: Any) -> None:
        for found in rule.find([_resource(each) for each in args.resources], args.get_config() or {}):
            report(found.message, found.resource.urn if found.resource else None)

    return validate


PolicyPack("observability", [_policy(rule) for rule in RULES], enforcement_level=EnforcementLevel.MANDATORY)
