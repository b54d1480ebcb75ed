"""How much faster training is with batches of texts of about equal length: the same batches, padded as far as
the longest text of all, beside them.

    python benchmarks/padding.py [--data imdb_reviews] [--texts 3200] [--batches 12] [--rounds 2]

Padding changes no answer, so that both arms reach the same loss, which is printed. Each arm trains a network
of its own, by turns, batch by batch; processor and wall seconds count without those of the first round.
"""

import argparse
import time

import numpy as np

_BATCH, _LENGTH = 64, 600
ARMS = ("equal lengths", "longest of all")


def batches(data: str, texts: int, count: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], int, int]:
    """Return batches of some texts as a run has them, the longest length, and the size of the vocabulary."""
    from kerasdl import SequencePreprocessing
    from kerasdl.data import from_text
    from kerasdl.data.ragged import RaggedSplit

    train = from_text(data).load().train
    some = train.select(np.random.default_rng(0).permutation(len(train))[:texts])
    features, targets = (np.concatenate(part) for part in zip(*_parts(some), strict=True))
    words = SequencePreprocessing(max_length=_LENGTH)
    words.fit(lambda: iter([features]))
    split = RaggedSplit(words.encode(features), targets)
    order = split.training_batches(batch_size=_BATCH, seed=0, start_step=0).take(count)
    found = [tuple(part.numpy() for part in batch) for batch in order]
    return found, int(split.ordering.lengths.max()), words.num_tokens


def _parts(split):
    from kerasdl.data.passes import split_batches

    for features, targets, _ in split_batches(split)():
        yield features, targets


def training(num_tokens: int):
    """Return a function that trains a new network on a batch and returns its loss."""
    import keras

    from kerasdl import RecurrentNetwork, SequencePreprocessing

    keras.utils.set_random_seed(0)
    words = SequencePreprocessing(vocabulary=tuple(map(str, range(num_tokens - 2))))
    network = RecurrentNetwork(num_classes=2, bidirectional=True, preprocessing=words)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
    return lambda ids, classes: float(network.train_on_batch(ids, classes, return_dict=True)["loss"])


def main() -> None:
    """Run both arms and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="imdb_reviews")
    parser.add_argument("--texts", type=int, default=3200)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    from kerasdl import environment

    environment.import_tensorflow()
    examples, longest, num_tokens = batches(given.data, given.texts, given.batches)
    share = np.mean([ids.shape[1] for ids, _ in examples]) / longest
    print(f"{len(examples)} batches of {_BATCH}; {share:.0%} of the steps of {longest} words are left")
    steps = {arm: training(num_tokens) for arm in ARMS}
    seconds = {arm: np.zeros(2) for arm in ARMS}
    losses: dict[str, float] = {}
    for number in range(given.rounds + 1):
        for ids, classes in examples:
            padded = np.pad(ids, ((0, 0), (0, longest - ids.shape[1])))
            for arm, inputs in zip(ARMS, (ids, padded), strict=True):
                began = np.array([time.process_time(), time.perf_counter()])
                losses[arm] = steps[arm](inputs, classes)
                if number:
                    seconds[arm] += [time.process_time(), time.perf_counter()] - began
    count = given.rounds * len(examples) * _BATCH
    for arm in ARMS:
        cpu, wall = seconds[arm]
        print(
            f"{arm:15} {count / wall:7.1f} samples/s, {1000 * cpu / count:.2f} CPU-ms each, "
            f"loss {losses[arm]:.5f}"
        )
    print(f"ratio by CPU {seconds[ARMS[1]][0] / seconds[ARMS[0]][0]:.2f}, by wall "
          f"{seconds[ARMS[1]][1] / seconds[ARMS[0]][1]:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
