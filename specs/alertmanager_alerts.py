"""How Alertmanager is watched: one, and several that gossip."""

from specs.monitoring import Alert, RuleGroup
from specs.part import Context, Monitoring
from specs.settings import Severity

NAME = "alertmanager"
PORT = 9093

_CLUSTER = RuleGroup(
    name=f"{NAME}-cluster",
    alerts=(
        Alert(
            name="AlertmanagerMembersInconsistent",
            # The longest look of five minutes, so that one failed scrape is none of either side.
            expr="""
max_over_time(alertmanager_cluster_members[5m])
< on (app, environment, service) group_left ()
count by (app, environment, service) (max_over_time(alertmanager_cluster_members[5m]))""",
            for_="15m",
            severity=Severity.CRITICAL,
            summary="Alertmanagers do not know each other",
            description="{{ $labels.instance }} knows {{ $value }} members of the cluster, itself among them, and more of them run: people are told twice, and a silence does not hold everywhere.",
            action="Compare the page /#/status of the replicas. A network policy that blocks port 9094, TCP or UDP, is the usual reason.",
        ),
        Alert(
            name="AlertmanagerClusterDegraded",
            expr="max by (app, environment, service) (max_over_time(alertmanager_cluster_failed_peers[5m])) > $threshold",
            threshold=0,
            for_="15m",
            severity=Severity.WARNING,
            summary="Replicas of Alertmanager are away",
            description="{{ $value }} replicas have been away for 15 minutes (limit $threshold): the others tell people, with fewer in reserve.",
            action="See which pod of Alertmanager is not ready, and why.",
        ),
        Alert(
            name="AlertmanagerConfigInconsistent",
            expr="""
count by (app, environment, service) (
  count_values by (app, environment, service) ("hash", alertmanager_config_hash)
) > $threshold""",
            threshold=1,
            for_="20m",
            severity=Severity.CRITICAL,
            summary="Replicas of Alertmanager have different configurations",
            description="{{ $value }} configurations are in effect, and have been for 20 minutes: who is told depends on which replica does it.",
            action="See whether a rollout stands still, and delete the pods that run on the old configuration.",
        ),
    ),
)


def monitoring(context: Context) -> Monitoring:
    """How Alertmanager is watched."""
    return Monitoring(
        jobs=(context.job(NAME, PORT),),
        groups=(
            RuleGroup(
                name=NAME,
                alerts=(
                    Alert(
                        name="AlertmanagerConfigReloadFailed",
                        expr="alertmanager_config_last_reload_successful == 0",
                        for_="5m",
                        severity=Severity.CRITICAL,
                        summary="Alertmanager runs on an old configuration",
                        description="The last reload of {{ $labels.instance }} failed: new routes and receivers are not in effect (successful is {{ $value }}).",
                        action="Read Alertmanager's log for the line it refuses, mend the stack file, deploy again.",
                    ),
                    Alert(
                        name="AlertmanagerNotificationsFailing",
                        # A group that fails counts once an interval, 5 minutes: the window holds several. It waits as long as
                        # it looks back, so that a failure that is followed by none is not told.
                        expr="""
sum by (app, environment, instance, integration, service) (rate(alertmanager_notifications_failed_total[20m]))
/
sum by (app, environment, instance, integration, service) (rate(alertmanager_notifications_total[20m]) > 0)
> $threshold""",
                        threshold=0.01,
                        for_="20m",
                        severity=Severity.CRITICAL,
                        summary="Notifications by {{ $labels.integration }} do not arrive",
                        description="{{ $value | humanizePercentage }} of the notifications by {{ $labels.integration }} failed in 20 minutes (limit $threshold).",
                        action="Read Alertmanager's log: it names the receiver and the answer it got. Check the secret and the address.",
                    ),
                ),
            ),
            *((_CLUSTER,) if context.scale.alertmanager > 1 else ()),
        ),
    )
