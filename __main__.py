"""The Pulumi program: one stack file in, one observability stack out."""

import signal

import pulumi

from components import configuration, runtimes
from components.outputs import resolved
from components.stack import ObservabilityStack

# The engine interrupts the program when a resource fails; the failure is told already, a traceback would hide it.
signal.signal(signal.SIGINT, signal.SIG_DFL)

stack = configuration.stack()
secrets = configuration.secrets(stack)
runtime = runtimes.of(stack, secrets)
deployed = ObservabilityStack("observability", stack, runtime, secrets)
for name, value in stack.outputs(runtime.home).items():
    pulumi.export(name, resolved(value, {**secrets, **deployed.secrets}))
