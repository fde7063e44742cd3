"""The native programs of the local stack: the only place that names their versions and how to get them."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tools.native.errors import NativeError
from tools.native.recipes import (
    NUMBER,
    DebianTree,
    Features,
    GoBuilderCollector,
    GoModule,
    Group,
    PathOnly,
    Program,
    debian_exporter,
    npm_program,
)

MODULES = Path(__file__).parent / "modules"
"""The committed go.mod and go.sum files, a directory for each module."""

PROMETHEUS_VERSION = "github.com/prometheus/common/version.Version"
PULUMI_VERSION = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
LOKI_VERSION = "github.com/grafana/loki/v3/pkg/util/build.Version"

PROGRAMS = (
    Program(
        name="pulumi",
        executables=("pulumi",),
        version="3.255.0",
        accepts=">=3.200,<4",
        version_arguments=("version",),
        version_pattern=NUMBER,
        group=Group.PULUMI,
        seconds=210,
        source=GoModule(
            directory=MODULES / "pulumi",
            module="github.com/pulumi/pulumi/pkg/v3",
            module_version="v3.255.0",
            packages=("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",),
            version_variable=PULUMI_VERSION,
        ),
    ),
    Program(
        # The last version of the host that is part of the SDK's module; it works with the pinned CLI.
        name="pulumi-language-python",
        executables=("pulumi-language-python",),
        version="3.60.0",
        accepts=">=3.60,<4",
        comes_with="pulumi",
        group=Group.PULUMI,
        seconds=35,
        source=GoModule(
            directory=MODULES / "pulumi-language-python",
            module="github.com/pulumi/pulumi/sdk/v3",
            module_version="v3.60.0",
            packages=("github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",),
            version_variable=PULUMI_VERSION,
            module_files=("python/cmd/pulumi-language-python-exec",),
        ),
    ),
    Program(
        name="prometheus",
        executables=("prometheus", "promtool"),
        version="3.13.5",
        # The form of `storage.tsdb.retention` in the configuration file is this new.
        accepts=">=3.13,<4",
        group=Group.STACK,
        seconds=135,
        source=GoModule(
            directory=MODULES / "prometheus",
            module="github.com/prometheus/prometheus",
            module_version="v0.313.5",
            packages=(
                "github.com/prometheus/prometheus/cmd/prometheus",
                "github.com/prometheus/prometheus/cmd/promtool",
            ),
            version_variable=PROMETHEUS_VERSION,
            # Only the service discoveries the stack uses: the clouds' libraries would double the build.
            tags=("remove_all_sd", "enable_dns_sd", "enable_kubernetes_sd"),
        ),
    ),
    Program(
        name="alertmanager",
        executables=("alertmanager", "amtool"),
        version="0.34.2",
        # Its event recorder writes to its output since then.
        accepts=">=0.34,<1",
        group=Group.STACK,
        seconds=50,
        source=GoModule(
            directory=MODULES / "alertmanager",
            module="github.com/prometheus/alertmanager",
            module_version="v0.34.2",
            packages=(
                "github.com/prometheus/alertmanager/cmd/alertmanager",
                "github.com/prometheus/alertmanager/cmd/amtool",
            ),
            version_variable=PROMETHEUS_VERSION,
            # The web application is built by npm at release time and is not part of the Go module that embeds it.
            placeholders=("ui/app/dist/index.html",),
        ),
    ),
    Program(
        name="loki",
        executables=("loki",),
        version="3.7.8",
        accepts=">=3,<4",
        version_arguments=("-version",),
        group=Group.STACK,
        seconds=360,
        source=GoModule(
            directory=MODULES / "loki",
            module="github.com/grafana/loki/v3",
            module_version="v3.7.8",
            packages=("github.com/grafana/loki/v3/cmd/loki",),
            version_variable=LOKI_VERSION,
        ),
    ),
    Program(
        name="logcli",
        executables=("logcli",),
        version="3.7.8",
        accepts=">=3,<4",
        group=Group.TESTS,
        seconds=30,
        source=GoModule(
            directory=MODULES / "loki",
            module="github.com/grafana/loki/v3",
            module_version="v3.7.8",
            packages=("github.com/grafana/loki/v3/cmd/logcli",),
            version_variable=LOKI_VERSION,
        ),
    ),
    Program(
        name="otelcol",
        executables=("otelcol",),
        version="0.155.0",
        accepts=">=0.155,<1",
        also_called=("otelcol-contrib",),
        features=Features(
            arguments=("components",),
            words=(
                *("otlp", "file_log", "jaeger", "zipkin"),
                *("batch", "memory_limiter", "resource", "transform", "filter", "tail_sampling", "k8s_attributes"),
                *("otlp_http", "prometheus", "debug", "span_metrics", "health_check", "file_storage"),
            ),
        ),
        group=Group.STACK,
        seconds=360,
        source=GoBuilderCollector(
            directory=MODULES / "otelcol",
            builder=GoModule(
                directory=MODULES / "otelcol-builder",
                module="go.opentelemetry.io/collector/cmd/builder",
                module_version="v0.155.0",
                packages=("go.opentelemetry.io/collector/cmd/builder",),
            ),
        ),
    ),
    Program(
        # Module version 1.62.0 holds Jaeger 2.0.0-rc2 as cmd/jaeger; its configuration has the form of today's 2.x.
        name="jaeger",
        executables=("jaeger",),
        version="2.0.0-rc2",
        accepts=">=2.0.0rc2,<3",
        version_arguments=("version",),
        version_pattern=rf'gitVersion":"{NUMBER}"',
        group=Group.STACK,
        seconds=140,
        source=GoModule(
            directory=MODULES / "jaeger",
            module="github.com/jaegertracing/jaeger",
            module_version="v1.62.0",
            packages=("github.com/jaegertracing/jaeger/cmd/jaeger",),
            version_variable="github.com/jaegertracing/jaeger/pkg/version.latestVersion",
        ),
    ),
    Program(
        name="grafana",
        executables=("grafana",),
        version="12.0.0",
        accepts=">=11,<14",
        group=Group.STACK,
        source=PathOnly(install="https://grafana.com/grafana/download (the stack runs without it)"),
    ),
    Program(
        name="node_exporter",
        executables=("node_exporter",),
        version="1.12.1",
        accepts=">=1.6,<2",
        also_called=("prometheus-node-exporter",),
        group=Group.EXPORTERS,
        seconds=15,
        source=GoModule(
            directory=MODULES / "node_exporter",
            module="github.com/prometheus/node_exporter",
            module_version="v1.12.1",
            packages=("github.com/prometheus/node_exporter",),
            version_variable=PROMETHEUS_VERSION,
        ),
    ),
    debian_exporter("blackbox_exporter", version="0.23.0", accepts=">=0.23,<1"),
    debian_exporter("postgres_exporter", version="0.11.1", accepts=">=0.11,<1"),
    debian_exporter(
        "redis_exporter", version="1.45.0", accepts=">=1.45,<2", version_pattern=rf"Redis Metrics Exporter {NUMBER}"
    ),
    debian_exporter(
        "nginx_exporter", version="0.11.0", accepts=">=0.11,<2", also_called=("nginx-prometheus-exporter",)
    ),
    Program(
        name="json_exporter",
        executables=("json_exporter",),
        version="0.7.0",
        accepts=">=0.6,<1",
        group=Group.EXPORTERS,
        source=PathOnly(install="https://github.com/prometheus-community/json_exporter/releases"),
    ),
    Program(
        name="chromium",
        executables=("chromium",),
        version="150.0.7871",
        accepts=">=120",
        version_pattern=rf"Chrom\w+ (?:for Testing )?{NUMBER}",
        also_called=("chromium-browser", "chromium-headless-shell", "google-chrome", "google-chrome-stable"),
        group=Group.TESTS,
        seconds=25,
        source=DebianTree(
            # The second belongs to the first, also where a whole chromium has it installed already.
            packages=("chromium-headless-shell", "chromium-common"),
            binary="usr/lib/chromium/chromium-headless-shell",
        ),
    ),
    Program(
        name="thanos",
        executables=("thanos",),
        version="0.42.5",
        accepts=">=0.41,<1",
        group=Group.TESTS,
        seconds=300,
        source=GoModule(
            directory=MODULES / "thanos",
            module="github.com/thanos-io/thanos",
            module_version="v0.42.5",
            packages=("github.com/thanos-io/thanos/cmd/thanos",),
            # It takes labels for slices of bytes: without its own build's tag it ends at the first answer.
            tags=("netgo", "slicelabels"),
            version_variable=PROMETHEUS_VERSION,
        ),
    ),
    Program(
        name="etcd",
        executables=("etcd",),
        version="3.6.16",
        accepts=">=3.5,<4",
        version_pattern=rf"etcd Version: {NUMBER}",
        group=Group.TESTS,
        seconds=30,
        source=GoModule(
            directory=MODULES / "etcd",
            module="go.etcd.io/etcd/server/v3",
            module_version="v3.6.16",
            packages=("go.etcd.io/etcd/server/v3",),
            # Its main package is called server.
            renamed="etcd",
        ),
    ),
    Program(
        name="kubernetes",
        executables=("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"),
        version="1.36.3",
        accepts=">=1.34,<2",
        version_pattern=rf"Kubernetes {NUMBER}",
        group=Group.TESTS,
        seconds=390,
        source=GoModule(
            directory=MODULES / "kubernetes",
            module="k8s.io/kubernetes",
            module_version="v1.36.3",
            packages=(
                "k8s.io/kubernetes/cmd/kube-apiserver",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-scheduler",
                "k8s.io/kubernetes/cmd/kube-proxy",
                "k8s.io/kubernetes/cmd/kubelet",
            ),
            # Clients refuse a server that does not know its version.
            stamps=(
                ("k8s.io/component-base/version.gitVersion", "v1.36.3"),
                ("k8s.io/component-base/version.gitMajor", "1"),
                ("k8s.io/component-base/version.gitMinor", "36"),
                ("k8s.io/component-base/version.gitTreeState", "clean"),
                ("k8s.io/component-base/version.buildDate", "2026-01-01T00:00:00Z"),
            ),
        ),
    ),
    Program(
        name="containerd",
        executables=("containerd", "containerd-shim-runc-v2", "ctr"),
        version="2.2.9",
        accepts=">=2,<3",
        version_pattern=rf"(?:containerd/v2 |Version: +|ctr .*|){NUMBER}",
        group=Group.CLUSTER,
        seconds=60,
        source=GoModule(
            directory=MODULES / "containerd",
            module="github.com/containerd/containerd/v2",
            module_version="v2.2.9",
            packages=(
                "github.com/containerd/containerd/v2/cmd/containerd",
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
                "github.com/containerd/containerd/v2/cmd/ctr",
            ),
            version_variable="github.com/containerd/containerd/v2/version.Version",
            tags=("no_btrfs", "no_devmapper", "no_zfs"),
        ),
    ),
    Program(
        # With the program that the other pods of the test cluster run: both are main packages of ours.
        name="coredns",
        executables=("coredns", "observability-pod"),
        version="1.14.7",
        accepts=">=1.11,<2",
        version_arguments=("-version",),
        version_pattern=rf"(?:CoreDNS-|version ){NUMBER}",
        group=Group.CLUSTER,
        seconds=160,
        source=GoModule(
            directory=MODULES / "coredns",
            module="github.com/coredns/coredns",
            module_version="v1.14.7",
            packages=("./coredns", "./observability-pod"),
            sources=("coredns/main.go", "observability-pod/main.go"),
        ),
    ),
    Program(
        name="kube-state-metrics",
        executables=("kube-state-metrics",),
        version="2.20.0",
        accepts=">=2.15,<3",
        version_arguments=("version",),
        version_pattern=rf"kube-state-metrics, version v?{NUMBER}",
        group=Group.TESTS,
        seconds=120,
        source=GoModule(
            directory=MODULES / "kube-state-metrics",
            module="k8s.io/kube-state-metrics/v2",
            module_version="v2.20.0",
            packages=("k8s.io/kube-state-metrics/v2",),
            version_variable="github.com/prometheus/common/version.Version",
            # Its main package is called v2.
            renamed="kube-state-metrics",
        ),
    ),
    Program(
        name="runc",
        executables=("runc",),
        version="1.1.5",
        accepts=">=1.1.5,<2",
        group=Group.CLUSTER,
        seconds=3,
        source=DebianTree(packages=("runc",), binary="usr/sbin/runc"),
    ),
    Program(
        # A directory of them: the others are beside the one that is named here.
        name="cni-plugins",
        executables=("cni-ptp",),
        version="1.1.1",
        accepts=">=1.1,<2",
        group=Group.CLUSTER,
        seconds=5,
        source=DebianTree(packages=("containernetworking-plugins",), binary="usr/lib/cni/ptp"),
    ),
    Program(
        name="nft",
        executables=("nft",),
        version="1.0.6",
        accepts=">=1.0.1,<2",
        version_pattern=rf"nftables {NUMBER}",
        group=Group.CLUSTER,
        seconds=3,
        source=DebianTree(packages=("nftables",), binary="usr/sbin/nft"),
    ),
    Program(
        name="actionlint",
        executables=("actionlint",),
        version="1.7.12",
        accepts=">=1.7,<2",
        version_arguments=("-version",),
        group=Group.TESTS,
        seconds=15,
        source=GoModule(
            directory=MODULES / "actionlint",
            module="github.com/rhysd/actionlint",
            module_version="v1.7.12",
            packages=("github.com/rhysd/actionlint/cmd/actionlint",),
            version_variable="github.com/rhysd/actionlint.version",
        ),
    ),
    npm_program("playwright-core", directory=MODULES / "playwright", script="playwright-core/cli.js"),
    # With Grafana's types beside it, which is all that it is needed for.
    npm_program("typescript", directory=MODULES / "typescript", script="typescript/bin/tsc"),
)
"""Every program, in the order they are built: what a first preview needs comes first."""

_BY_NAME: Mapping[str, Program] = MappingProxyType(
    {name: program for program in PROGRAMS for name in (program.name, *program.executables, *program.helpers)},
)


def program_of(name: str) -> Program:
    """Return the program that has this name, or provides an executable of this name."""
    try:
        return _BY_NAME[name]
    except KeyError:
        known = ", ".join(sorted(_BY_NAME))
        raise NativeError(name, "there is no native program of this name", remedy=f"ask for one of {known}") from None


def version_pin(name: str) -> str:
    """Return the pinned version of the program that provides an executable."""
    return program_of(name).version
