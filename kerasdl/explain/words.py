"""Explanations by word, for any network over the numbers of words.

All of them explain the logit of a class, against the same text of unknown words.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.explain.gradients import BATCH
from kerasdl.explain.integral import integrate
from kerasdl.network import network as deployed
from kerasdl.preprocessing.words import UNKNOWN
from kerasdl.private.keras import all_parts_of
from kerasdl.tasks.classification.attention import ATTENTION


class WordNetwork:
    """A classifier over numbers of words, in the ways in which explanations ask it.

    Numbers are those of `kerasdl.preprocessing.words`; a subclass may have others.

    Args:
        network: any network that takes numbers of words (N, T), int32, as they are.
    """

    #: Shape of the numbers that the network takes.
    shape: ClassVar[tuple[int | None, ...]] = (None, None)
    #: Number of an unknown word, and that of padding.
    unknown: ClassVar[int] = UNKNOWN
    padding: ClassVar[int] = 0

    def __init__(self, network: keras.Model):
        self._network = network
        numbers = tf.TensorSpec(self.shape, tf.int32)
        self._answers = tf.function(self._answer, input_signature=[numbers], autograph=False)
        self._gradients = tf.function(
            self._sum_of_gradients,
            input_signature=[numbers, tf.TensorSpec((None,), tf.float32), tf.TensorSpec((), tf.int32)],
            autograph=False,
        )

    def answers(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        """Return `logits` (N, num_classes), and `attention` (N, T) where the network has it, float32."""
        parts = [self._answers(ids[start : start + BATCH]) for start in range(0, len(ids), BATCH)]
        return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}

    def integrated_gradients(
        self,
        ids: np.ndarray,
        class_id: int,
        *,
        steps: int = 32,
        most_steps: int = 1024,
        tolerance: float = 0.01,
    ) -> tuple[np.ndarray, float, float, int]:
        """Divide what a text adds to the logit among its words.

        Reference: Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", 2017,
        https://arxiv.org/abs/1703.01365, section 6.3 (there from vectors of 0).

        The path leads from the vectors of the same text of unknown words to those of the text. What the
        places of a vector add is summed; what a vector of several neighbouring words adds is divided among
        them.

        Args:
            ids: numbers of the words of one text, (T,), or several of each word, (T, F), int32.
            class_id: class to explain.
            steps: intervals of the path to begin with, 1 or more. Defaults to 32.
            most_steps: intervals that are not halved again. Defaults to 1024.
            tolerance: error, as a part of the difference, that is good enough. Defaults to 0.01.

        Returns:
            What each word adds, (T,), float32; the difference of the logits of the text and of unknown words;
            how far the sum is from it, as a part of it; the number of intervals.

        Raises:
            UsageError: when the network has no embedding of words.
        """
        ids = np.asarray(ids, np.int32)
        unknown = np.where(ids == self.padding, self.padding, self.unknown).astype(np.int32)
        if np.array_equal(ids, unknown):
            return np.zeros(len(ids), np.float32), 0.0, 0.0, 0
        ends = self.answers(np.stack([unknown, ids]))["logits"][:, class_id].astype(np.float64)

        def total(places: Sequence[float]) -> np.ndarray | float:
            places, found = np.asarray(places, np.float32), 0.0
            for start in range(0, len(places), BATCH):
                parts = self._gradients(ids[None], places[start : start + BATCH], class_id)
                found = found + _by_word([part.numpy() for part in parts], len(ids))
            return found

        return integrate(total, ends[1] - ends[0], steps=steps, most_steps=most_steps, tolerance=tolerance)

    def occlusion(self, ids: np.ndarray, class_id: int) -> np.ndarray:
        """Return how far the logit falls when each word is made unknown, (T,), float32.

        Reference: Li, Monroe, Jurafsky, "Understanding neural networks through representation erasure", 2016,
        https://arxiv.org/abs/1612.08220.

        Args:
            ids: numbers of the words of one text, (T,), or several of each word, (T, F), int32.
            class_id: class to explain.
        """
        ids = np.asarray(ids, np.int32)
        whole, falls = self.answers(ids[None])["logits"][0, class_id], []
        for start in range(0, len(ids), BATCH):
            places = range(start, min(start + BATCH, len(ids)))
            without = np.repeat(ids[None], len(places), axis=0)
            without[range(len(places)), places] = self.unknown
            falls.append(whole - self.answers(without)["logits"][:, class_id])
        stays = ((ids == self.padding) | (ids == self.unknown)).reshape(len(ids), -1).all(axis=1)
        return np.where(stays, np.float32(0), np.concatenate(falls))  # not what rounding makes of it

    def logits(self, outputs):
        """Return the logits (N, num_classes), float32, in what the network answers."""
        return tf.cast(deployed.main_output(self._network, outputs), tf.float32)

    def _answer(self, ids):
        outputs = deployed.outputs_of(self._network, ids)
        found = {"logits": self.logits(outputs)}
        if isinstance(outputs, dict) and ATTENTION in outputs:
            found[ATTENTION] = outputs[ATTENTION]
        return {name: tf.cast(value, tf.float32) for name, value in found.items()}

    def _sum_of_gradients(self, ids, places, class_id):
        """Return the sum over places on the path of what the vectors add there, (T,) for each embedding.

        Args:
            ids: (1, T) or (1, T, F), int32.
            places: (S,), 0 to 1.
            class_id: scalar.
        """
        many = tf.repeat(ids, tf.shape(places)[0], axis=0)  # (S, T)
        starts: list[tf.Tensor] = []
        moved: list[tuple[tf.Tensor, tf.Tensor]] = []

        def first(vectors):
            starts.append(vectors)
            return vectors

        with _embeddings_through(self._network, first):
            deployed.logits(self._network, tf.where(many == self.padding, self.padding, self.unknown))
        with tf.GradientTape() as tape:

            def on_the_way(vectors):  # (S, T, D)
                start = starts[len(moved)]
                x = start + tf.cast(places, vectors.dtype)[:, None, None] * (vectors - start)
                tape.watch(x)
                moved.append((x, vectors - start))
                return x

            with _embeddings_through(self._network, on_the_way):
                logits = self.logits(deployed.outputs_of(self._network, many))
            target = tf.reduce_sum(tf.gather(logits, class_id, axis=1))
        if not moved:
            raise UsageError(
                "This network has no Embedding layer of Keras, whose vectors integrated gradients could "
                "follow. Use --methods occlusion."
            )
        found = tape.gradient(target, [x for x, _ in moved], unconnected_gradients="zero")
        return [
            tf.cast(tf.reduce_sum(gradient * way, axis=(0, 2)), tf.float32)
            for gradient, (_, way) in zip(found, moved, strict=True)
        ]


def _by_word(parts: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Return the sum for each word (T,), float64, of what vectors of one or several neighbouring words add.

    Args:
        parts: (T,), or (T - 1,) of vectors of pairs of neighbours, and so on; neighbours share equally.
        length: number of words, T.
    """
    found = np.zeros(length)
    for part in parts:
        together = length - len(part) + 1
        for place in range(together):
            found[place : place + len(part)] += part.astype(np.float64) / together
    return found


@contextlib.contextmanager
def _embeddings_through(network: keras.Model, change: Callable[[tf.Tensor], tf.Tensor]) -> Iterator[None]:
    """Let the vectors (S, T, D) that each embedding answers with go through a function."""
    parts = all_parts_of(network, include_self=False)
    embeddings = [layer for layer in parts if isinstance(layer, keras.layers.Embedding)]

    def changed(call):
        return lambda numbers: change(call(numbers))

    for layer in embeddings:
        vars(layer)["call"] = changed(layer.call)
    try:
        yield
    finally:
        for layer in embeddings:
            del vars(layer)["call"]
