"""Tests here take a machine on which a node can run, so only `make test-kubernetes` collects them."""

import os

collect_ignore_glob = [] if os.environ.get("OBSERVABILITY_CLUSTER") == "1" else ["test_*.py"]
