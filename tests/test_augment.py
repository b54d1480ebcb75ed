"""What natural images are changed by, and the labels of mixed ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data.batches import training_batches
from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.images.affine import RandomAffine
from kerasdl.data.images.augment import ImageAugmentation
from kerasdl.data.splits import ArraySplit
from kerasdl.errors import UsageError
from kerasdl.tasks.classification.losses import Accuracy, SparseCrossentropy
from kerasdl.tasks.classification.task import Classification

COUNT, SIZE = 64, 12
SEED = (3, 5)


def images(channels=3):
    return np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, channels)).astype(np.uint8)


def changed(pixels, seed=SEED, **fields):
    labels = tf.range(len(pixels), dtype=tf.int32)
    result = ImageAugmentation(**fields)(tf.constant(pixels), labels, tf.constant(seed, tf.int64))
    return [part.numpy() for part in result]


def test_nothing_set_changes_nothing():
    result, labels = changed(images())
    np.testing.assert_array_equal(result, images())
    np.testing.assert_array_equal(labels, np.arange(COUNT))


def test_each_crop_is_a_window_of_the_reflected_image():
    result, _ = changed(images(), crop=3)
    padded = np.pad(images(), ((0, 0), (3, 3), (3, 3), (0, 0)), "reflect")
    seen = set()
    for image, wide in zip(result, padded, strict=True):
        windows = {
            (y, x)
            for y in range(7)
            for x in range(7)
            if np.array_equal(image, wide[y : y + SIZE, x : x + SIZE])
        }
        assert len(windows) == 1
        seen |= windows
    assert {y for y, _ in seen} == {x for _, x in seen} == set(range(7))


def test_half_are_mirrored():
    result, _ = changed(images(), flip=True)
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(result, images(), strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(result, images(), strict=True)]
    assert all(np.logical_xor(mirrored, same))
    assert 0.3 < np.mean(mirrored) < 0.7


def test_cutout_paints_one_square():
    white = np.full_like(images(), 255)
    result, _ = changed(white, cutout=4)
    covered = (result == 128).all(-1)
    assert ((result == 255).all(-1) | covered).all()
    assert covered.sum((1, 2)).max() == 16
    for mask in covered:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask.sum() == len(rows) * len(columns) > 0
        assert max(len(rows), len(columns)) <= 4
    assert len({mask.tobytes() for mask in covered}) > 10


def test_colours():
    grey = np.full((512, 4, 4, 3), 100, np.uint8)
    bright, _ = changed(grey, brightness=0.2)
    level = bright[:, 0, 0, 0].astype(int)
    assert (bright == bright[:, :1, :1, :1]).all()
    assert 49 <= level.min() < 60
    assert 140 < level.max() <= 151
    np.testing.assert_array_equal(changed(grey, contrast=0.5, saturation=0.5)[0], grey)
    pixels = images()
    contrasted, _ = changed(pixels // 2 + 64, contrast=0.3)
    ratio = contrasted.std((1, 2, 3)) / (pixels // 2 + 64).std((1, 2, 3))
    assert 0.68 < ratio.min() < 0.8
    assert 1.2 < ratio.max() < 1.32
    saturated, _ = changed(pixels // 2 + 64, saturation=0.3)
    np.testing.assert_allclose(saturated.mean(-1), (pixels // 2 + 64).mean(-1), atol=1)
    assert np.abs(saturated.astype(int) - (pixels // 2 + 64)).max() > 10
    np.testing.assert_array_equal(changed(images(1), saturation=0.3)[0], images(1))


def test_noise_has_the_given_deviation():
    grey = np.full((32, 16, 16, 3), 128, np.uint8)
    noise = changed(grey, noise=0.1)[0].astype(float) - 128
    assert noise.std() == pytest.approx(25.5, rel=0.05)
    assert abs(noise.mean()) < 0.5
    assert not np.array_equal(noise[0], noise[1])


def test_mixup_is_the_sum_of_two_by_the_share_of_the_label():
    pixels = images()
    result, labels = changed(pixels, mixup=0.5)
    share = labels[:, 2].reshape(-1, 1, 1, 1)
    np.testing.assert_array_equal(labels[:, 0], np.arange(COUNT))
    np.testing.assert_array_equal(labels[:, 1], (np.arange(COUNT) + 1) % COUNT)
    np.testing.assert_allclose(result, share * pixels + (1 - share) * np.roll(pixels, -1, 0), atol=0.51)
    assert share.min() < 0.2
    assert share.max() > 0.8


def test_cutmix_pastes_a_rectangle_of_the_size_the_label_says():
    black = np.zeros_like(images())
    black[1::2] = 255
    result, labels = changed(black, cutmix=1.0)
    other = (result == np.roll(black, -1, 0)).all(-1)
    np.testing.assert_allclose(1 - other.mean((1, 2)), labels[:, 2], atol=1e-6)
    for mask in other:
        assert mask.sum() == mask.any(1).sum() * mask.any(0).sum()
    assert labels[:, 2].std() > 0.1


def test_mixed_labels_in_loss_and_accuracy():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 5)).astype(np.float32)
    first, second, share = [0, 1, 2, 3], [4, 3, 2, 1], [1.0, 0.25, 0.7, 0.5]
    mixed = np.stack([first, second, share], axis=1).astype(np.float32)
    for smoothing in (0.0, 0.1):
        loss = SparseCrossentropy(label_smoothing=smoothing, reduction=None)
        a, b = (loss(np.array(labels), logits).numpy() for labels in (first, second))
        expected = np.array(share) * a + (1 - np.array(share)) * b
        np.testing.assert_allclose(loss(mixed, logits), expected, rtol=1e-5)
    metric = Accuracy()
    metric.update_state(mixed, np.eye(5, dtype=np.float32)[[0, 3, 0, 3]])
    assert float(metric.result()) == 0.75
    metric.update_state(np.array([1, 1, 1, 1]), np.eye(5, dtype=np.float32)[[1, 1, 1, 1]])
    assert float(metric.result()) == 0.875


ALL = {"crop": 2, "flip": True, "brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "noise": 0.05}
ALL |= {"cutout": 3, "cutmix": 1.0}


@pytest.mark.slow
def test_a_step_is_the_same_again_and_the_next_one_another():
    split = ArraySplit(images(), np.arange(COUNT, dtype=np.int32))

    def batches(start=0):
        arguments = {"batch_size": 16, "seed": 7, "augmentation": ImageAugmentation(**ALL)}
        data = training_batches(split, start_step=start, **arguments)
        return [[part.numpy() for part in batch] for batch in data.take(4 - start)]

    whole = batches()
    for before, after in zip(whole[2:], batches(2), strict=True):
        for a, b in zip(before, after, strict=True):
            np.testing.assert_array_equal(a, b)
    # One image, all the batch long, in two steps: each sample of each step has noise of its own.
    same = ArraySplit(np.repeat(images()[:1], 32, 0), np.zeros(32, np.int32))
    arguments = {"batch_size": 16, "seed": 7, "augmentation": ImageAugmentation(crop=2, noise=0.1)}
    seen = np.concatenate([x.numpy() for x, _ in training_batches(same, **arguments).take(2)])
    assert len({image.tobytes() for image in seen}) == 32


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"noise": 1.5}, "noise is 1.5"),
        ({"crop": -1}, "crop is -1"),
        ({"mixup": 0.2, "cutmix": 1.0}, "keep one"),
    ],
)
def test_fields_are_checked(fields, words):
    with pytest.raises(UsageError, match=words):
        ImageAugmentation(**fields)


@pytest.mark.parametrize("name", ["crop", "cutout"])
def test_shifts_and_covers_as_large_as_the_image_are_refused(name):
    with pytest.raises(UsageError, match=f"{name} is 12, .* images of 12x12 .*--{name} 11"):
        ImageAugmentation(**{name: SIZE}).check(Spec((SIZE, SIZE, 3), "uint8"))


@pytest.mark.parametrize("augmentation", [RandomAffine(), ImageAugmentation(flip=True)])
@pytest.mark.parametrize("inputs", [Spec((5,), "float32"), {"image": Spec((SIZE, SIZE, 3), "uint8")}])
def test_other_features_than_an_image_are_refused(augmentation, inputs):
    with pytest.raises(UsageError, match=r"changes images .* other features"):
        augmentation.check(inputs)


def test_a_shift_that_loses_the_image_is_warned_of(caplog):
    ImageAugmentation(crop=3).check(Spec((SIZE, SIZE, 3), "uint8"))
    assert not caplog.messages
    ImageAugmentation(crop=4).check(Spec((SIZE, SIZE, 3), "uint8"))
    assert "crop is 4: it moves images of 12x12 by up to 33% " in caplog.text
    assert "--crop 1." in caplog.text


def test_mixed_examples_weigh_what_their_classes_do():
    classes = Spec((), "int32", ("a", "b", "c"))
    split = ArraySplit(np.zeros((3, 1), np.uint8), np.arange(3))
    data = Dataset(split, split, split, DataSpec(Spec((1,), "uint8"), classes), "")
    weights = Classification(class_weights=(1.0, 3.0, 10.0)).sample_weights(data)
    blocks = np.array([[[0, 1, 0.25], [2, 0, 1.0]]], np.float32)  # (steps, B, 3)
    np.testing.assert_allclose(weights(tf.constant(blocks)), [[2.5, 10.0]])
    np.testing.assert_allclose(weights(tf.constant([[1, 2]])), [[3.0, 10.0]])


@pytest.mark.slow
def test_mixed_labels_train():
    """A network trains on mixed labels and is validated on plain ones, without a second thought."""
    from tests.cases import ALL_CASES

    case = ALL_CASES[0]
    network = case.build()
    network.compile(optimizer="sgd", loss=case.task.loss(None), metrics=case.task.metrics(None))
    pixels, labels = case.examples(16)
    mixed, soft = ImageAugmentation(mixup=0.2)(pixels, tf.constant(labels), tf.constant(SEED, tf.int64))
    data = tf.data.Dataset.from_tensors((mixed, soft))
    history = network.fit(
        data, validation_data=tf.data.Dataset.from_tensors((pixels, labels)), epochs=1, verbose=0
    )
    assert {"accuracy", "val_accuracy"} <= history.history.keys()
    assert np.isfinite(history.history["loss"][0])
    assert keras.ops.ndim(soft) == 2
