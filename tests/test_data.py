"""Sources of data: what they give, and what they say about input that cannot be used."""

import dataclasses
import json
import re
import shutil
import socket
import types
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from kerasdl import data
from kerasdl.data.batches import evaluation_batches
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.data.labelled.carving import carve
from kerasdl.data.npz import file
from kerasdl.errors import UsageError
from kerasdl.preprocessing.picture import AS_BEFORE
from kerasdl.recipe.document import encode, leaves


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    attempts = []

    def refuse(*arguments, **_):
        attempts.append(arguments)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert attempts == []


def pictures(count, height=6, width=5, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


# ------------------------------------------------------------------------------------------------ carving


def test_carving_is_stratified_deterministic_and_complete():
    labels = np.repeat(np.arange(3, dtype=np.int32), (100, 50, 10))
    stay, taken = carve(labels, 0.2, seed=3)
    assert np.bincount(labels[taken]).tolist() == [20, 10, 2]
    assert sorted([*stay, *taken]) == list(range(160))
    assert (taken == carve(labels, 0.2, seed=3)[1]).all()
    assert (taken != carve(labels, 0.2, seed=4)[1]).any()
    # A seed means the same split for ever: a change here makes old runs unrepeatable.
    assert taken[:5].tolist() == [6, 9, 15, 23, 25]


def test_carving_leaves_every_class_on_both_sides():
    stay, taken = carve(np.array([0, 0, 1, 1, 1], np.int32), 0.01, seed=0)
    assert len(taken) == 2 and len(stay) == 3
    stay, taken = carve(np.array([0, 0, 1, 1, 1], np.int32), 0.99, seed=0)
    assert len(taken) == 3 and len(stay) == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"validation_fraction": 0.0}, "validation_fraction is 0"),
        ({"test_fraction": 1.0}, "test_fraction is 1"),
        ({"split_seed": -1}, "split_seed is -1"),
    ],
)
def test_fields_are_checked(fields, words):
    with pytest.raises(UsageError, match=words):
        data.Digits(**fields)


# ------------------------------------------------------------------------------------------------- digits


def test_digits():
    splits = data.Digits().load()
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1295, 143, 359)
    assert splits.spec.inputs.shape == (8, 8, 1) and splits.spec.class_names == tuple("0123456789")
    assert splits.train.features.dtype == np.uint8 and splits.train.features.max() == 255
    assert splits.train.targets.dtype == np.int32
    assert splits.fingerprint == data.Digits().load().fingerprint
    assert splits.fingerprint != data.Digits(split_seed=1).load().fingerprint


# ---------------------------------------------------------------------------------------------------- npz


def arrays(**changes):
    given = {
        "x_train": pictures(20),
        "y_train": np.arange(20) % 2,
        "x_test": pictures(4, seed=1),
        "y_test": np.arange(4) % 2,
    } | changes
    return {key: value for key, value in given.items() if value is not None}


def saved(tmp_path, **changes):
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **arrays(**changes))
    return data.Npz(path=str(path))


def test_npz(tmp_path):
    splits = saved(tmp_path).load()
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (18, 2, 4)
    assert (splits.test.features == pictures(4, seed=1)).all()
    assert splits.spec.inputs.shape == (6, 5, 3) and splits.spec.class_names == ("0", "1")


def test_npz_with_its_own_validation_grey_and_column_labels(tmp_path):
    source = saved(
        tmp_path,
        x_train=pictures(20)[..., 0],
        x_test=pictures(4)[..., 0],
        y_train=(np.arange(20) % 2)[:, None],
        x_val=pictures(6)[..., 0],
        y_val=np.arange(6) % 2,
    )
    splits = source.load()
    assert (len(splits.train), len(splits.validation)) == (20, 6)
    assert splits.spec.inputs.shape == (6, 5, 1) and splits.train.targets.shape == (20,)


@pytest.mark.parametrize("scale", [1, 1 / 255])
def test_npz_floats_are_recognised(tmp_path, scale):
    x_train, x_test = (pictures(20) * scale).astype("float32"), (pictures(4) * scale).astype("float32")
    splits = saved(tmp_path, x_train=x_train, x_test=x_test).load()
    assert (splits.test.features == pictures(4)).all()


