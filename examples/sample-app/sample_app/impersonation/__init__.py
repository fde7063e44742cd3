"""The sample app in the place of a monitored system: its metrics, pages, log lines and traces, well or in trouble."""

from sample_app.impersonation.simulation import Impersonation

__all__ = ["Impersonation"]
