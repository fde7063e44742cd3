"""Log lines of all systems: how many, how bad, and the searches that people need again and again."""

from grafana_foundation_sdk.builders import dashboard as sdk
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import dashboard as models

from dashboards.boards import LOKI, board, deployments, fill, link_to
from dashboards.limits import Limits
from dashboards.panels import graph, lines
from specs.log_queries import QUERIES

FOLDER = "observability"
_SELECTED = 'app=~"$app", environment=~"$environment"'
_ALL = f"{{{_SELECTED}}}"
_ERRORS = f'{{{_SELECTED}, severity_text=~"ERROR|FATAL"}}'


def _variable(name: str, label: str, stream: str, description: str) -> sdk.QueryVariable:
    # `type` 1 asks Loki for the values of a label.
    return (
        sdk.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(LOKI)
        .query({"label": name, "stream": stream, "type": 1, "refId": name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(models.VariableOption(text=["All"], value=["$__all"]))
    )


def dashboard(_limits: Limits) -> Dashboard:
    """How many lines, of which level and from whom; a search; then the saved searches."""
    onto = (
        board(
            "Logs", description="Log lines of the systems that are chosen, and saved searches in them.", tags=["logs"]
        )
        .with_variable(_variable("environment", "Environment", "", "Whose lines are shown."))
        .with_variable(_variable("app", "System", "", "Which systems are shown."))
        .with_variable(
            sdk.TextBoxVariable("search").label("Search").description("Words that a line must have.").default_value("")
        )
        .annotation(deployments())
        .link(link_to("Home", "/d/home"))
    )
    return fill(
        onto,
        [
            graph(
                "Lines by Level",
                description="How many lines each level has.",
                unit="short",
                queries=[(f"sum by (severity_text) (count_over_time({_ALL} [$__auto]))", "{{severity_text}}")],
                datasource=LOKI,
                stacked=True,
                width=8,
            ),
            graph(
                "Lines by Service",
                description="Who writes how many lines.",
                unit="short",
                queries=[
                    (f"sum by (app, service_name) (count_over_time({_ALL} [$__auto]))", "{{app}} {{service_name}}")
                ],
                datasource=LOKI,
                stacked=True,
                width=8,
            ),
            graph(
                "Errors by Service",
                description="Lines of level ERROR or FATAL.",
                unit="short",
                queries=[
                    (f"sum by (app, service_name) (count_over_time({_ERRORS} [$__auto]))", "{{app}} {{service_name}}")
                ],
                datasource=LOKI,
                stacked=True,
                width=8,
            ),
            lines(
                "Search",
                description="Lines with the words of Search; all lines when there are none.",
                expr=f"{_ALL} |~ `(?i)$search`",
            ),
            "Saved Searches",
            *(
                lines(
                    query.title,
                    description=query.description,
                    expr=query.logql.replace('app=~"$app"', _SELECTED),
                    width=12,
                )
                for query in QUERIES
            ),
        ],
    )