def unit(count, **changes):
    """Return float images 0..1 with some pixels changed."""
    x = (pictures(count) / 255).astype("float32")
    for value in changes.values():
        x[:, 0, 0, 0] = value
    return x


@pytest.mark.parametrize(
    ("x", "white", "scale", "words"),
    [
        (unit(20, overshoot=1.0000001), None, 255, "20 of 1,800 pixels of x_train lie outside of 0..1"),
        (unit(20, overshoot=1.02), None, 255, "0 to 1.01999998"),
        (unit(20, undershoot=-1e-7), None, 255, "-.*e-0[78] to 1"),
        (np.where(pictures(20) > 250, 256.5, pictures(20)), None, 1, "outside of 0..255"),
        (pictures(20) // 16, None, 1, "up to 15 only .* nearly black. .*--white 15"),
        (pictures(20) // 16, 15, 17, None),
        (pictures(20).astype(int) * 16, 4080, 1 / 16, None),
        (pictures(20) > 100, None, 255, None),
        ((pictures(20) > 100).astype("uint8"), None, 255, None),
        ((pictures(20) > 100).astype(int), 255, 1, "up to 1 only"),
    ],
)
def test_npz_ranges(tmp_path, x, white, scale, words):
    path = saved(tmp_path, x_train=x, x_test=x[:4], x_val=x[:4], y_val=np.arange(4) % 2).path
    splits = data.Npz(path=path, white=white).load()
    wanted = np.clip(np.round(x * np.float64(scale)), 0, 255)
    np.testing.assert_array_equal(splits.train.features, wanted)
    np.testing.assert_array_equal(splits.test.features, wanted[:4])
    found = [note for note in splits.notes if "pixels" in note.lower()]
    assert bool(found) == bool(words) and (not words or re.search(words, found[0]))


@pytest.mark.parametrize(("divisor", "is_said"), [(16, True), (4, True), (2, False)])
def test_npz_splits_of_different_ranges_are_said(tmp_path, divisor, is_said):
    x_train = pictures(20)
    x_train[0, 0, 0, 0] = 252
    notes = saved(tmp_path, x_train=x_train, x_test=pictures(4).clip(0, 252) // divisor).load().notes
    found = [note for note in notes if "different ranges" in note]
    assert len(found) == is_said
    if is_said:
        assert re.search(rf"0\.\.\d+ in x_train, 0\.\.{252 // divisor} in x_test", found[0])


def test_npz_masks_of_an_earlier_run_stay_what_they_were(tmp_path):
    x = (pictures(20) > 100).astype("uint8")
    source = saved(tmp_path, x_train=x, x_test=x[:4])
    then = Spec((6, 5, 3), "uint8", picture=AS_BEFORE)
    assert source.load().test.features.max() == 255
    assert source.like(DataSpec(then, then)).load().test.features.max() == 1


def test_fingerprint_changes_with_one_pixel_one_label_and_the_order(tmp_path):
    x, y = pictures(20), np.arange(20) % 2
    pixel, label = x.copy(), y.copy()
    pixel[7, 3, 3, 1] ^= 1
    label[7] ^= 1
    swap = [1, 0, *range(2, 20)]
    changes = [{}, {"x_train": pixel}, {"y_train": label}, {"x_train": x[swap], "y_train": y[swap]}]
    changes.append({"y_test": np.array([1, 1, 0, 1])})
    fingerprints = [saved(tmp_path, **change).load().fingerprint for change in changes]
    assert len(set(fingerprints)) == 5
    assert saved(tmp_path).load().fingerprint == fingerprints[0]


def objects(count):
    return np.array([{"any": "thing"}] * count, object)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_test": None}, r"no array y_test; it has x_train"),
        ({"x_train": None, "X_train": pictures(20)}, "Did you mean 'X_train'"),
        ({"x_val": pictures(3)}, "only one of x_val and y_val"),
        ({"x_train": objects(20)}, "x_train .* pickled .* refused"),
        ({"x_test": pictures(0), "y_test": np.zeros(0, int)}, "x_test .* is empty"),
        ({"x_train": pictures(20).reshape(20, -1)}, r"shape \(20, 90\), but images are"),
        ({"x_train": pictures(20, channels=4), "x_test": pictures(4, channels=4)}, "4 channels"),
        ({"x_train": np.moveaxis(pictures(20), -1, 1)}, "Move the channels to the end"),
        ({"x_test": pictures(4, height=7)}, r"x_train are \(6, 5, 3\) .* x_test \(7, 5, 3\)"),
        ({"x_train": pictures(20) / 255, "x_test": pictures(4)}, "different ranges"),
        ({"x_train": pictures(20) / 127.5 - 1}, "from -1 to 1, .* 0..255, or 0..1"),
        ({"x_train": pictures(20).astype(int) * 10}, "have to lie in 0..255.* --white 2"),
        ({"x_train": np.where(pictures(20) > 254, np.nan, 0.5)}, "NaN or infinite"),
        ({"x_test": np.full((4, 6, 5, 3), np.inf)}, "x_test holds NaN or infinite"),
        ({"x_train": pictures(20) > 100}, "different ranges"),
        (
            {"x_train": pictures(20) / 100, "x_test": pictures(4) / 100},
            "neither 0..1 nor 0..255.* --white 2.55",
        ),
        ({"x_train": pictures(20).astype(complex)}, "dtype complex"),
        ({"x_train": np.zeros((20, 3072), "uint8")}, r"x.reshape\(-1, 3, 32, 32\).transpose"),
        ({"x_train": np.zeros((20, 784), "uint8")}, r"x.reshape\(-1, 28, 28\)"),
        ({"y_train": np.arange(20) % 2 == 1}, r"Convert them: y.astype\(int\)\.$"),
        ({"y_train": np.arange(20) % 2 + 0.0}, r"Convert them: y.astype\(int\)\. For regression"),
        ({"y_train": np.array(["cat", "dog"] * 10)}, "np.unique"),
        ({"y_train": np.arange(19) % 2}, "20 images but y_train has 19 labels"),
        ({"y_train": np.eye(2)[np.arange(20) % 2]}, "One-hot"),
        ({"y_train": np.arange(20) % 2 + 0.5}, "whole numbers"),
        ({"y_train": np.arange(20) % 2 - 1}, "goes from -1 to 0"),
        ({"y_train": np.arange(20) % 2 * 2}, "2 classes, up to 2, but none of class 1"),
        ({"y_train": np.zeros(20, int)}, "one class only"),
        ({"y_test": np.array([0, 1, 2, 1])}, "y_test has the label 2, out of range"),
        ({"y_train": np.array([1] + [0] * 19)}, "'1' has too few training examples to split: 1"),
    ],
)
def test_npz_that_cannot_be_used(tmp_path, changes, words):
    with pytest.raises(UsageError, match=f"(?s){words}"):
        saved(tmp_path, **changes).load()


def numbers(count, *shape):
    return np.random.default_rng(count).normal(size=(count, *shape))


@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_npz_with_numbers_to_predict(tmp_path, shape):
    changes = {"x_train": numbers(20, 4), "x_test": numbers(4, 4)}
    splits = saved(tmp_path, **changes, y_train=numbers(20, *shape), y_test=numbers(4, *shape)).load()
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (18, 2, 4)
    assert splits.spec.inputs == Spec((4,), "float32") and splits.spec.class_names == ()
    assert splits.test.features.dtype == splits.test.targets.dtype == np.float32
    np.testing.assert_array_equal(splits.test.targets, numbers(4, *shape).astype(np.float32))
    spec = splits.spec.targets
    assert (spec.shape, spec.dtype) == (shape, "float32")
    np.testing.assert_allclose(spec.mean, splits.train.targets.reshape(18, -1).mean(0), rtol=1e-5)
    others = numbers(20, *shape)
    others[7] += 1e-3
    other = saved(tmp_path, **changes, y_train=others, y_test=numbers(4, *shape)).load()
    assert other.fingerprint != splits.fingerprint


def test_npz_features_of_any_kind_with_numbers(tmp_path):
    words = np.array(["a", "longer text"] * 10)
    for x, dtype in ((words, "string"), (pictures(20), "uint8"), (np.arange(20) > 5, "bool")):
        splits = saved(tmp_path, x_train=x, x_test=x[:4], y_train=numbers(20), y_test=numbers(4)).load()
        assert splits.spec.inputs == Spec(x.shape[1:], dtype)
        np.testing.assert_array_equal(splits.test.features, x[:4])


def test_npz_says_what_its_targets_are(tmp_path):
    path = saved(tmp_path, y_train=np.arange(20.0), y_test=np.arange(4.0)).path
    with pytest.raises(UsageError, match=r"y_train has the dtype float64.* --targets numbers"):
        data.Npz(path=path).load()
    assert data.Npz(path=path, targets="numbers").load().spec.targets.dtype == "float32"
    one_hot = {"y_train": np.eye(2)[np.arange(20) % 2], "y_test": np.eye(2)[np.arange(4) % 2]}
    with pytest.raises(UsageError, match="One-hot"):
        saved(tmp_path, **one_hot).load()
    path = saved(tmp_path).path
    assert data.Npz(path=path).load().spec.class_names == ("0", "1")
    assert data.Npz(path=path, targets="numbers").load().spec.class_names == ()
    with pytest.raises(UsageError, match="choose by class"):
        data.Npz(path=path, targets="numbers", images_per_class=3)
    with pytest.raises(UsageError, match="y_train has the dtype float64"):
        data.Npz(path=saved(tmp_path, y_train=numbers(20), y_test=numbers(4)).path, targets="classes").load()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_train": np.full(20, np.nan)}, "y_train holds NaN"),
        ({"x_test": np.full((4, 6, 5, 3), np.inf), "x_train": numbers(20, 6, 5, 3)}, "x_test holds NaN"),
        ({"x_test": pictures(4, height=7)}, r"x_train has examples \(6, 5, 3\) of uint8, x_test \(7, 5, 3\)"),
        ({"y_test": numbers(4, 2)}, r"y_train has examples \(\) of float32, y_test \(2,\)"),
        ({"y_train": numbers(20, 2, 2), "y_test": numbers(4, 2, 2)}, r"numbers of shape \(N,\) or \(N, K\)"),
        ({"x_train": numbers(20).astype(complex), "x_test": numbers(4).astype(complex)}, "dtype complex128"),
        ({"y_train": numbers(19)}, "20 examples but y_train has 19 targets"),
        ({"x_train": pictures(1), "y_train": numbers(1)}, "too few training examples to split: 1"),
    ],
)
def test_npz_numbers_that_cannot_be_used(tmp_path, changes, words):
    path = saved(tmp_path, **({"y_train": numbers(20), "y_test": numbers(4)} | changes)).path
    with pytest.raises(UsageError, match=f"(?s){words}"):
        data.Npz(path=path, targets="numbers").load()


