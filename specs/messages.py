"""What people are told: the texts of notifications, as Alertmanager's templates."""

from typing import Any

FILE = "notification.tmpl"

# An alert's labels say what and where, its annotations what was measured and where to read on. Links are written in the
# form that each channel makes clickable; Slack takes < and & for the beginning of something of its own.
TEMPLATES = """\
{{ define "stack.title" -}}
[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}]
{{- with .CommonLabels.severity }} {{ . }}{{ end }}
{{- with .CommonLabels.alertname }} {{ . }}{{ end }}
{{- with .CommonLabels.app }} of {{ . }}{{ end }}
{{- with .CommonLabels.service }}/{{ . }}{{ end }}
{{- with .CommonLabels.environment }} ({{ . }}){{ end }}
{{- end }}

{{ define "stack.url" }}{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}{{ end }}

{{ define "stack.where" -}}
{{ .Labels.severity }} {{ .Labels.alertname }}: {{ .Labels.app }}
{{- with .Labels.service }}/{{ . }}{{ end }} in {{ .Labels.environment }}
{{- with .Labels.instance }}, {{ . }}{{ end }}, since {{ .StartsAt.UTC.Format "2006-01-02 15:04:05 MST" }}
{{- if eq .Status "resolved" }}, resolved {{ .EndsAt.UTC.Format "2006-01-02 15:04:05 MST" }}{{ end }}
{{- end }}

{{ define "stack.escaped" -}}
{{ . | reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;" }}
{{- end }}

{{ define "stack.slack" -}}
{{ range .Alerts -}}
*{{ template "stack.escaped" .Annotations.summary }}*
{{ template "stack.escaped" .Annotations.description }}
{{ template "stack.where" . }}
{{ with .Annotations.runbook_url }}<{{ . }}|Runbook>{{ end }}
{{- with .Annotations.dashboard_url }} · <{{ . }}|Dashboard>{{ end }}
{{- with .GeneratorURL }} · <{{ . }}|Query>{{ end }}

{{ end -}}
{{ end }}

{{ define "stack.text" -}}
{{ range .Alerts -}}
{{ .Annotations.summary }}
{{ .Annotations.description }}
{{ template "stack.where" . }}
{{ with .Annotations.runbook_url }}Runbook: {{ . }}
{{ end -}}
{{ with .Annotations.dashboard_url }}Dashboard: {{ . }}
{{ end -}}
{{ with .GeneratorURL }}Query: {{ . }}
{{ end }}
{{ end -}}
Alertmanager: {{ template "stack.url" . }}
{{ end }}

{{ define "stack.html" -}}
<!DOCTYPE html>
<html><body style="font-family: sans-serif">
{{ range .Alerts -}}
<h3 style="color: {{ if eq .Status "firing" }}#b3261e{{ else }}#1e7b34{{ end }}">{{ .Annotations.summary }}</h3>
<p>{{ .Annotations.description }}</p>
<p>{{ template "stack.where" . }}</p>
<p>
{{- with .Annotations.runbook_url }}<a href="{{ . }}">Runbook</a>{{ end }}
{{- with .Annotations.dashboard_url }} · <a href="{{ . }}">Dashboard</a>{{ end }}
{{- with .GeneratorURL }} · <a href="{{ . }}">Query</a>{{ end -}}
</p>
{{ end -}}
<p><a href="{{ template "stack.url" . }}">Alertmanager</a></p>
</body></html>
{{ end }}
"""

_TITLE = '{{ template "stack.title" . }}'
_URL = '{{ template "stack.url" . }}'


def _first(annotation: str) -> str:
    # Alerts of a group mostly share their links, but a profile may group by labels that they do not.
    return f"{{{{ (index .Alerts 0).Annotations.{annotation} }}}}"


SLACK: dict[str, Any] = {
    "title": _TITLE,
    "title_link": _URL,
    "fallback": _TITLE,
    "text": '{{ template "stack.slack" . }}',
}
"""What a Slack message says."""

PAGERDUTY: dict[str, Any] = {
    "description": f"{_TITLE}: {{{{ (index .Alerts 0).Annotations.summary }}}}",
    # PagerDuty takes these words, and error.
    "severity": "{{ if .CommonLabels.severity }}{{ .CommonLabels.severity }}{{ else }}error{{ end }}",
    "class": "{{ .CommonLabels.alertname }}",
    "component": "{{ .CommonLabels.service }}",
    "group": "{{ .CommonLabels.app }}",
    "client": "Alertmanager",
    "client_url": _URL,
    "details": {
        "environment": "{{ .CommonLabels.environment }}",
        "alerts": '{{ template "stack.text" . }}',
    },
    "links": [
        {"href": _first("runbook_url"), "text": "Runbook"},
        {"href": _first("dashboard_url"), "text": "Dashboard"},
    ],
}
"""What an incident of PagerDuty says."""

EMAIL: dict[str, Any] = {
    "headers": {"Subject": _TITLE},
    "html": '{{ template "stack.html" . }}',
    "text": '{{ template "stack.text" . }}',
}
"""What a mail says."""
