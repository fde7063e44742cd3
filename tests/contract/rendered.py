"""What `make render` writes for the stack files of the project, read back."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, cast

import yaml

from specs.routing import Inhibition, Matcher, Route, told
from specs.stack import Stack
from tests.specs.support import committed
from tools.render import files


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Something that is scraped."""

    job: str
    path: str
    interval: str
    timeout: str
    through: str
    """Address of the exporter that is asked instead; empty: the target itself."""
    address: str
    labels: Mapping[str, str]

    @property
    def app(self) -> str:
        """The system that it is of."""
        return self.labels.get("app", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """A panel of a dashboard."""

    title: str
    kind: str
    description: str
    promql: tuple[str, ...]
    logql: tuple[str, ...]
    json: Mapping[str, Any]

    @property
    def queries(self) -> str:
        """Everything that it asks for."""
        return "\n".join((*self.promql, *self.logql))


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """A dashboard."""

    folder: str
    uid: str
    title: str
    panels: tuple[Panel, ...]
    json: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """The files of one stack, read."""

    stack: Stack
    files: Mapping[str, str]

    def yaml(self, path: str) -> Any:
        """The value of a YAML file."""
        return _loaded(self.files[path])

    @property
    def prometheus(self) -> Mapping[str, Any]:
        """Prometheus' configuration."""
        return cast("Mapping[str, Any]", self.yaml("prometheus/prometheus.yml"))

    @property
    def alertmanager(self) -> Mapping[str, Any]:
        """Alertmanager's configuration."""
        return cast("Mapping[str, Any]", self.yaml("alertmanager/alertmanager.yml"))

    @property
    def collector(self) -> Mapping[str, Any]:
        """The collector's configuration."""
        return cast("Mapping[str, Any]", self.yaml("collector/collector.yml"))

    @property
    def inventory(self) -> Mapping[str, Any]:
        """What the stack consists of."""
        return cast("Mapping[str, Any]", json.loads(self.files["inventory.json"]))

    def announced(self, label: str) -> Any:
        """What an alert says of where it is from, unless its series say something else."""
        external = self.prometheus["global"]["external_labels"]
        steps = self.prometheus["alerting"].get("alert_relabel_configs", [])
        filled = {step["target_label"]: step["replacement"] for step in steps if step.get("regex") == ""}
        return {**filled, **external}[label]

    def targets(self) -> Iterator[Target]:
        """Everything that Prometheus scrapes by name."""
        usual = self.prometheus["global"]["scrape_interval"]
        for job in self.prometheus["scrape_configs"]:
            relabelled = {rule.get("target_label"): rule for rule in job.get("relabel_configs", [])}
            through = relabelled.get("__address__", {}).get("replacement", "")
            for group in job.get("static_configs", []):
                labels = group.get("labels", {})
                for address in group["targets"]:
                    yield Target(
                        job=job["job_name"],
                        path=job["metrics_path"],
                        interval=labels.get("__scrape_interval__") or job.get("scrape_interval") or usual,
                        timeout=labels.get("__scrape_timeout__") or job.get("scrape_timeout") or "",
                        through=through,
                        address=address,
                        labels=labels,
                    )

    def rules(self, place: str = "prometheus") -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Groups of rules by the name of their file."""
        return {
            path.rpartition("/")[2].removesuffix(".yml"): self.yaml(path)["groups"]
            for path in self.files
            if path.startswith(f"{place}/rules/")
        }

    @cached_property
    def boards(self) -> tuple[Board, ...]:
        """Every dashboard."""
        return boards({path: json.loads(text) for path, text in self.files.items() if path.startswith("dashboards/")})

    def told(self, **labels: str) -> set[str]:
        """Receivers of an alert with these labels."""
        return set(told(_route(self.alertmanager["route"]), labels))

    def route(self, app: str) -> Mapping[str, Any]:
        """The route of a system, with what it has of the stack's."""
        root = self.alertmanager["route"]
        own = [route for route in root["routes"] if f'app = "{app}"' in route.get("matchers", [])]
        return {**root, **(own[0] if own else {})}

    def inhibitions(self) -> tuple[Inhibition, ...]:
        """Who silences whom."""
        return tuple(
            Inhibition(
                name=rule["name"],
                source=tuple(map(_matcher, rule["source_matchers"])),
                target=tuple(map(_matcher, rule["target_matchers"])),
                equal=tuple(rule["equal"]),
            )
            for rule in self.alertmanager["inhibit_rules"]
        )


def boards(found: Mapping[str, Mapping[str, Any]]) -> tuple[Board, ...]:
    """Dashboards by their paths, read."""
    return tuple(
        Board(
            folder=path.split("/")[-2],
            uid=board["uid"],
            title=board["title"],
            panels=tuple(map(_panel, _flat(board["panels"]))),
            json=board,
        )
        for path, board in found.items()
    )


@cache
def _loaded(text: str) -> Any:
    return yaml.load(text, Loader=yaml.CSafeLoader)


def _flat(panels: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for panel in panels:
        if panel["type"] != "row":
            yield panel
        yield from _flat(panel.get("panels", []))


def _panel(panel: Mapping[str, Any]) -> Panel:
    asked: dict[str, list[str]] = {"prometheus": [], "loki": []}
    for target in panel.get("targets", []):
        kind = (target.get("datasource") or panel["datasource"])["type"]
        if kind in asked:
            asked[kind].append(target["expr"])
    return Panel(
        title=panel["title"],
        kind=panel["type"],
        description=panel.get("description", ""),
        promql=tuple(asked["prometheus"]),
        logql=tuple(asked["loki"]),
        json=panel,
    )


def _matcher(text: str) -> Matcher:
    label, operator, value = text.split(" ", 2)
    return Matcher(label=label, operator=cast("Any", operator), value=value.strip('"'))


def _route(route: Mapping[str, Any]) -> Route:
    return Route(
        receiver=route.get("receiver", ""),
        matchers=tuple(map(_matcher, route.get("matchers", []))),
        continues=route.get("continue", False),
        routes=tuple(map(_route, route.get("routes", []))),
    )


@cache
def rendered(name: str, **changes: object) -> Rendered:
    """The committed stack file `name`, with `changes`, as `make render` writes it."""
    stack = committed(name, **changes)
    return Rendered(stack=stack, files=files(stack))
