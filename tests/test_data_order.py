"""The order of training data, in single arrays and in trees, and the noise of augmentation."""

import itertools
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data import memory
from kerasdl.data.batches import evaluation_batches, steps_per_epoch, training_batches, training_blocks
from kerasdl.data.file_split import FileSplit
from kerasdl.data.images.affine import RandomAffine
from kerasdl.data.order import Ordering
from kerasdl.data.passes import split_batches
from kerasdl.data.splits import ArraySplit
from kerasdl.data.stream_split import StreamSplit
from kerasdl.errors import UsageError

COUNT = 23
BATCH = 4
STEPS = COUNT // BATCH


def array_split(_=None):
    """Every pixel of example i is i, and so is its label: a batch tells which examples it holds."""
    labels = np.arange(COUNT, dtype=np.int32)
    return ArraySplit(
        np.broadcast_to(labels.astype(np.uint8)[:, None, None, None], (COUNT, 8, 8, 1)).copy(), labels
    )


def file_split(tmp_path):
    paths = tuple(tmp_path / f"{index}.raw" for index in range(COUNT))
    for path, image in zip(paths, array_split().features, strict=True):
        path.write_bytes(image.tobytes())

    def read(path):
        return tf.ensure_shape(
            tf.reshape(tf.io.decode_raw(tf.io.read_file(path), tf.uint8), (8, 8, 1)), (8, 8, 1)
        )

    return FileSplit(paths, array_split().targets, read)


def stream_split(_=None):
    whole = array_split()
    return StreamSplit(
        lambda: tf.data.Dataset.from_tensor_slices((whole.features, whole.targets)), whole.targets
    )


@pytest.fixture(params=[array_split, file_split, stream_split])
def split(request, tmp_path):
    return request.param(tmp_path)


def labels_of(split, count, **arguments):
    """Return the labels of `count` training batches, and check that the images are theirs."""
    dataset = training_batches(split, **({"batch_size": BATCH, "seed": 5} | arguments))
    found = []
    for images, labels in itertools.islice(dataset.as_numpy_iterator(), count):
        assert images.dtype == np.uint8 and labels.dtype == np.int32
        assert (images == labels[:, None, None, None]).all()
        found.append(labels.tolist())
    return found


def epoch_of(batches, epoch):
    return list(itertools.chain(*batches[epoch * STEPS : (epoch + 1) * STEPS]))


@pytest.mark.by_default(lambda split: split is file_split)
def test_an_epoch_is_a_permutation_of_full_batches(split):
    batches = labels_of(split, 3 * STEPS)
    for epoch in range(3):
        seen = epoch_of(batches, epoch)
        assert len(seen) == len(set(seen)) == STEPS * BATCH
        assert seen != sorted(seen)
    assert batches[:STEPS] != batches[STEPS : 2 * STEPS]


def test_the_rest_of_an_epoch_is_not_always_the_same(split):
    batches = labels_of(split, 10 * STEPS)
    left_out = {tuple(set(range(COUNT)) - set(epoch_of(batches, epoch))) for epoch in range(10)}
    assert len(left_out) > 5


@pytest.mark.by_default(lambda split, start: start == STEPS)
@pytest.mark.parametrize("start", [1, STEPS - 1, STEPS, 2 * STEPS + 3])
def test_starting_at_any_step_equals_continuing(split, start):
    assert labels_of(split, STEPS, start_step=start) == labels_of(split, start + STEPS)[start:]


@pytest.mark.by_default(lambda split: split is array_split)
def test_the_order_is_a_function_of_the_seed_alone(split):
    tf.random.set_seed(1)
    first = labels_of(split, STEPS)
    tf.random.set_seed(2)
    tf.random.uniform(())
    assert labels_of(split, STEPS) == first
    assert labels_of(split, STEPS, seed=6) != first
    # Neither is epoch e of seed s epoch s of seed e.
    assert (
        labels_of(split, 7 * STEPS, seed=5)[6 * STEPS :] != labels_of(split, 6 * STEPS, seed=6)[5 * STEPS :]
    )


def test_arrays_and_files_have_one_order(tmp_path):
    assert labels_of(array_split(), 2 * STEPS) == labels_of(file_split(tmp_path), 2 * STEPS)