def test_a_source_of_an_earlier_version_with_fewer_fields_is_the_same():
    now = encode(data.Npz(path="x.npz"))
    then = {**now, "fields": {name: value for name, value in now["fields"].items() if name != "targets"}}
    assert dict(leaves(then)) == dict(leaves(now))
    assert dict(leaves(encode(data.Npz(path="x.npz", targets="numbers")))) != dict(leaves(then))


def test_npz_in_any_order_in_memory(tmp_path):
    x = np.asfortranarray(pictures(20))
    splits = saved(tmp_path, x_train=x, x_test=np.asfortranarray(pictures(4))).load()
    assert splits.fingerprint == saved(tmp_path, x_test=pictures(4)).load().fingerprint
    assert (splits.test.features == pictures(4)).all()


def test_descriptions_of_data_are_read_again():
    image, size = Spec((4, 4, 1), "uint8"), Spec((None,), "string")
    kind = Spec((), "int32", ("a", "b"))
    amount = Spec((2,), "float32", mean=(1.0, 2.0), std=(0.5, 1.5))
    for spec in (
        DataSpec(image, kind),
        DataSpec(image, amount),
        DataSpec({"image": image, "size": size}, {"kind": kind, "amount": amount}),
    ):
        written = json.loads(json.dumps(spec.describe()))
        assert DataSpec.from_description(written) == spec
    # Single classes are written as they always were, so that receipts can be compared.
    earlier = DataSpec(Spec((4, 4, 1), "uint8", picture=AS_BEFORE), kind)
    assert json.loads(json.dumps(earlier.describe())) == {
        "features": {"shape": [4, 4, 1], "dtype": "uint8"},
        "class_names": ["a", "b"],
    }


