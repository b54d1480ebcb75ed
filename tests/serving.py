"""A server in a thread, and tiny models for it."""

import asyncio
import contextlib
import json
import threading

import tensorflow as tf

from kerasdl.files import hash_files
from kerasdl.serving.server import Place, serve
from kerasdl.serving.settings import Settings

ROW = [1.0, 2.0, 3.0]  # an input of `write_model`


class Tiny(tf.Module):
    """Adds up three numbers, times a factor; further ways to call it."""

    def __init__(self, factor):
        super().__init__()
        self.factor = tf.Variable(float(factor))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def default(self, x):
        total = tf.reduce_sum(x, -1) * self.factor
        return {"total": total, "twice": tf.stack([total, 2 * total], -1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "texts")])
    def texts(self, texts):
        return {"lengths": tf.strings.length(texts), "upper_bytes": tf.strings.upper(texts)}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.uint8, "a"), tf.TensorSpec([None, 2], tf.int64, "b")]
    )
    def two(self, a, b):
        return {"sum": tf.cast(a, tf.int64)[:, None] + b}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify(self, inputs):
        value = tf.io.parse_example(inputs, {"v": tf.io.FixedLenFeature([], tf.float32)})["v"]
        names = tf.tile([["low", "high"]], [tf.shape(value)[0], 1])
        return {"classes": names, "scores": tf.stack([1 - value, value], -1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress(self, inputs):
        value = tf.io.parse_example(inputs, {"v": tf.io.FixedLenFeature([], tf.float32)})["v"]
        return {"outputs": value * self.factor}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def mean(self, x):
        return {"mean": tf.reduce_mean(x)}


def write_model(folder, factor, *, card=True):
    """Write a version of the tiny model as a bundle writes it: all at once, with a card."""
    tiny = Tiny(factor)
    signatures = {
        "serving_default": tiny.default, "texts": tiny.texts, "two": tiny.two, "classify": tiny.classify,
        "regress": tiny.regress, "mean": tiny.mean,
    }  # fmt: skip
    temporary = folder.parent / f".writing-{folder.name}"
    tf.saved_model.save(tiny, str(temporary), signatures=signatures)
    if card:
        about = {"name": "tiny", "files": hash_files(temporary)}
        (temporary / "card.json").write_text(json.dumps(about))
    temporary.rename(folder)
    return folder


@contextlib.contextmanager
def running(*configs, settings=None, **place):
    """Serve models in a thread; gives the `Running`, with `url` and `grpc` beside it."""
    began, found, failed = threading.Event(), [], []

    def started(server):
        found.extend([server, asyncio.get_running_loop()])
        began.set()

    def work():
        try:
            where = Place(port=0, grpc_port=0, **place)
            asyncio.run(serve(list(configs), settings or Settings(poll_seconds=0.05), where, started))
        except BaseException as error:
            failed.append(error)
        finally:
            began.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert began.wait(120)
    assert not failed, failed
    server, loop = found
    try:
        yield Server(server)
    finally:
        loop.call_soon_threadsafe(server.stop)
        thread.join(60)
        assert not thread.is_alive()
        assert not failed, failed


class Server:
    """Where a running server is."""

    def __init__(self, server):
        self.service = server.service
        self.port = server.port
        self.url = f"http://127.0.0.1:{server.port}"
        self.grpc = f"127.0.0.1:{server.grpc_port}"
