"""A step of CI: reads a stack's outputs as JSON on stdin, so that no token is on a command line.

pulumi stack output --json --show-secrets --stack <stack> | python -m observability_outputs annotate …
pulumi stack output --json --stack <stack> | python -m observability_outputs otel-env …
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

from observability_outputs.contract import OutputsError
from observability_outputs.stack import Stack

TOKEN = "GRAFANA_TOKEN"  # noqa: S105 - the name of a variable
"""Variable with a token for Grafana, where the outputs have none."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m observability_outputs", description="Reads outputs on stdin.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    annotate = commands.add_parser("annotate", help=f"mark a deployment in Grafana; a token may stand in {TOKEN}")
    annotate.add_argument("--text", default="", help="what the mark says; none: <app> <version>")
    annotate.add_argument("--tag", action="append", default=[], help="one more tag; may be given several times")
    env = commands.add_parser("otel-env", help="print the environment of an OpenTelemetry SDK as NAME=value lines")
    env.add_argument("--service", required=True)
    env.add_argument("--from-host", action="store_true", help="for a process of a Docker engine's host")
    for command in (annotate, env):
        command.add_argument("--app", required=True)
        command.add_argument("--version", required=True)
    return parser


def _outputs() -> Mapping[str, Any]:
    try:
        found: object = json.load(sys.stdin)
    except ValueError:
        raise OutputsError("stdin: not JSON (accepted: pulumi stack output --json)") from None
    if not isinstance(found, dict):
        raise OutputsError("stdin: not a map of outputs (accepted: pulumi stack output --json)")
    return cast("Mapping[str, Any]", found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; exit status 2, and one line on stderr, when it cannot be done."""
    given = _parser().parse_args(arguments)
    try:
        stack = Stack.of(_outputs())
        if given.command == "annotate":
            text = given.text or f"{given.app} {given.version}"
            token = os.environ.get(TOKEN) or None
            made = stack.annotate(text, app=given.app, version=given.version, tags=given.tag, token=token)
            print(f"annotation {made}: {text}")
        else:
            env = stack.otel_env(given.service, app=given.app, version=given.version, from_host=given.from_host)
            for key, text in sorted(env.items()):
                print(f"{key}={shlex.quote(text)}")
    except OutputsError as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
