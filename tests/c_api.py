"""Answers a SavedModel's warm-up requests by TensorFlow's C API, as TF Serving does: no Python of TensorFlow.

    python c_api.py LIBRARY_FOLDER SAVED_MODEL REQUESTS.json

Each request of the file names the tensors that are fed and fetched: {"feeds": {"serving_default_images:0":
{"shape": [1, 8, 8, 1], "type": 4, "bytes": 1, "value": 0}}, "fetches": ["StatefulPartitionedCall:0"]}. It
prints the shapes of the answers as JSON.
"""

import ctypes
import json
import math
import sys
from pathlib import Path


class Output(ctypes.Structure):
    """An operation and the number of its output."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


def load(folder):
    ctypes.CDLL(str(next(Path(folder).glob("libtensorflow_framework.so.2*"))), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(next(Path(folder).glob("libtensorflow_cc.so.2*"))), ctypes.RTLD_GLOBAL)
    pointers = (
        "NewStatus", "NewGraph", "NewSessionOptions", "LoadSessionFromSavedModel", "GraphOperationByName",
        "AllocateTensor", "TensorData",
    )  # fmt: skip
    for name in pointers:
        getattr(library, f"TF_{name}").restype = ctypes.c_void_p
    library.TF_Message.restype = ctypes.c_char_p
    library.TF_Dim.restype = ctypes.c_int64
    return library


class Session:
    """A SavedModel that is loaded as TF Serving loads it: its graph, restored, for the tag `serve`."""

    def __init__(self, library, folder):
        self.c = library
        self.status = ctypes.c_void_p(library.TF_NewStatus())
        self.graph = ctypes.c_void_p(library.TF_NewGraph())
        options = ctypes.c_void_p(library.TF_NewSessionOptions())
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = ctypes.c_void_p(
            library.TF_LoadSessionFromSavedModel(
                options, None, str(folder).encode(), tags, 1, self.graph, None, self.status
            )
        )
        self.check()

    def check(self):
        if self.c.TF_GetCode(self.status):
            sys.exit(self.c.TF_Message(self.status).decode())

    def output(self, name):
        operation, _, index = name.partition(":")
        found = self.c.TF_GraphOperationByName(self.graph, operation.encode())
        return Output(found, int(index))

    def tensor(self, shape, type, bytes, value):
        size = math.prod(shape) * bytes
        dims = (ctypes.c_int64 * len(shape))(*shape)
        tensor = self.c.TF_AllocateTensor(type, dims, len(shape), ctypes.c_size_t(size))
        ctypes.memset(ctypes.c_void_p(self.c.TF_TensorData(ctypes.c_void_p(tensor))), value, size)
        return tensor

    def run(self, feeds, fetches):
        inputs = (Output * len(feeds))(*map(self.output, feeds))
        tensors = (ctypes.c_void_p * len(feeds))(*(self.tensor(**feed) for feed in feeds.values()))
        outputs, answers = (
            (Output * len(fetches))(*map(self.output, fetches)),
            (ctypes.c_void_p * len(fetches))(),
        )
        self.c.TF_SessionRun(
            self.session, None, inputs, tensors, len(feeds), outputs, answers, len(fetches), None, 0, None,
            self.status,
        )  # fmt: skip
        self.check()
        return [self.shape(ctypes.c_void_p(answer)) for answer in answers]

    def shape(self, tensor):
        return [self.c.TF_Dim(tensor, axis) for axis in range(self.c.TF_NumDims(tensor))]


if __name__ == "__main__":
    _, libraries, model, requests = sys.argv
    session = Session(load(libraries), model)
    assert "tensorflow" not in sys.modules
    print(json.dumps([session.run(**each) for each in json.loads(Path(requests).read_text())]))
