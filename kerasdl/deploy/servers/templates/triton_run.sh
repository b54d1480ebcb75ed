#!/bin/sh
# Triton for {{ name }} in Docker: REST on port 8000, gRPC on 8001, metrics on 8002, of this machine alone.
{% if tensorflow %}
# sh run.sh models-tensorflow {{ tensorflow_image }}
# serves what has no ONNX file; later images have no TensorFlow.
{% endif %}
set -eu
here=$(cd "$(dirname "$0")" && pwd)
models=${1:-{{ "models" if onnx else "models-tensorflow" }}}
image=${2:-{{ image if onnx else tensorflow_image }}}
exec docker run --rm --name {{ slug }} --shm-size 256m \
  -p "127.0.0.1:${REST_PORT:-8000}:8000" -p "127.0.0.1:${GRPC_PORT:-8001}:8001" \
  -p "127.0.0.1:${METRICS_PORT:-8002}:8002" \
  -v "$here/$models:/models:ro" "$image" \
  tritonserver --model-repository=/models --disable-auto-complete-config
