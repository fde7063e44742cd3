"""A Pulumi program that has an observability stack as one of its components."""

import pulumi

from observability_stack import Stack

config = pulumi.Config()
stack = Stack(
    "observability",
    {
        "settings_file": "observability.yaml",
        "secrets": {"hook-url": config.require_secret("hook-url")},
    },
)

# What the bookshop's own deployment goes on with.
pulumi.export("otel_env", stack.otel_env)
pulumi.export("urls", stack.urls)
