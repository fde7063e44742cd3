"""Pictures of the dashboards of a live Grafana, with the data that they show: `make pictures` (docs/pictures.md)."""
