"""Pulumi at the edge: each component places a spec on a runtime."""
