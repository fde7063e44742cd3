"""Checks with programs that answer what a test says: troubles that no test can make on a machine of its own."""

import asyncio
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from rich.console import Console

from specs.model import parse
from specs.settings import KEY, Settings
from specs.stack import Stack, build
from tests.deployment import stack_of
from tests.tools.doctor.answering import Kept, found, live, series
from tools.doctor import running, samples
from tools.doctor.checks import alerting, certificates, clock, disk, firing, grafana, orphans, retention, telemetry
from tools.doctor.findings import Finding, Level, Result, fail, listed, ok, warn
from tools.doctor.live import Instance, Live, SilentError
from tools.doctor.report import line, table, value

GIB = 2**30
LOGIN = {"Authorization": "Bearer a-token"}


@pytest.fixture(scope="module")
def stack() -> Stack:
    """The shipped Docker stack, with Grafana."""
    return stack_of("dev")


def said(findings: list[Finding], level: Level = Level.FAIL) -> str:
    """Every finding of that level, a line each."""
    return "\n".join(finding.words for finding in findings if finding.level is level)


# The disk.


def disks(free: float, size: float, slope: float, age: float = 86400) -> Any:
    """A Prometheus that knows one file system, and since when."""

    def answer(request: httpx.Request) -> httpx.Response:
        query = request.url.params["query"]
        if "lowest_timestamp" in query:
            return series(({}, age))
        values = {"deriv(": slope, "size_bytes": size, "avail_bytes": free}
        return series(({"mountpoint": "/data"}, next(found for word, found in values.items() if word in query)))

    return answer


@pytest.mark.parametrize(
    ("free", "slope", "age", "level", "words"),
    [
        (50, -GIB / 3600, 86400, Level.WARN, "/data: 50.0 of 100.0 GiB free, full in 2.1 days"),
        (20, -GIB / 3600, 86400, Level.FAIL, "/data: 20.0 of 100.0 GiB free, full in 0.8 days"),
        (50, -GIB / 864000, 86400, Level.OK, "/data: 50.0 of 100.0 GiB free, for more than a year"),
        (50, GIB, 86400, Level.OK, "/data: 50.0 of 100.0 GiB free, for more than a year"),
        (4, 0, 86400, Level.WARN, "/data: 4.0 of 100.0 GiB free"),
        (2, 0, 86400, Level.FAIL, "/data: 2.0 of 100.0 GiB free"),
        (50, -GIB, 600, Level.OK, "how fast it goes is known after an hour of metrics"),
    ],
)
def test_a_disk_is_judged_by_what_is_free_and_how_long_that_lasts(  # noqa: PLR0913, PLR0917 - a row of the table
    stack: Stack, free: float, slope: float, age: float, level: Level, words: str
) -> None:
    """Proves the limits: a day and a week, 3 and 5 per cent, and that minutes of history say nothing of days."""
    findings = found(disk.check, stack, disks(free * GIB, 100 * GIB, slope, age))

    assert [finding.level for finding in findings] == [level]
    assert words in findings[0].words


def test_a_stack_without_a_measure_of_its_disks_is_told_how_to_get_one(stack: Stack) -> None:
    """Proves that no metric is no proof of room."""
    (finding,) = found(disk.check, stack, lambda _: series())

    assert (finding.level, finding.todo) == (Level.WARN, "add exporters.node, or watch the cluster")


# Clocks.


