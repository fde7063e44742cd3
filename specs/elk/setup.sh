#!/bin/bash
# Makes roles, users, the lifecycle of the indices and their template, by the requests of ../config/setup/requests.
#
# It runs at each start, beside the server, and does the same each time. The last request opens the health check, and
# the first closes it: healthy means set up.
set -euo pipefail
umask 077

password=$(<../config/secrets/password)
password=${password//\\/\\\\}
password=${password//\"/\\\"}
# Not an argument, which every process could read.
login=$(mktemp)
trap 'rm -f "$login"' EXIT
printf 'user = "elastic:%s"\n' "$password" >"$login"

ask() { # method, path, file of the body
  local body=()
  if [[ $# -gt 2 ]]; then body=(--data-binary "@../config/$3"); fi
  curl --silent --show-error --fail-with-body --max-time 60 --config "$login" --request "$1" \
    --header 'Content-Type: application/json' "${body[@]}" "http://127.0.0.1:9200$2" 2>&1
}

setup() {
  local request answer
  while read -r -a request; do
    if ! answer=$(ask "${request[@]}"); then
      echo "setup: ${request[*]}: ${answer//$'\n'/ }"
      return 1
    fi
  done <../config/setup/requests
}

until answer=$(ask GET '/_cluster/health?wait_for_status=yellow&timeout=30s'); do
  echo "setup: waiting for Elasticsearch: ${answer//$'\n'/ }"
  sleep 5
done
until setup; do sleep 5; done
echo "setup: done"