def test_npz_files_that_are_none(tmp_path):
    saved(tmp_path)
    with pytest.raises(UsageError, match=r"no file .*Did you mean 'mine.npz'"):
        data.Npz(path=str(tmp_path / "mime.npz")).load()
    text = tmp_path / "text.npz"
    text.write_text("x_train, y_train")
    with pytest.raises(UsageError, match="is not an"):
        data.Npz(path=str(text)).load()
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        for key in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(key, "no array")
    with pytest.raises(UsageError, match="is not a NumPy array"):
        data.Npz(path=str(tmp_path / "other.npz")).load()


def lying(path, shape):
    """Write an npz file whose x_train says that it has another shape."""
    with zipfile.ZipFile(path, "w") as archive:
        for key, array in arrays().items():
            with archive.open(f"{key}.npy", "w") as stream:
                described = {"descr": "|u1", "fortran_order": False, "shape": shape}
                if key == "x_train":
                    np.lib.format.write_array_header_1_0(stream, described)
                    stream.write(array.tobytes())
                else:
                    np.save(stream, array)


@pytest.mark.parametrize("shape", [(10**12, 8, 8), (2**61, 8), (-5, 8, 8), (2000, 6, 5, 3)])
def test_npz_headers_that_lie(tmp_path, shape):
    lying(tmp_path / "lying.npz", shape)
    with pytest.raises(UsageError, match=r"x_train in .*lying.npz is damaged: its header says"):
        data.Npz(path=str(tmp_path / "lying.npz")).load()