@pytest.mark.parametrize(("ahead", "level"), [(0, Level.OK), (-10, Level.WARN), (10, Level.WARN), (120, Level.FAIL)])
def test_a_clock_that_is_wrong_is_told(stack: Stack, ahead: float, level: Level) -> None:
    """Proves that a `Date` and Prometheus' own time are compared with this machine's, in both directions."""

    def answer(request: httpx.Request) -> httpx.Response:
        moment = datetime.now(UTC) + timedelta(seconds=ahead)
        date = {"Date": moment.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        data = {"result": [0, str(moment.timestamp())]}
        return httpx.Response(404 if request.url.host == "collector" else 200, headers=date, json={"data": data})

    findings = found(clock.check, stack, answer)

    assert {finding.level for finding in findings} == {level}
    if ahead:
        way = "ahead of" if ahead > 0 else "behind"
        assert f"prometheus: its clock is {abs(ahead):.1f} s {way} this machine's" in [each.words for each in findings]
        # Also of what refuses: the collector's port answers nothing but telemetry.
        assert any(each.words.startswith("collector: ") for each in findings)


@pytest.fixture
def summer_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone with daylight saving all the year."""
    monkeypatch.setenv("TZ", "XXX-1YYY-2,0/0,J365/25")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("summer_time")
def test_a_clock_is_right_in_summer_too(stack: Stack) -> None:
    """Proves that a `Date`, which is of no zone, is not read as this machine's time."""
    assert time.localtime().tm_isdst == 1
    test_a_clock_that_is_wrong_is_told(stack, 0, Level.OK)


# Retention.


def test_data_that_should_be_gone_is_a_failure(stack: Stack) -> None:
    """Proves that a retention in effect is not believed while much older samples are there, and that a size that is not
    the declared one, and a Loki that has deleted nothing for days, are named."""
    now = time.time()
    assert stack.context.settings.retention.metrics == "30d"

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "prometheus":
            return httpx.Response(
                200,
                text="prometheus_tsdb_retention_limit_seconds 2592000\nprometheus_tsdb_retention_limit_bytes 1048576\n"
                f"prometheus_tsdb_lowest_timestamp_seconds {now - 60 * 86400}\n",
            )
        if request.url.path == "/config":
            limits = f"limits_config: {{retention_period: {stack.context.settings.retention.log_archive}}}\n"
            return httpx.Response(200, text=f"{limits}compactor: {{retention_enabled: false}}\n")
        last = "loki_compactor_apply_retention_last_successful_run_timestamp_seconds"
        return httpx.Response(200, text=f"{last} {now - 4 * 86400}\nloki_boltdb_shipper_compactor_running 1\n")

    words = said(found(retention.check, stack, answer))

    assert "prometheus: has samples of 60 d ago, which should be gone after 30 d" in words
    assert "prometheus: keeps at most 1 MB, not 8192 MB" in words
    assert "loki: deletes nothing: compactor.retention_enabled is false" in words
    assert "loki: has deleted nothing for 4 d" in words
    assert "keeps log lines" not in words


@pytest.mark.parametrize(("running", "words"), [(1, "loki: has deleted nothing for 3 d"), (0, "")])
def test_a_loki_that_never_deleted_is_a_failure(stack: Stack, running: int, words: str) -> None:
    """Proves that a compactor that has failed since its start is named, and one that is not its own is none."""
    loki = stack.workload("loki").files["loki.yml"]

    def answer(request: httpx.Request) -> httpx.Response:
        last = "loki_compactor_apply_retention_last_successful_run_timestamp_seconds 0\n"
        began = f"process_start_time_seconds {time.time() - 3 * 86400}\n"
        text = f"{last}{began}loki_boltdb_shipper_compactor_running {running}\n"
        return httpx.Response(200, text=loki if request.url.path == "/config" else text)

    told = [each.words for each in found(retention.check, stack, answer) if each.words.startswith("loki")]

    assert told == ([words] if words else [])


# Grafana.


def a_grafana(request: httpx.Request) -> httpx.Response:
    """Of four datasources one that Grafana cannot reach; of its dashboards one is gone, one moved, one somebody's."""
    if request.headers.get("Authorization") != LOGIN["Authorization"]:
        return httpx.Response(401, json={"message": "Unauthorized"})
    if request.url.path == "/api/search":
        boards = sorted(path.removesuffix(".json").split("/") for path in stack_of("dev").dashboards)
        told = [{"uid": uid, "folderUid": folder} for folder, uid in boards[1:-1]]
        return httpx.Response(200, json=[*told, {"uid": boards[-1][1], "folderUid": ""}, {"uid": "somebodys"}])
    if request.url.path == "/api/datasources/proxy/uid/alertmanager/api/v2/status":
        return httpx.Response(200, json={"cluster": {}})
    if request.url.path == "/api/datasources/uid/loki/health":
        return httpx.Response(400, json={"status": "ERROR", "message": "Unable to connect with Loki"})
    return httpx.Response(200, json={"status": "OK", "message": "Successfully queried"})


def test_a_datasource_that_grafana_cannot_reach_is_named(stack: Stack) -> None:
    """Proves that Grafana's own health check decides, with its words, and that of others nothing is said."""
    findings = found(grafana.datasources_answer, stack, a_grafana, grafana_login=LOGIN)

    assert said(findings) == "grafana: the datasource loki: Unable to connect with Loki"
    assert len(findings) == 1


def test_dashboards_that_are_gone_moved_or_somebodys_are_named(stack: Stack) -> None:
    """Proves that a missing dashboard fails, and that one in another folder or of nobody is a warning."""
    uids = sorted(path.removesuffix(".json").split("/") for path in stack.dashboards)

    findings = found(grafana.dashboards_are_there, stack, a_grafana, grafana_login=LOGIN)
    extra = found(grafana.undeclared_dashboards, stack, a_grafana, grafana_login=LOGIN)

    assert said(findings) == f"grafana: dashboards are missing: {uids[0][1]}"
    assert said(findings, Level.WARN) == f"grafana: dashboards are in another folder: {uids[-1][1]}"
    assert said(extra, Level.WARN) == "grafana: dashboards that nobody declared: somebodys"


def test_a_grafana_that_nobody_may_ask_is_a_warning_and_no_login_is_ever_shown(stack: Stack) -> None:
    """Proves that without a login it is said how to have one, that a refused one fails, and that neither a finding nor
    the value of a stack shows it."""
    wrong = {"Authorization": "Bearer wrong-token"}

    (none,) = found(grafana.datasources_answer, stack, a_grafana)
    assert (none.level, none.todo) == (Level.WARN, "set GRAFANA_TOKEN to a service account's token")

    async def look() -> Result:
        async with httpx.AsyncClient(transport=httpx.MockTransport(a_grafana)) as client:
            asked = live(stack, client, grafana_login=wrong)
            assert "wrong-token" not in repr(asked)
            return await running._one(asked, "dashboards")  # pyright: ignore[reportPrivateUsage]

    refused = asyncio.run(look())
    assert "the login is not allowed to see that" in said(list(refused.findings))
    assert "wrong-token" not in repr(refused)


# Alerting.


def test_each_receiver_has_a_test_alert_that_its_routes_lead_to() -> None:
    """Proves that of the shipped production stack every receiver that some alert reaches has a sample with a name that
    says that it is a test, and that the dead man's switch has none."""
    prod = stack_of("prod")

    each = {sample.receiver: sample for sample in samples.samples(prod)}

    assert {"pagerduty", "slack", "email", "security-team"} <= each.keys()
    assert "dead-mans-switch" not in each
    assert all("DoctorTest" in sample.labels["alertname"] for sample in each.values())
    assert all(sample.receiver in sample.told for sample in each.values())
    chosen = samples.few(list(each.values()))
    assert {name for sample in chosen for name in sample.told} >= each.keys()
    assert len(chosen) < len(each)


@pytest.mark.parametrize(("minutes", "level"), [(10, Level.FAIL), (1, Level.WARN)])
def test_a_watchdog_that_does_not_arrive_is_a_failure(stack: Stack, minutes: int, level: Level) -> None:
    """Proves that an Alertmanager without it is told, also when it holds another stack's, and only a warning where it
    has just started; and that notifications that failed lately are a warning. Routes are as declared: amtool reads
    what Alertmanager shows of a configuration whose addresses it hides."""
    declared = yaml.safe_load(stack.workload("alertmanager").files["alertmanager.yml"])
    assert declared["event_recorder"]["webhook_outputs"][0]["url"]
    declared["event_recorder"]["webhook_outputs"][0]["url"] = "<secret>"
    began = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat().replace("+00:00", "123Z")

    def answer(request: httpx.Request) -> httpx.Response:
        match request.url.path:
            case "/api/v2/alerts":
                return httpx.Response(200, json=[{"labels": {"alertname": "Watchdog", "environment": "another"}}])
            case "/api/v2/status":
                shown = {"original": yaml.safe_dump(declared)}
                return httpx.Response(200, json={"uptime": "2026-01-02T03:04:05.678Z", "config": shown})
            case "/api/v1/status/runtimeinfo":
                return httpx.Response(200, json={"data": {"startTime": began}})
            case _:
                return series(({"integration": "slack"}, 3))

    findings = found(alerting.check, stack, answer)

    assert "alertmanager: the Watchdog " in said(findings, level)
    assert "notifications failed in the last hour: 3 by slack" in said(findings, Level.WARN)
    assert [each.words for each in findings if "alert of" in each.words] == []


def test_what_fires_is_a_warning_and_what_tells_nobody_is_not(stack: Stack) -> None:
    """Proves that alerts are named once with whose they are, the worst severity apart, and that the Watchdog and `info`
    are left out; what is silenced or inhibited is not even asked for."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked = {name: request.url.params[name] for name in ("active", "silenced", "inhibited", "muted")}
        assert asked == {"active": "true", "silenced": "false", "inhibited": "false", "muted": "false"}
        told = [("Watchdog", "critical"), ("Slow", "warning"), ("Slow", "warning"), ("Down", "critical"), ("I", "info")]
        labels = [{"alertname": name, "severity": severity, "app": "shop"} for name, severity in told]
        return httpx.Response(200, json=[{"labels": each} for each in labels])

    assert said(found(firing.check, stack, answer), Level.WARN) == "critical: Down of shop\nwarning: Slow of shop"
    assert [each.level for each in found(firing.check, stack, lambda _: httpx.Response(200, json=[]))] == [Level.OK]


# What is written and read back.


def test_a_collector_that_takes_nothing_is_named(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that a refusal of the collector ends both checks with its status, before anything is waited for."""
    monkeypatch.setattr(telemetry, "SECONDS", 0.1)

    for check in (telemetry.logs, telemetry.traces):
        with pytest.raises(SilentError, match=r"collector: /v1/(logs|traces) answers 503: full"):
            found(check, stack, lambda _: httpx.Response(503, text="full\nof lines"))


# Certificates.


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority of its own, `ca.pem`, and its certificates of `localhost`: `<days>.pem`."""
    directory = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    (directory / "names").write_text("subjectAltName=DNS:localhost\nkeyUsage=digitalSignature\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=an authority", "-days", "90")
    for days in (3, 14, 60):
        openssl("req", *key, "-keyout", f"{days}.key", "-out", f"{days}.csr", "-subj", "/CN=localhost")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{days}.csr", *signing, "-days", str(days), "-out", f"{days}.pem")
    return directory


@pytest.mark.parametrize(
    ("days", "trusted", "level", "words"),
    [
        (60, True, Level.OK, "1 certificates are good for 21 days"),
        (14, True, Level.WARN, "its certificate ends in 14.0 days"),
        (3, True, Level.FAIL, "its certificate ends in 3.0 days"),
        (60, False, Level.FAIL, "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_is_judged_by_its_end_and_its_authority(  # noqa: PLR0913, PLR0917 - a row of the table
    authority: Path, monkeypatch: pytest.MonkeyPatch, days: int, trusted: bool, level: Level, words: str
) -> None:
    """Proves the limits with a real server that speaks TLS."""
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority / f"{days}.pem", authority / f"{days}.key")

    async def look() -> list[Finding]:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/hook"
        async with server, httpx.AsyncClient(transport=httpx.MockTransport(lambda _: series())) as client:
            return await certificates.check(live(told_at(url), client))

    findings = asyncio.run(look())
    assert [finding.level for finding in findings] == [level]
    assert words in findings[0].words


def told_at(url: str) -> Stack:
    """A stack that tells somebody by `url`."""
    settings = {
        "environment": "test",
        "cluster": "ci",
        "runtime": "docker",
        "alerting": {"default": "team", "receivers": {"team": {"webhook": {"url": url}}}},
        "links": {"runbooks": "https://runbooks.example.com"},
    }
    return build(parse(Settings, settings, file="Pulumi.test.yaml", key=KEY), file="Pulumi.test.yaml")


def test_what_is_dialled_by_https_is_looked_at_and_what_people_read_is_not() -> None:
    """Proves that addresses of settings and of ingresses are found, once each, and that pages of runbooks are none."""
    assert certificates.addresses(told_at("https://hook.example.com/alerts")) == (("hook.example.com", 443),)
    assert ("grafana.example.com", 443) in certificates.addresses(stack_of("prod"))


def test_an_address_that_cannot_be_reached_is_a_warning_and_probes_are_heard() -> None:
    """Proves that a port where nobody listens is told as such, and that what probes saw of a certificate counts."""
    probed = series(({"instance": "https://shop.example.com"}, time.time() + 2 * 86400 + 60))

    findings = found(certificates.check, told_at("https://127.0.0.1:9/hook"), lambda _: probed)

    assert said(findings, Level.WARN) == "127.0.0.1:9: cannot be reached from here (ConnectionRefusedError)"
    assert said(findings) == "https://shop.example.com: its certificate ends in 2.0 days"


# How checks are run, and told.


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that never end, that meet an answer of another form, and that are well."""

    async def never(live: Live) -> list[Finding]:
        del live
        await asyncio.sleep(60)
        return []

    async def strange(live: Live) -> list[Finding]:
        return [ok((await live.json(live.one("prometheus"), "/page"))["nothing"])]

    async def silent(live: Live) -> list[Finding]:
        await live.ask(live.one("jaeger"), "/page")
        return []

    async def well(live: Live) -> list[Finding]:
        del live
        return [ok("well")]

    async def gone(_: Live) -> list[Finding]:
        raise FileNotFoundError(2, "No such file or directory", "/somewhere/rules.yml")

    async def page(_: Live) -> list[Finding]:
        raise yaml.YAMLError("a page of HTML")

    checks = {"never": never, "strange": strange, "silent": silent, "gone": gone, "page": page, "well": well}
    monkeypatch.setattr(running, "CHECKS", checks)
    monkeypatch.setattr(running, "SECONDS", 0.3)


@pytest.mark.usefixtures("odd")
def test_a_check_that_breaks_hides_none_of_the_others(stack: Stack) -> None:
    """Proves that each check has a time limit, that an answer of another form and a part that is away are findings, and
    that results come in order, each told as it ends."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "jaeger":
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={})

    ended: list[str] = []

    async def look() -> list[Result]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            names = ["never", "strange", "silent", "gone", "page", "well"]
            return await running.run(live(stack, client), names, lambda result: ended.append(result.check))

    results = asyncio.run(look())

    assert [(result.check, said(list(result.findings))) for result in results] == [
        ("never", "not done after 0 s"),
        ("strange", "an answer has another form than expected (KeyError: 'nothing')"),
        ("silent", "jaeger: no answer (ConnectError)"),
        ("gone", "/somewhere/rules.yml: No such file or directory"),
        ("page", "an answer has another form than expected (YAMLError: a page of HTML)"),
        ("well", ""),
    ]
    assert results[2].findings[0].todo == "make logs STACK=dev PART=jaeger"
    assert ended[-1] == "never"


def test_one_of_a_pair_does_not_speak_for_the_other(stack: Stack) -> None:
    """Proves that a replica that cannot be reached is a finding, and what answers first is what can be reached."""
    workload = stack.workload("prometheus")
    away = Instance(name="prometheus-0", workload=workload, url="")
    there = Instance(name="prometheus-1", workload=workload, url="http://prometheus")

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "prometheus"
        limit = 30 * 86400
        size = 8192 * 2**20
        text = f"prometheus_tsdb_retention_limit_seconds {limit}\nprometheus_tsdb_retention_limit_bytes {size}\n"
        return httpx.Response(200, text=text)

    async def look() -> tuple[list[Finding], str]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            asked = live(stack, client, instances={"prometheus": (away, there)})
            return await retention.check(asked), asked.one("prometheus").name

    findings, first = asyncio.run(look())

    assert said(findings) == "prometheus-0: cannot be reached from here (kubectl port-forward)"
    assert first == "prometheus-1"


def test_orphans_of_a_stack_that_does_not_answer_are_failures(stack: Stack) -> None:
    """Proves that what cannot be asked is not taken for well."""
    findings = found(orphans.check, stack, lambda _: httpx.Response(500, text="broken"), placed=Kept())

    assert "prometheus: /api/v1/rules answers 500: broken" in said(findings)


def test_results_are_a_table_a_line_and_a_value() -> None:
    """Proves that words with brackets are no markup, that a long list is cut for people and whole for machines, and
    that the worst finding is the check's level and the worst check the stack's."""
    many = tuple(fail(f"{number}: [red]sum(rate(x[5m]))[/]", "mend it") for number in range(12))
    results = [
        Result(check="rules", findings=many, seconds=0.12345),
        Result(check="disk", findings=(ok("much"), warn("little", "buy one")), seconds=1),
    ]

    console = Console(width=100, record=True)
    with console.capture() as printed:
        console.print(table(results))
    text = printed.get()
    found = value("dev", results)

    assert "0: [red]sum(rate(x[5m]))[/]" in text
    assert text.count("mend it") == 1
    assert "and 2 more (JSON=1 has all)" in text
    assert line("dev", results, 2.04) == "stack dev: 0 checks are well, 1 to look at, 1 failed, in 2.0 s"
    assert (found["level"], [each["level"] for each in found["checks"]]) == ("fail", ["fail", "warn"])
    assert (len(found["checks"][0]["findings"]), found["checks"][0]["seconds"]) == (12, 0.123)
    assert listed("abcdefg", 5) == "a, b, c, d, e and 2 more"
