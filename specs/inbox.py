"""The inbox: where a process stack's alerts arrive when no receiver is declared, and its dead man's switch."""

from specs.monitoring import Alert, RuleGroup
from specs.part import Context, Monitoring
from specs.programs import INBOX
from specs.settings import Severity
from specs.workload import REGISTRY, Port, Probe, Registry, Resources, Workload

NAME = "inbox"
PORT = 9099


def monitoring(context: Context) -> Monitoring:
    """How the inbox is watched."""
    return Monitoring(
        jobs=(context.job(NAME, PORT),),
        groups=(
            RuleGroup(
                name=NAME,
                alerts=(
                    Alert(
                        name="DeadMansSwitchSilent",
                        expr="time() - inbox_last_beat_timestamp_seconds > $threshold",
                        threshold=300,
                        for_="1m",
                        severity=Severity.CRITICAL,
                        summary="The Watchdog's beat does not arrive",
                        description="The last beat came {{ $value | humanizeDuration }} ago: notifications do not get through.",
                        action="Look at Alertmanager's log: does it try to reach the inbox, and what answer does it get?",
                    ),
                ),
            ),
        ),
    )


def workload(context: Context) -> Workload:
    """The inbox as a process of the project's own virtual environment."""
    return Workload(
        name=NAME,
        program=INBOX,
        summary="shows alerts that arrived; dead man's switch",
        ports=(Port(name="http", number=PORT),),
        args=(
            "-m",
            "tools.inbox",
            f"--host={context.addresses.host()}",
            f"--port={context.addresses.port(PORT)}",
            f"--log={REGISTRY}/logs/observability/inbox.json",
        ),
        probe=Probe(port="http", path="/healthy"),
        resources=Resources(memory="64Mi", cpu="10m"),
        extras=(Registry(),),
    )
