"""What an observability stack tells the applications that it watches, typed: environment, labels, annotations.

`Stack.of(...)` takes a `pulumi.StackReference` in a Pulumi program, or the outputs themselves as a mapping elsewhere
(`pulumi stack output --json --show-secrets`). docs/outputs.md says what each output means.
"""

from observability_outputs.contract import MAJOR, OutputsError
from observability_outputs.stack import Stack

__all__ = ["MAJOR", "OutputsError", "Stack"]
