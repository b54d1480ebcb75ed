"""The container images that generated files name; each was looked up, none is `latest`."""

TF_SERVING_VERSION = "2.21.0"
TF_SERVING = f"tensorflow/serving:{TF_SERVING_VERSION}"
TRITON_VERSION = "26.06-py3"
TRITON = f"nvcr.io/nvidia/tritonserver:{TRITON_VERSION}"
#: The last one with the backend for SavedModels.
TRITON_WITH_TENSORFLOW = "nvcr.io/nvidia/tritonserver:25.02-py3"
