"""The pure core: settings in; workloads, jobs, rules, routes, dashboards and files out. Never imports Pulumi."""