def test_npz_that_expands_too_much(tmp_path, monkeypatch):
    zeros = saved(tmp_path, x_train=np.zeros((20, 100, 100), "uint8")).path
    monkeypatch.setattr(file, "_LARGE", 2**17)
    monkeypatch.setattr(file, "_MOST_EXPANSION", 20)
    with pytest.raises(UsageError, match=r"0.0 MB and expands to 0.0 GB, .* np\.savez"):
        data.Npz(path=zeros).load()
    monkeypatch.setattr(file.psutil, "virtual_memory", lambda: types.SimpleNamespace(available=1000))
    with pytest.raises(UsageError, match="GB of memory are free"):
        saved(tmp_path).load()


def test_npz_with_flipped_bytes_is_damaged(tmp_path):
    source = saved(tmp_path)
    path = tmp_path / "mine.npz"
    content = bytearray(path.read_bytes())
    content[300:400] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(UsageError, match="damaged"):
        source.load()


# ------------------------------------------------------------------------------------------------- folder

ENCODERS = {
    ".png": tf.io.encode_png,
    ".JPG": lambda image: tf.io.encode_jpeg(image, quality=100),
    ".jpeg": lambda image: tf.io.encode_jpeg(image, quality=100),
}


def bmp(image):
    """Encode (H, W, 3) uint8 as an uncompressed 24-bit BMP, which TensorFlow can only read."""
    height, width, _ = image.shape
    rows = b"".join(row[:, ::-1].tobytes() + bytes(-width * 3 % 4) for row in image[::-1])
    header = [(54 + len(rows), 4), (0, 4), (54, 4), (40, 4), (width, 4), (height, 4), (1, 2), (24, 2)]
    header += [(0, 4), (len(rows), 4), (2835, 4), (2835, 4), (0, 4), (0, 4)]
    return b"BM" + b"".join(value.to_bytes(size, "little") for value, size in header) + rows


