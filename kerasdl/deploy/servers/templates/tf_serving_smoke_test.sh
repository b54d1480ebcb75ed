#!/bin/sh
# Ask a TensorFlow Serving that runs {{ name }} by curl: sh smoke_test.sh [http://127.0.0.1:8501]
set -eu
server=${1:-http://127.0.0.1:8501}
here=$(cd "$(dirname "$0")" && pwd)
curl --fail-with-body -sS "$server/v1/models/{{ name }}"
for signature in {{ endpoints | map(attribute="name") | map("quote") | join(" ") }}; do
  python3 "$here/smoke_test.py" --print-request "$signature" |
    curl --fail-with-body -sS -d @- "$server/v1/models/{{ name }}/labels/stable:predict"
done
curl --fail-with-body -sS "$server/monitoring/prometheus/metrics" | grep -c '^:tensorflow'
