#!/bin/sh
# TensorFlow Serving for {{ name }} in Docker: REST on port 8501 and gRPC on 8500, of this machine alone.
# MODELS is the folder that holds the {{ "versions" if bundle.is_numbered else "SavedModel" }}.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
models=${MODELS:-"$here"/{{ models | quote }}}
exec docker run --rm --name {{ slug }} \
  -p "127.0.0.1:${REST_PORT:-8501}:8501" -p "127.0.0.1:${GRPC_PORT:-8500}:8500" \
  -v "$(cd "$models" && pwd):{{ mounted }}:ro" -v "$here/config:/config:ro" \
  --entrypoint tensorflow_model_server {{ image }} \
{% for flag in flags %}
  {{ flag }}{{ " \\" if not loop.last }}
{% endfor %}