def gif(image):
    """Encode an all-grey (H, W, 3) uint8 image of even values as a GIF without compression."""
    height, width, _ = image.shape
    palette = b"".join(bytes([2 * grey] * 3) for grey in range(128))
    codes = [128]  # the clear code, now and then, keeps every code at 8 bits
    for place, pixel in enumerate(image[..., 0].ravel()):
        codes += [128] * (place % 100 == 0 and place > 0) + [int(pixel) // 2]
    data_bytes = bytes([*codes, 129])
    blocks = b"".join(
        bytes([len(data_bytes[i : i + 255])]) + data_bytes[i : i + 255]
        for i in range(0, len(data_bytes), 255)
    )
    size = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return b"GIF89a" + size + b"\xf6\0\0" + palette + b"," + bytes(4) + size + b"\0\x07" + blocks + b"\0;"


def fill(root, count=6, classes=("cat", "dog"), channels=3, height=6, seed=0):
    for number, name in enumerate(classes):
        folder = root / name
        folder.mkdir(parents=True)
        images = pictures(count, height=height, channels=channels, seed=seed + number)
        for index, image in enumerate(images):
            (folder / f"{index:03}.png").write_bytes(tf.io.encode_png(image).numpy())
    return root


def folder(root, **fields):
    return data.ImageFolder(path=str(root), **fields)


def examples(split):
    batches = list(evaluation_batches(split, batch_size=4).as_numpy_iterator())
    return np.concatenate([batch[0] for batch in batches]), np.concatenate([batch[1] for batch in batches])


def test_folder(tmp_path):
    splits = folder(fill(tmp_path, 10)).load()
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (14, 2, 4)
    assert splits.spec.class_names == ("cat", "dog") and splits.spec.inputs.shape == (6, 5, 3)
    everything = np.concatenate([splits.train.features, splits.validation.features, splits.test.features])
    given = np.concatenate([pictures(10, seed=0), pictures(10, seed=1)])
    assert sorted(image.tobytes() for image in everything) == sorted(image.tobytes() for image in given)
    assert splits.notes == ()


def test_folder_with_split_folders(tmp_path):
    for seed, name in enumerate(("train", "val", "test")):
        fill(tmp_path / name, 4 - seed, seed=10 * seed)
    splits = folder(tmp_path).load()
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (8, 6, 4)
    assert (splits.test.features == np.concatenate([pictures(2, seed=20), pictures(2, seed=21)])).all()


@pytest.mark.slow
def test_what_is_streamed_equals_what_is_in_memory(tmp_path):
    fill(tmp_path, 8)
    memory, stream = folder(tmp_path).load(), folder(tmp_path, max_memory_mb=0).load()
    for name in ("train", "validation", "test"):
        held, read = getattr(memory, name), getattr(stream, name)
        assert type(held).__name__ == "ArraySplit" and type(read).__name__ == "FileSplit"
        for one, other in zip(examples(held), examples(read), strict=True):
            assert (one == other).all()
    assert memory.fingerprint == stream.fingerprint


def test_folder_fingerprint_is_of_the_content(tmp_path):
    fill(tmp_path / "one"), fill(tmp_path / "two")
    assert folder(tmp_path / "one").load().fingerprint == folder(tmp_path / "two").load().fingerprint
    changed = pictures(6)[0]
    changed[0, 0, 0] ^= 1
    (tmp_path / "two/cat/000.png").write_bytes(tf.io.encode_png(changed).numpy())
    assert folder(tmp_path / "one").load().fingerprint != folder(tmp_path / "two").load().fingerprint


def test_folder_of_every_format_in_any_case_with_links_and_clutter(tmp_path):
    image = np.repeat(pictures(1, channels=1)[0] // 2 * 2, 3, axis=-1)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for suffix, encoder in ENCODERS.items():
            (tmp_path / name / f"x{suffix}").write_bytes(encoder(image).numpy())
        (tmp_path / name / "y.bmp").write_bytes(bmp(image))
        (tmp_path / name / "z.GIF").write_bytes(gif(image))
        (tmp_path / name / "link.png").symlink_to(tmp_path / name / "x.png")
        (tmp_path / name / ".hidden.png").write_text("no image")
        (tmp_path / name / "notes.txt").write_text("no image")
    (tmp_path / ".git").mkdir()
    splits = folder(tmp_path, image_channels=3).load()
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 12
    found = np.concatenate([splits.train.features, splits.validation.features, splits.test.features])
    errors = np.abs(found.astype(int) - image).max(axis=(1, 2, 3))
    assert (errors == 0).sum() == 8 and errors.max() < 40  # TensorFlow's fast JPEG decoding is rough on noise


def test_grey_bmp_and_gif_stay_grey(tmp_path):
    image = np.repeat(pictures(1, channels=1)[0] // 2 * 2, 3, axis=-1)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(3):
            (tmp_path / name / f"{index}.bmp").write_bytes(bmp(image))
            (tmp_path / name / f"{index}.gif").write_bytes(gif(image))
    splits = folder(tmp_path).load()
    assert splits.spec.inputs.shape == (6, 5, 1)
    assert (splits.train.features == image[..., :1]).all()


def test_channels_follow_the_images(tmp_path):
    fill(tmp_path / "grey", channels=1), fill(tmp_path / "colour")
    assert folder(tmp_path / "grey").load().spec.inputs.shape == (6, 5, 1)
    assert folder(tmp_path / "grey", image_channels=3).load().spec.inputs.shape == (6, 5, 3)
    assert folder(tmp_path / "colour", image_channels=1).load().spec.inputs.shape == (6, 5, 1)
    # Grey that is stored as colour is grey too; one colour image makes all colour.
    image = np.repeat(pictures(1, channels=1)[0], 3, axis=-1)
    (tmp_path / "grey/cat/rgb.png").write_bytes(tf.io.encode_png(image).numpy())
    assert folder(tmp_path / "grey").load().spec.inputs.shape == (6, 5, 1)
    (tmp_path / "grey/dog/rgb.png").write_bytes(tf.io.encode_png(pictures(1)[0]).numpy())
    assert folder(tmp_path / "grey").load().spec.inputs.shape == (6, 5, 3)


def test_images_of_different_sizes_are_brought_to_the_most_common_one(tmp_path):
    fill(tmp_path)
    (tmp_path / "dog/tall.png").write_bytes(tf.io.encode_png(pictures(1, height=12)[0]).numpy())
    splits = folder(tmp_path).load()
    assert splits.spec.inputs.shape == (6, 5, 3)
    assert "from 6x5 to 12x5" in splits.notes[0]
    assert folder(tmp_path, image_size=(3, 4)).load().spec.inputs.shape == (3, 4, 3)
    with pytest.raises(UsageError, match="image_size"):
        folder(tmp_path, image_size=(0, 4))


@pytest.mark.by_default(lambda damage, max_memory_mb: (max_memory_mb == 0) == (damage in ("cut", "dangling")))
@pytest.mark.parametrize("max_memory_mb", [0, 2048])
@pytest.mark.parametrize("damage", ["cut", "empty", "text", "dangling"])
def test_bad_images_are_named_or_skipped_and_counted(tmp_path, damage, max_memory_mb):
    fill(tmp_path)
    clean = folder(tmp_path).load()
    bad = tmp_path / "dog/002a.png"
    content = (tmp_path / "dog/002.png").read_bytes()
    if damage == "dangling":
        bad.symlink_to(tmp_path / "nowhere.png")
    else:
        bad.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"no image"}[damage])
    with pytest.raises(UsageError, match=r"002a\.png cannot be read: .* --skip-bad-images"):
        folder(tmp_path, max_memory_mb=max_memory_mb).load()
    splits = folder(tmp_path, max_memory_mb=max_memory_mb, skip_bad_images=True).load()
    assert splits.notes == (f"1 bad image was skipped: {bad}",)
    assert splits.fingerprint == clean.fingerprint
    for one, other in zip(examples(splits.train), examples(clean.train), strict=True):
        assert (one == other).all()


def test_a_bad_image_that_was_not_looked_at_is_named_too(tmp_path):
    fill(tmp_path, 250)
    bad = tmp_path / "cat/003.png"
    bad.write_bytes(bad.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"003\.png cannot be read"):
        folder(tmp_path).load()


def test_a_class_of_bad_images_only(tmp_path):
    fill(tmp_path, 3)
    for path in (tmp_path / "dog").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UsageError, match="No image of class 'dog' of the train split"):
        folder(tmp_path, skip_bad_images=True).load()


