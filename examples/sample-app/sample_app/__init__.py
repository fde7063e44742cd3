"""A small, fully instrumented web shop that gives the observability stack something real to watch."""
