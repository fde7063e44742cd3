module local/otelcol-builder-build

go 1.25.0

require go.opentelemetry.io/collector/cmd/builder v0.155.0