def test_folders_that_cannot_be_used(tmp_path):
    def complaint(root, words):
        with pytest.raises(UsageError, match=words):
            folder(root).load()

    fill(tmp_path / "images", 3)
    complaint(tmp_path / "imagse", "no folder .*Did you mean 'images'")
    (tmp_path / "bare").mkdir()
    complaint(tmp_path / "bare", "no class folders")
    fill(tmp_path / "single", 3, classes=("cat",))
    complaint(tmp_path / "single", r"one class only \(cat\)")
    (tmp_path / "images/fox").mkdir()
    complaint(tmp_path / "images", r"class folder .*fox is empty")
    fill(tmp_path / "few", 2)
    complaint(tmp_path / "few", "'cat' has too few training examples to split: 2, .* at least 3")


def test_a_folder_without_class_folders_is_one_class_for_tasks_that_need_none(tmp_path):
    photos = fill(tmp_path, 6, classes=("photos",)) / "photos"
    fill(photos, 2, classes=("old",))
    (photos / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"one class only \(old\)"):
        folder(photos).load()
    found = folder(photos).without_classes().load()
    assert found.spec.class_names == ("image",) and set(found.train.targets) == {0}
    assert [len(getattr(found, name)) for name in ("train", "validation", "test")] == [4, 1, 1]
    assert found.notes == (f"Left out of {photos}: 1 .txt (notes.txt), 2 images in the sub-folder old.",)
    for name in ("train", "test"):
        shutil.copytree(photos, tmp_path / "parts" / name)
    assert len(folder(tmp_path / "parts").without_classes().load().test) == 6
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"empty has no images: no JPEG"):
        folder(tmp_path / "empty").without_classes().load()


