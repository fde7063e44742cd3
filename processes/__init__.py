"""Long-running processes of this machine: kept by supervisor, configured in transactions. Knows no Pulumi."""
