"""Preprocessing: the same pixels everywhere, from files as from arrays."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.preprocessing.decoding import decode_image
from kerasdl.preprocessing.image import ImagePreprocessing


def images(height=9, width=7, channels=3):
    return np.random.default_rng(0).integers(0, 256, (2, height, width, channels)).astype(np.uint8)


@pytest.mark.parametrize("size", [(28, 28), (4, 3), (9, 20), (9, 7)])
def test_resize_equals_keras(size):
    layer = ImagePreprocessing(size=size, scale=1.0)
    expected = keras.ops.image.resize(images().astype("float32"), size, antialias=True)
    np.testing.assert_allclose(layer(images()), expected, atol=1e-3)
    assert layer.compute_output_shape((None, 9, 7, 3)) == (None, *size, 3)


def test_scale_and_standardise():
    layer = ImagePreprocessing(mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0))
    expected = (images() / 255 - [0.5, 0.25, 0.0]) / [0.5, 1.0, 2.0]
    np.testing.assert_allclose(layer(images()), expected, atol=1e-5)


def test_fit_measures_mean_and_deviation():
    layer = ImagePreprocessing(standardize=True)
    layer.fit(lambda: [images()[:1], images()[1:]])
    result = layer(images()).numpy()
    np.testing.assert_allclose(result.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(result.std((0, 1, 2)), 1, atol=1e-4)
    untouched = ImagePreprocessing()
    untouched.fit(lambda: pytest.fail("not asked for"))
    assert untouched.mean == (0.0,)


def smooth_images(count=64, size=8):
    """Return images whose neighbouring pixels are alike, as in photographs, (count, size, size, 3) uint8."""
    noise = np.random.default_rng(0).normal(size=(count, size + 3, size + 3, 3))
    smooth = sum(noise[:, y : y + size, x : x + size] for y in range(4) for x in range(4))
    return np.clip(128 + 15 * smooth, 0, 255).astype(np.uint8)


def test_whitened_patches_are_uncorrelated_and_of_equal_variance():
    layer = ImagePreprocessing(mean=(0.5,), std=(0.25,), whiten=2)
    layer.fit(lambda: [smooth_images()[:40], smooth_images()[40:]])
    result = layer(smooth_images()).numpy()
    assert result.shape == (64, 7, 7, 12) and layer.compute_output_shape((None, 8, 8, 3)) == (None, 7, 7, 12)
    values = result.reshape(-1, 12)
    products = values.T @ values / len(values)
    np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=2e-3)
    assert np.diag(products).min() > 0.9 and np.diag(products).max() < 1.001  # short of 1: the part added
    plain = ImagePreprocessing(mean=(0.5,), std=(0.25,))(smooth_images()).numpy()
    left = np.concatenate([plain[:, y : y + 7, x : x + 7] for y in (0, 1) for x in (0, 1)], -1)
    np.testing.assert_allclose(left @ np.array(layer.directions).T, result, atol=1e-4)


def test_whitening_leaves_out_what_never_varies():
    layer = ImagePreprocessing(channels=3, whiten=2)
    grey = smooth_images()[..., :1]
    layer.fit(lambda: [grey])
    lengths = np.linalg.norm(layer.directions, axis=1)
    assert (lengths > 0).sum() == 4  # of 12: the three channels are one
    varies = layer(grey).numpy()[..., lengths > 0].reshape(-1, 4)
    np.testing.assert_allclose((varies**2).mean(0), 1, atol=0.2)


def test_whitening_measures_what_it_gets():
    once = ImagePreprocessing(size=(8, 8), channels=1, standardize=True, whiten=3)
    once.fit(lambda: [smooth_images(size=11)])
    again = ImagePreprocessing(size=(8, 8), channels=1, mean=once.mean, std=once.std, whiten=3)
    again.fit(lambda: [smooth_images(size=11)])
    assert once(smooth_images(size=11)).shape == (64, 6, 6, 9) and once.directions == again.directions


def test_whitening_refuses_what_cannot_be():
    with pytest.raises(UsageError, match="at least 2 by 2"):
        ImagePreprocessing(whiten=1)
    with pytest.raises(UsageError, match="whiten is 5, but images have 4 by 9 pixels"):
        ImagePreprocessing(whiten=5).compute_output_shape((None, 4, 9, 1))


def test_channels_both_ways():
    grey = images(channels=1)
    np.testing.assert_allclose(ImagePreprocessing(channels=3)(grey), np.repeat(grey, 3, -1) / 255, atol=1e-6)
    weights = np.array([0.299, 0.587, 0.114])
    expected = (images() * weights).sum(-1, keepdims=True) / 255
    np.testing.assert_allclose(ImagePreprocessing(channels=1)(images()), expected, atol=1e-5)


def test_channels_in_reverse_order():
    mean = (103.939, 116.779, 123.68)
    layer = ImagePreprocessing(channel_order="bgr", scale=1.0, mean=mean)
    expected = keras.applications.vgg16.preprocess_input(images().astype("float32"))
    np.testing.assert_allclose(layer(images()), expected, atol=1e-4)
    measured = ImagePreprocessing(channel_order="bgr", standardize=True)
    measured.fit(lambda: [images()])
    np.testing.assert_allclose(measured(images()).numpy().mean((0, 1, 2)), 0, atol=1e-4)


def test_grey_images_have_no_order_of_channels():
    with pytest.raises(UsageError, match="channel_order is 'bgr'"):
        ImagePreprocessing(channel_order="bgr", channels=1)
    with pytest.raises(UsageError, match="Give --channels 3"):
        ImagePreprocessing(channel_order="bgr").compute_output_shape((None, 5, 5, 1))


def test_float_and_uint8_pixels_give_the_same():
    layer = ImagePreprocessing(size=(5, 5))
    np.testing.assert_array_equal(layer(images()), layer(images().astype("float32")))


def test_config_round_trip():
    layer = ImagePreprocessing(
        size=(5, 4), channels=3, channel_order="bgr", scale=0.5, mean=(1.0,), std=(2.0,), standardize=True
    )
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(again(images()), layer(images()))


def test_config_round_trip_with_what_whitening_has_found():
    layer = ImagePreprocessing(whiten=2)
    layer.fit(lambda: [images()])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(again(images()), layer(images()))
    again.fit(lambda: pytest.fail("weights behind it were trained on the directions that it has"))


def test_decoding_at_the_trained_size_changes_nothing():
    encoded = tf.io.encode_png(images()[0]).numpy()
    np.testing.assert_array_equal(decode_image(encoded, 9, 7, 3), images()[0])
    assert decode_image(encoded, 4, 5, 1).shape == (4, 5, 1)
