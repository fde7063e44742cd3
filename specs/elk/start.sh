#!/bin/bash
# Starts Elasticsearch with a configuration directory of its own, and what sets it up beside it.
#
# The image is read-only: its configuration is copied to where the keystore can be written, which holds the password
# of `elastic`, and goes with the container. Made anew at each start, so that a password of the stack is the password.
set -euo pipefail
umask 077

export ES_PATH_CONF=/tmp/config ES_TMPDIR=/workload/data/tmp
rm -rf "$ES_PATH_CONF" "$ES_TMPDIR"
mkdir -p "$ES_TMPDIR" logs
cp -R /usr/share/elasticsearch/config "$ES_PATH_CONF"
cp ../config/elasticsearch.yml "$ES_PATH_CONF"
# It would be written below the image's own directory.
sed -i '/^-Xlog:gc/d' "$ES_PATH_CONF/jvm.options"
elasticsearch-keystore add --force --stdin bootstrap.password <../config/secrets/password

bash ../config/setup.sh &
exec elasticsearch