def test_a_stream_is_shuffled_within_bounded_memory(monkeypatch):
    monkeypatch.setattr("kerasdl.data.stream_split._SHUFFLE_BYTES", 6 * (8 * 8 + 4))
    batches = labels_of(stream_split(), STEPS)
    # With room for six examples, the first batch can only hold examples that were read so far.
    assert max(batches[0]) < 6 + BATCH and list(itertools.chain(*batches)) != sorted(
        itertools.chain(*batches)
    )


def test_training_batches_have_a_static_batch_axis(split):
    images, labels = training_batches(split, batch_size=BATCH, seed=0).element_spec
    assert images.shape == (BATCH, 8, 8, 1) and labels.shape == (BATCH,)


def test_the_autotuner_is_off(split):
    for dataset in (
        training_batches(split, batch_size=BATCH, seed=0),
        evaluation_batches(split, batch_size=BATCH),
    ):
        assert dataset.options().autotune.enabled is False
        assert dataset.options().deterministic is True


@pytest.mark.by_default(
    lambda split, augmentation, num_parts: split is array_split and augmentation and num_parts == 2
)
@pytest.mark.parametrize("augmentation", [None, RandomAffine(shift=0.5)], ids=["plain", "augmented"])
@pytest.mark.parametrize("num_parts", [1, 2])
def test_blocks_are_the_batches(split, augmentation, num_parts, monkeypatch):
    """A block holds 7 batches, so that it crosses the ends of epochs; each replica gets its part of all."""
    monkeypatch.setattr("kerasdl.data.batches._BLOCK_STEPS", 7)
    arguments = {"batch_size": 4, "seed": 5, "start_step": 3, "augmentation": augmentation}
    blocks = training_blocks(split, num_parts=num_parts, **arguments)
    images, labels = blocks.element_spec
    assert images.shape == (7, 4 // num_parts, 8, 8, 1) and labels.shape == (7, 4 // num_parts)
    batches = training_batches(split, **arguments).as_numpy_iterator()
    elements = blocks.as_numpy_iterator()
    for _ in range(2):
        parts = [next(elements) for _ in range(num_parts)]
        expected = [next(batches) for _ in range(7)]
        for found, wanted in zip(zip(*parts, strict=True), zip(*expected, strict=True), strict=True):
            np.testing.assert_array_equal(np.concatenate(found, axis=1), np.stack(wanted))


def test_a_block_takes_bounded_memory(monkeypatch):
    monkeypatch.setattr("kerasdl.data.batches._BLOCK_BYTES", 3 * 4 * 8 * 8)
    blocks = training_blocks(array_split(), batch_size=4, seed=0)
    assert blocks.element_spec[0].shape[:2] == (3, 4)
    monkeypatch.setattr("kerasdl.data.batches._BLOCK_BYTES", 10)
    assert training_blocks(array_split(), batch_size=4, seed=0).element_spec[0].shape[:2] == (1, 4)


@pytest.mark.parametrize(("batch_size", "sizes"), [(5, [5, 5, 5, 5, 3]), (23, [23]), (100, [23])])
def test_evaluation_is_in_order_and_complete(split, batch_size, sizes):
    batches = list(evaluation_batches(split, batch_size=batch_size).as_numpy_iterator())
    assert [len(labels) for _, labels in batches] == sizes
    assert np.concatenate([labels for _, labels in batches]).tolist() == list(range(COUNT))
    assert all((images == labels[:, None, None, None]).all() for images, labels in batches)


def test_a_selected_split_holds_the_selected_examples(split):
    part = split.select(np.array([2, 3, 11, 22]))
    ((images, labels),) = evaluation_batches(part, batch_size=10).as_numpy_iterator()
    assert labels.tolist() == part.targets.tolist() == images[:, 0, 0, 0].tolist() == [2, 3, 11, 22]


def test_a_batch_larger_than_the_split_is_refused():
    assert steps_per_epoch(array_split(), COUNT) == 1
    with pytest.raises(UsageError, match=r"batch size is 24, but .* only 23 .* --batch-size 16"):
        training_batches(array_split(), batch_size=24, seed=0)


def texts():
    """The number of each example as text, of one character or two."""
    return np.array([str(number) for number in range(COUNT)])


def tree_of(split):
    """Give a split two inputs, two targets and weights; every one of them tells the example."""
    numbers = np.arange(COUNT, dtype=np.int32)
    targets = {"kind": numbers, "size": numbers[:, None] / 2}
    weights = {"kind": numbers / 4, "size": numbers / 8}
    if isinstance(split, ArraySplit):
        return ArraySplit({"image": split.features, "text": texts()}, targets, weights)
    if isinstance(split, FileSplit):

        def read(path):
            number = tf.strings.split(tf.strings.split(path, "/")[-1], ".")[0]
            return {"image": split.read(path), "text": number}

        return FileSplit(split.paths, targets, read, weights)
    features = {"image": array_split().features, "text": texts()}
    whole = (features, targets, weights)
    return StreamSplit(lambda: tf.data.Dataset.from_tensor_slices(whole), targets, weights)


def check_tree(features, targets, weights):
    """Check that all leaves of a batch are of the same examples, and return which."""
    numbers = targets["kind"]
    assert (features["image"] == numbers[..., None, None, None]).all()
    assert (features["text"].astype(str) == numbers.astype(str)).all()
    assert (targets["size"][..., 0] == numbers / 2).all()
    assert (weights["kind"] == numbers / 4).all() and (weights["size"] == numbers / 8).all()
    return numbers.tolist()


@pytest.mark.by_default(lambda split: split is array_split)
def test_trees_have_the_order_of_arrays(split):
    # A stream is shuffled within bytes, and has room for all examples either way.
    wanted = labels_of(split, 2 * STEPS, start_step=3)
    batches = training_batches(tree_of(split), batch_size=BATCH, seed=5, start_step=3)
    found = [check_tree(*batch) for batch in itertools.islice(batches.as_numpy_iterator(), 2 * STEPS)]
    assert found == wanted
    batches = evaluation_batches(tree_of(split), batch_size=10)
    found = [check_tree(*batch) for batch in batches.as_numpy_iterator()]
    assert list(itertools.chain(*found)) == list(range(COUNT))


@pytest.mark.by_default(lambda split, num_parts: split is array_split and num_parts == 2)
@pytest.mark.parametrize("num_parts", [1, 2])
def test_trees_in_blocks(split, num_parts, monkeypatch):
    monkeypatch.setattr("kerasdl.data.batches._BLOCK_STEPS", 7)
    arguments = {"batch_size": BATCH, "seed": 5, "start_step": 3}
    blocks = training_blocks(tree_of(split), num_parts=num_parts, **arguments).as_numpy_iterator()
    parts = [np.array(check_tree(*next(blocks))) for _ in range(num_parts)]
    assert np.concatenate(parts, axis=1).tolist() == labels_of(split, 7, start_step=3)


def test_weights_pass_augmentation_by():
    split = ArraySplit(array_split().features, array_split().targets, np.arange(COUNT, dtype=np.float32))
    batches = training_batches(split, batch_size=BATCH, seed=5, augmentation=RandomAffine())
    _, labels, weights = next(batches.as_numpy_iterator())
    assert labels.tolist() == weights.tolist()


@pytest.mark.by_default(lambda split: split is array_split)
def test_a_selected_tree_holds_the_selected_examples(split):
    for indices in ([2, 3, 11, 22], [*range(5), *range(7, COUNT)]):
        part = tree_of(split).select(np.array(indices))
        (batch,) = evaluation_batches(part, batch_size=COUNT).as_numpy_iterator()
        assert check_tree(*batch) == part.targets["kind"].tolist() == indices


@pytest.mark.slow
def test_most_of_an_array_is_selected_without_a_copy():
    whole = array_split()
    indices = np.array([*range(3, 9), *range(10, COUNT)])
    part = whole.select(indices[1:]).select(np.arange(1, 18))  # twice, as test and validation are carved
    copied = ArraySplit(whole.features[indices[2:19]], whole.targets[indices[2:19]])
    assert part._arrays is whole._arrays
    for make in (
        lambda split: training_blocks(split, batch_size=BATCH, seed=1).take(1),
        lambda split: training_batches(split, batch_size=BATCH, seed=1).take(9),
        lambda split: evaluation_batches(split, batch_size=5),
    ):
        for one, other in zip(make(part).as_numpy_iterator(), make(copied).as_numpy_iterator(), strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(part.features, copied.features)
    for one, other in zip(split_batches(part)(), split_batches(copied)(), strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_other_targets_of_the_same_examples(split):
    part = split.select(np.array([2, 3, 11, 22])).with_targets(np.array([7, 8, 9, 5]))
    ((images, labels),) = evaluation_batches(part, batch_size=10).as_numpy_iterator()
    assert labels.tolist() == [7, 8, 9, 5] and images[:, 0, 0, 0].tolist() == [2, 3, 11, 22]


def test_examples_of_different_lengths_are_padded_to_the_longest_of_their_batch(tmp_path):
    paths = [tmp_path / f"{number}.txt" for number in range(6)]
    for number, path in enumerate(paths):
        path.write_text("x" * (number + 1))
    split = FileSplit(paths, np.arange(6), lambda path: tf.io.decode_raw(tf.io.read_file(path), tf.uint8))
    assert [len(x[0]) for x, _ in evaluation_batches(split, batch_size=3).as_numpy_iterator()] == [3, 6]
    for features, targets in training_blocks(split, batch_size=2, seed=0).take(3).as_numpy_iterator():
        assert features.shape == (1, 2, targets.max() + 1)  # a batch a block: no other batch's padding
        assert ((features > 0).sum(-1) == targets + 1).all()


def test_an_ordering_of_ones_own():
    class Backwards(Ordering):
        def indices(self, step, *, count, batch_size, seed):
            place = step[..., None] % (count // batch_size) * batch_size
            return count - 1 - place - tf.range(batch_size, dtype=tf.int64)

    split = ArraySplit(array_split().features, array_split().targets, ordering=Backwards())
    assert labels_of(split, 2) == [[22, 21, 20, 19], [18, 17, 16, 15]]
    _, labels = next(training_blocks(split, batch_size=BATCH, seed=5).as_numpy_iterator())
    assert labels[:2].tolist() == labels_of(split, 2)


def test_arrays_are_shared_with_tensorflow_where_that_is_safe():
    array = memory.empty((3, 5), np.uint8)
    array[:] = 1
    tensor = memory.to_tensor(array)
    array[0, 0] = 7
    assert tensor[0, 0] == 7
    read_only = array.copy()
    read_only.flags.writeable = False
    shifted = memory.empty((16,), np.uint8)[1:]  # reading it in place would abort the process
    shifted[:] = 3
    for other in (read_only, shifted, array[:, 1:], array[1:], array.astype(">i4"), np.array(["a", "bc"])):
        np.testing.assert_array_equal(memory.to_tensor(other).numpy().astype(other.dtype), other)


# ------------------------------------------------------------------------------------------- augmentation


def changed(image, **fields):
    """Change 64 copies of a (H, W) image."""
    images = tf.constant(np.tile(image[None, :, :, None], (64, 1, 1, 1)).astype(np.uint8))
    still = {"shift": 0.0, "rotation": 0.0, "zoom": 0.0}
    changed, _ = RandomAffine(**{**still, **fields})(images, tf.zeros(64), tf.constant([1, 2], tf.int64))
    return changed.numpy()[..., 0]


def centres(images):
    """Return the (row, column) centre of mass of each image."""
    images = images / images.sum((1, 2), keepdims=True)
    rows, columns = np.arange(images.shape[1]), np.arange(images.shape[2])
    return np.stack([images.sum(2) @ rows, images.sum(1) @ columns], axis=1)


def blob(height=21, width=41):
    image = np.zeros((height, width))
    image[height // 2 - 2 : height // 2 + 3, width // 2 - 2 : width // 2 + 3] = 250
    return image


def test_no_change_is_no_change():
    image = np.random.default_rng(0).integers(0, 256, (9, 12))
    np.testing.assert_array_equal(changed(image), np.tile(image, (64, 1, 1)))


def test_shift_reaches_its_share_of_height_and_width_and_no_further():
    moved = centres(changed(blob(), shift=0.2)) - (10, 20)
    reach = np.abs(moved).max(0)
    assert 3.5 < reach[0] <= 4.3 and 7 < reach[1] <= 8.3  # 0.2 x 21 and 0.2 x 41 pixels
    assert np.abs(moved.mean(0)).max() < 1.2
    assert (moved[:, 0] % 1).std() > 0.1  # fractions of a pixel


def test_zoom_keeps_the_centre_and_changes_the_mass():
    zoomed = changed(blob(), zoom=0.4)
    assert np.abs(centres(zoomed) - (10, 20)).max() < 0.3
    mass = zoomed.sum((1, 2)) / blob().sum()
    assert mass.min() < 0.75 and mass.max() > 1.3


def test_rotation_keeps_the_centre_and_turns_a_line():
    line = np.zeros((21, 21))
    line[10, 2:19] = 250
    turned = changed(line, rotation=30.0)
    assert np.abs(centres(turned) - (10, 10)).max() < 0.5
    ends = turned[:, :, 16].argmax(1) - 10  # row of the line, 6 pixels from the centre
    assert -4 <= ends.min() <= -2 and 2 <= ends.max() <= 4  # 6 tan(30 degrees) = 3.5


def test_fill_comes_in_at_the_border():
    assert 7 in changed(np.full((9, 9), 200), shift=0.3, fill=7)


def test_augmentation_keeps_shape_and_dtype():
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8))
    result, labels = RandomAffine()(images, tf.constant([4, 5, 6]), tf.constant([0, 0], tf.int32))
    assert labels.numpy().tolist() == [4, 5, 6]
    assert result.shape == images.shape and result.dtype == tf.uint8


@pytest.mark.by_default(lambda split: split is array_split)
def test_noise_is_keyed_by_seed_step_and_place(split):
    def images(**arguments):
        arguments = {"batch_size": BATCH, "seed": 5, "augmentation": RandomAffine(shift=0.5)} | arguments
        return [
            image
            for image, _ in itertools.islice(training_batches(split, **arguments).as_numpy_iterator(), 12)
        ]

    first = images()
    assert all((one == other).all() for one, other in zip(first, images(), strict=True))
    # Started in the middle, the noise of a step is still that step's.
    assert all((one == other).all() for one, other in zip(first[3:], images(start_step=3)[:9], strict=True))
    assert any((one != other).any() for one, other in zip(first, images(seed=6), strict=True))


def test_noise_differs_from_place_to_place_and_step_to_step():
    same = ArraySplit(
        np.tile(np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1), (32, 1, 1, 1)), np.zeros(32, np.int32)
    )
    dataset = training_batches(same, batch_size=16, seed=0, augmentation=RandomAffine(shift=0.5))
    (one, _), (other, _) = itertools.islice(dataset.as_numpy_iterator(), 2)
    assert len({image.tobytes() for image in one}) > 8
    assert (one != other).any()


@pytest.mark.parametrize(
    ("fields", "words"), [({"shift": 1.1}, "shift is 1.1"), ({"fill": 256}, "fill is 256")]
)
def test_augmentation_fields_are_checked(fields, words):
    with pytest.raises(UsageError, match=words):
        RandomAffine(**fields)


# ----------------------------------------------------------------------------------------------- replicas

REPLICAS = """
    import itertools
    import numpy as np
    import kerasdl
    import tensorflow as tf
    from kerasdl import RandomAffine
    from kerasdl.data.batches import training_batches
    from kerasdl.data.splits import ArraySplit

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)
    split = ArraySplit(images, np.arange(50, dtype=np.int32))

    def batches():
        affine = RandomAffine(shift=0.3)
        return training_batches(split, batch_size=8, seed=3, start_step=4, augmentation=affine)

    dealt = strategy.experimental_distribute_dataset(batches())
    for (images, labels), (whole_images, whole_labels) in zip(itertools.islice(dealt, 9), batches()):
        for replica in range(2):
            rows = slice(4 * replica, 4 * replica + 4)
            assert (images.values[replica].numpy() == whole_images[rows].numpy()).all()
            assert (labels.values[replica].numpy() == whole_labels[rows].numpy()).all()
            assert images.values[replica].shape == (4, 8, 8, 1)
    print("halves")
"""


@pytest.mark.slow
def test_replicas_get_consecutive_halves_of_the_global_batch():
    # In a process of its own: logical devices have to be made before TensorFlow starts.
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(REPLICAS)], capture_output=True, text=True)
    assert done.stdout == "halves\n", done.stderr[-2000:]


def test_augmented_examples_are_originals_and_other_copies():
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 1)).astype(np.uint8)
    split = ArraySplit(pixels, array_split().targets)
    shown = RandomAffine(shift=0.5).samples(split, seed=5, rows=3, copies=4)["images"]
    assert shown.shape == (3, 5, 8, 8, 1)
    first = next(iter(training_batches(split, batch_size=3, seed=5)))[0].numpy()
    np.testing.assert_array_equal(shown[:, 0], first)
    assert len({copy.tobytes() for copy in shown[1]}) == 5