def test_class_folders_stay_classes_for_tasks_that_need_none(tmp_path):
    (fill(tmp_path, 3) / "stray.png").write_bytes(b"")
    found = folder(tmp_path).without_classes().load()
    assert found.spec.class_names == ("cat", "dog")
    assert found.fingerprint == folder(tmp_path).load().fingerprint


def test_split_folders_that_cannot_be_used(tmp_path):
    def complaint(words):
        with pytest.raises(UsageError, match=words):
            folder(tmp_path).load()

    fill(tmp_path / "test", 3)
    complaint("test but no train folder")
    fill(tmp_path / "train", 3, classes=("cat", "dog", "fox"))
    complaint("classes of .*test are not those of .*train: fox")
    fill(tmp_path / "cat")
    complaint("beside it cat")


def test_a_class_may_be_called_test(tmp_path):
    assert folder(fill(tmp_path, classes=("blank", "test"))).load().spec.class_names == ("blank", "test")


# ---------------------------------------------------------------------------------------------- from_text


def test_from_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))
    (tmp_path / "flowers").mkdir()
    assert data.from_text("digits") == data.Digits()
    assert data.from_text("some/mine.NPZ") == data.Npz(path="some/mine.NPZ")
    assert data.from_text("flowers") == data.ImageFolder(path="flowers")
    assert data.from_text("not/there") == data.ImageFolder(path="not/there")
    assert data.from_text("cifar10") == data.Tfds(name="cifar10")
    assert data.from_text("emnist/letters") == data.Tfds(name="emnist/letters")


def test_a_name_that_is_a_folder_too_is_told(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))
    for name in ("digits", "mnist", "flowers"):
        (tmp_path / name).mkdir()
    assert data.from_text("./mnist", data.Tfds()) == data.ImageFolder(path="./mnist")
    assert data.from_text("flowers", data.Digits()) == data.ImageFolder(path="flowers")
    assert not caplog.messages
    assert data.from_text("digits", data.Tfds()) == data.Digits()
    assert data.from_text("mnist", data.Tfds()) == data.Tfds(name="mnist")
    assert [message.partition("give ")[2] for message in caplog.messages] == [
        "--data ./digits.",
        "--data ./mnist.",
    ]


@pytest.mark.parametrize(
    ("text", "meant"),
    [("digit", "digits"), ("mnits", "mnist"), ("my_brids", "my_birds"), ("mine", "mine.npz")],
)
def test_an_unknown_name_gets_the_near_one(tmp_path, monkeypatch, text, meant):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_birds").mkdir()
    (tmp_path / "mine.npz").touch()
    with pytest.raises(UsageError, match=f"no data set '{text}'.* Did you mean '{meant}'"):
        data.from_text(text)


@pytest.mark.parametrize("source", data.SOURCES.values())
def test_sources_are_frozen_keyword_only_values(source):
    fields = {"path": "x"} if "path" in {field.name for field in dataclasses.fields(source)} else {}
    one, other = source(**fields), source(**fields)
    assert one == other and hash(one) == hash(other)
    assert all(field.kw_only for field in dataclasses.fields(source))
