"""A page of Prometheus' own console templates: what a natively built Prometheus, which has no web pages, shows people.

Console templates are a part of Prometheus: https://prometheus.io/docs/visualization/consoles/
"""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="15">
<title>Prometheus</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; }
table { border-collapse: collapse; margin-bottom: 2em; }
td, th { border-bottom: 1px solid #ddd; padding: .3em .9em; text-align: left; }
.down, .firing { background: #fde8e8; }
</style>
</head>
<body>
<h1>Prometheus</h1>
<p>
{{ with query "sum(prometheus_tsdb_head_series)" }}{{ . | first | value | humanize }} series{{ end }},
{{ with query "sum(rate(prometheus_tsdb_head_samples_appended_total[5m]))" }}{{ . | first | value | humanize }} samples a second{{ end }}.
Query it: <code>/api/v1/query?query=up</code>
</p>
<h2>Alerts</h2>
<table>
<tr><th>Alert</th><th>State</th><th>Severity</th><th>App</th><th>Service</th><th>Instance</th></tr>
{{ range query "ALERTS" | sortByLabel "alertname" }}
<tr class="{{ .Labels.alertstate }}"><td>{{ .Labels.alertname }}</td><td>{{ .Labels.alertstate }}</td>
<td>{{ .Labels.severity }}</td><td>{{ .Labels.app }}</td><td>{{ .Labels.service }}</td><td>{{ .Labels.instance }}</td></tr>
{{ end }}
</table>
<h2>Targets</h2>
<table>
<tr><th>Job</th><th>Instance</th><th>App</th><th>Up</th></tr>
{{ range query "up" | sortByLabel "job" }}
<tr class="{{ if eq (. | value) 0.0 }}down{{ end }}"><td>{{ .Labels.job }}</td><td>{{ .Labels.instance }}</td>
<td>{{ .Labels.app }}</td><td>{{ if eq (. | value) 0.0 }}down{{ else }}up{{ end }}</td></tr>
{{ end }}
</table>
</body>
</html>
"""
