"""Alerts of two revisions, evaluated over the history of a live Prometheus and Loki (docs/backtest.md)."""
