"""Image files are read as people see them: by folders, by `predict` and by `serving_bytes` alike."""

import io
import re
import unicodedata
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageCms, ImageOps

import kerasdl
from kerasdl import Config, ImagePreprocessing
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.data.images.folder import ImageFolder
from kerasdl.errors import UsageError
from kerasdl.export.readme.pictures import picture_text
from kerasdl.inference.reading import read_image
from kerasdl.jobs import recipe_data
from kerasdl.preprocessing import exif, pillow
from kerasdl.preprocessing.decoding import decode_image
from kerasdl.preprocessing.picture import AS_BEFORE, Picture

RANDOM = np.random.default_rng(0)
#: Patches of one colour, so that JPEG and its chroma subsampling change little.
COLOURS = np.kron(RANDOM.integers(0, 256, (3, 2, 3)), np.ones((16, 16, 1))).astype(np.uint8)
GREY = COLOURS[..., 0]
#: Transparent on the left, opaque on the right.
ALPHA = np.uint8(np.arange(32)[None] >= 16).repeat(48, 0) * 255
ON_WHITE = np.where(ALPHA[..., None] == 0, 255, COLOURS).astype(np.uint8)
DEEP = GREY.astype(np.uint16) * 16
PICTURE = Picture(bits=12)


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def rgb():
    return Image.fromarray(COLOURS)


def rgba():
    return Image.fromarray(np.dstack([COLOURS, ALPHA]))


def indexed():
    return rgb().convert("P", palette=Image.Palette.ADAPTIVE, colors=16)


def turned(kind, orientation):
    tag = Image.Exif()
    tag[0x0112] = orientation
    return encoded(rgb(), kind, exif=tag, **({"lossless": True} if kind == "WEBP" else {}))


def lab():
    profiles = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
    return encoded(ImageCms.profileToProfile(rgb(), *profiles, outputMode="LAB"), "TIFF")


def two(kind, **options):
    return encoded(rgb(), kind, save_all=True, append_images=[ImageOps.invert(rgb())], **options)


def stacked(grey):
    return np.repeat(grey[..., None], 3, axis=-1)


ONE_BIT = stacked(np.uint8(np.asarray(rgb().convert("1"))) * 255)
#: name -> file, pixels, largest difference allowed, and whether TensorFlow alone (`serving_bytes`) reads it:
#: None where it refuses.
KINDS = {
    "rgb.png": (encoded(rgb(), "PNG"), COLOURS, 0, True),
    "rgb.jpg": (encoded(rgb(), "JPEG", quality=95, subsampling=0), COLOURS, 8, True),
    "cmyk.jpg": (encoded(rgb().convert("CMYK"), "JPEG", quality=95), COLOURS, 8, True),
    "alpha.png": (encoded(rgba(), "PNG"), ON_WHITE, 0, True),
    "alpha.webp": (encoded(rgba(), "WEBP", lossless=True, exact=True), ON_WHITE, 0, True),
    "ink.png": (
        encoded(Image.fromarray(np.dstack([COLOURS * 0, ALPHA])), "PNG"), stacked(255 - ALPHA), 0, True,
    ),
    "grey_ink.png": (
        encoded(Image.fromarray(np.dstack([GREY * 0, ALPHA])), "PNG"), stacked(255 - ALPHA), 0, True,
    ),
    "palette.png": (encoded(indexed(), "PNG"), COLOURS, 40, True),
    "palette.bmp": (encoded(indexed(), "BMP"), COLOURS, 40, None),
    "palette.gif": (encoded(indexed(), "GIF"), COLOURS, 40, True),
    "clear.png": (
        encoded(rgb(), "PNG", transparency=tuple(map(int, COLOURS[0, 0]))),
        np.where((COLOURS[0, 0] == COLOURS).all(-1, keepdims=True), 255, COLOURS), 0, True,
    ),
    "bits1.png": (encoded(rgb().convert("1"), "PNG"), ONE_BIT, 0, True),
    "bits1.tif": (encoded(rgb().convert("1"), "TIFF"), ONE_BIT, 0, None),
    "bits16.png": (encoded(Image.fromarray(DEEP), "PNG"), stacked(GREY), 1, True),
    "bits16.tif": (encoded(Image.fromarray(DEEP), "TIFF"), stacked(GREY), 1, None),
    "rgb16.png": (tf.io.encode_png(COLOURS.astype(np.uint16) * 16).numpy(), COLOURS, 1, True),
    "rgb.tif": (encoded(rgb(), "TIFF"), COLOURS, 0, None),
    "cmyk.tif": (encoded(rgb().convert("CMYK"), "TIFF"), COLOURS, 0, None),
    "lab.tif": (lab(), COLOURS, 12, None),
    "rgb.bmp": (encoded(rgb(), "BMP"), COLOURS, 0, True),
    "two.webp": (two("WEBP", lossless=True), COLOURS, 0, None),
    "two.tif": (two("TIFF"), COLOURS, 0, None),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_is_read_as_it_is_seen(name, tmp_path):
    content, wanted, largest, by_tensorflow = KINDS[name]
    (tmp_path / name).write_bytes(content)
    plain = ("rgb.png", "rgb.jpg", "cmyk.jpg", "palette.png", "palette.gif", "bits1.png", "rgb.bmp")
    assert pillow.header(tmp_path / name).is_plain == (name in plain)
    pixels = read_image(Spec((48, 32, 3), "uint8", picture=PICTURE), str(tmp_path / name))
    if name in plain:  # then the fast way gives the same
        fast = decode_image(content, 48, 32, 3, picture=AS_BEFORE)
        np.testing.assert_array_equal(fast, pixels)
    assert np.abs(pixels.astype(int) - wanted).max() <= largest
    if by_tensorflow is None:
        with pytest.raises(tf.errors.OpError):
            decode_image(content, 48, 32, 3, picture=PICTURE)
    else:
        np.testing.assert_array_equal(decode_image(content, 48, 32, 3, picture=PICTURE), pixels)


@pytest.mark.by_default(lambda kind: kind == "JPEG")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_photos_are_turned_as_exif_says(kind, tmp_path):
    serving = tf.function(
        lambda image_bytes: decode_image(image_bytes, 48, 32, 3),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )
    for orientation in range(1, 9):
        content = turned(kind, orientation)
        path = tmp_path / f"{orientation}.{kind.lower()}"
        path.write_bytes(content)
        seen = ImageOps.exif_transpose(Image.open(path))
        assert pillow.header(path).size() == seen.size[::-1]
        shape = (*seen.size[::-1], 3)
        pixels = read_image(Spec(shape, "uint8"), str(path))
        assert np.abs(pixels.astype(int) - np.asarray(seen)).max() <= (4 if kind == "JPEG" else 0)
        if kind in ("JPEG", "PNG"):
            np.testing.assert_array_equal(serving(content), read_image(Spec((48, 32, 3), "uint8"), str(path)))
        stored = read_image(Spec((48, 32, 3), "uint8", picture=Picture(orientation="stored")), str(path))
        assert np.abs(stored.astype(int) - COLOURS).max() <= (120 if kind == "JPEG" else 0)
        assert pillow.header(path).size("stored") == (48, 32)


def orientation(content):
    return exif.orientation(content, tf.constant(False))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"\x12\x01", b"\x13\x01").replace(b"\x01\x12", b"\x01\x13"),
        lambda content: content.replace(b"Exif\0\0", b"Fixe\0\0"),
        lambda content: content[:12] + b"\xff" * 20 + content[32:],
        lambda content: content[:30],
        lambda content: content[:3],
        lambda content: b"\xff\xd8\xff\xe1\xff\xffExif\0\0MM\0*\xff\xff\xff\xff",
        lambda content: b"\xff\xd8\xff\xe1\0\x10Exif\0\0II*\0\x08\0\0\0\xff\xff",
        lambda content: b"\xff\xd8\xff\xe0\0\0" * 50,
    ],
)
def test_damaged_exif_is_none(change):
    assert orientation(change(turned("JPEG", 6))) == 1


def test_exif_behind_another_segment_and_in_both_byte_orders():
    content = turned("JPEG", 6)
    start = content.index(b"\xff\xe1")
    other = b"\xff\xed\x01\x00" + b"x" * 254
    assert orientation(content[:start] + other + content[start:]) == 6
    for order in ("little", "big"):
        parts = [(42, 2), (8, 4), (1, 2), (0x0112, 2), (3, 2), (1, 4), (8, 2), (0, 2), (0, 4)]
        tiff = b"".join(value.to_bytes(size, order) for value, size in parts)
        data = b"Exif\0\0" + (b"II" if order == "little" else b"MM") + tiff
        assert orientation(b"\xff\xd8\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data) == 8


@pytest.mark.parametrize(
    ("fit", "place"),
    [("squeeze", np.s_[:, :]), ("crop", np.s_[:, 2:6]), ("letterbox", np.s_[:, :])],
)
def test_a_picture_comes_to_the_size_as_it_is_said(fit, place):
    image = np.random.default_rng(1).integers(0, 256, (4, 8, 3)).astype(np.uint8)
    pixels = decode_image(
        tf.io.encode_png(image), 4, 4, 3, picture=Picture(fit=fit, background="black")
    ).numpy()
    height = 2 if fit == "letterbox" else 4
    wanted = tf.image.resize(image[place], (height, 4), antialias=True)
    if fit == "letterbox":
        wanted = np.pad(wanted, [(1, 1), (0, 0), (0, 0)])
    assert np.abs(pixels - np.round(wanted)).max() <= 1


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def grey(value, side=6):
    """Return a PNG whose pixels tell it from others."""
    pixels = np.full((side, side), value, np.uint8)
    pixels[0, 0] = 255 - value
    return encoded(Image.fromarray(pixels), "PNG")


def classes(count=8, names=("cat", "dog")):
    return {
        f"{name}/{index}.png": grey(20 * index + number)
        for number, name in enumerate(names)
        for index in range(count)
    }


def load(folder, **fields):
    return ImageFolder(path=str(folder), **fields).load()


def noted(dataset, words):
    return [note for note in dataset.notes if words in note]


def test_what_is_left_out_is_counted_and_named(tmp_path):
    files = classes() | {
        "cat/raw/1.png": grey(1), "cat/raw/deep/2.png": grey(2), "dog/film.mp4": b"", "dog/a.heic": b"",
        "dog/Thumbs.db": b"", "dog/.hidden.png": b"", "notes.txt": b"", "__MACOSX/cat/._1.png": b"",
        ".ipynb_checkpoints/1.png": b"",
    }  # fmt: skip
    (note,) = load(write(tmp_path, files)).notes
    for words in ("1 .txt (notes.txt)", "1 .mp4", "1 .heic", "2 images in the sub-folder cat/raw", "JPEG"):
        assert words in note
    assert "Thumbs" not in note and "MACOSX" not in note


@pytest.mark.slow
def test_what_happens_to_images_is_counted(tmp_path):
    files = classes() | {
        "cat/a.jpg": turned("JPEG", 6), "cat/b.png": KINDS["alpha.png"][0],
        "dog/c.tiff": KINDS["bits16.tif"][0],
        "dog/d.webp": KINDS["two.webp"][0], "dog/e.JFIF": KINDS["rgb.jpg"][0],
    }  # fmt: skip
    dataset = load(write(tmp_path, files), image_channels=1)
    assert dataset.spec.inputs.shape == (6, 6, 1) and not noted(dataset, "Left out")
    assert dataset.spec.inputs.picture.bits == 12
    for words in (
        "from 6x6 to 48x32", "1 of 21 images has a photo's EXIF tag, turned upright",
        "1 of 21 images has an alpha",
        "has 16 bits a pixel: 4,095 becomes 255", "has several pictures", "4 of 21 images have colours",
    ):  # fmt: skip
        assert noted(dataset, words), words
    streamed = load(tmp_path, image_channels=1, max_memory_mb=0)
    assert streamed.fingerprint == dataset.fingerprint
    batches = streamed.train.evaluation_batches(batch_size=99)
    np.testing.assert_array_equal(next(iter(batches))[0], dataset.train.features)


@pytest.mark.slow
@pytest.mark.parametrize(("highest", "bits"), [(240, 8), (900, 10), (3900, 12), (60000, 16)])
def test_values_of_16_bits_are_scaled_by_the_bits_they_use(tmp_path, highest, bits):
    files = {
        f"{name}/{index}.png": encoded(
            Image.fromarray(np.array([[0, highest - number], [index, highest]], np.uint16)), "PNG"
        )
        for number, name in enumerate("ab")
        for index in range(4)
    }
    dataset = load(write(tmp_path, files))
    assert dataset.spec.inputs.picture.bits == bits
    white = round(255 * highest / (2**bits - 1))
    assert (dataset.train.features[:, 1, 1, 0] == white).all()
    other = ImageFolder(path=str(tmp_path), bits=16).load().train.features
    assert (other[:, 1, 1, 0] == round(255 * highest / 65535)).all()


def tiff(values, white_is_zero=False, byte_order="<", planes=1, deflate=False):
    """Return a TIFF of 16 bits a channel, of (H, W) or (H, W, 3 or 4) values."""
    height, width, channels = (*values.shape, 1)[:3]
    photometric = 2 if channels > 1 else int(not white_is_zero)
    content = values.astype(f"{byte_order}u2").tobytes()
    content = zlib.compress(content) if deflate else content
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, 200 if channels > 2 else 16),
        (259, 3, 1, 8 if deflate else 1), (262, 3, 1, photometric), (273, 4, 1, 208),
        (277, 3, 1, channels), (278, 4, 1, height),
        (279, 4, 1, len(content)), (284, 3, 1, planes), *([(338, 3, 1, 2)] if channels == 4 else []),
    ]  # fmt: skip
    order = "little" if byte_order == "<" else "big"
    entries = b""
    for tag, kind, count, value in tags:
        is_short = kind == 3 and count == 1
        entries += tag.to_bytes(2, order) + kind.to_bytes(2, order) + count.to_bytes(4, order)
        entries += value.to_bytes(2, order) + b"\0\0" if is_short else value.to_bytes(4, order)
    head = (b"II" if byte_order == "<" else b"MM") + (42).to_bytes(2, order) + (8).to_bytes(4, order)
    head = (head + len(tags).to_bytes(2, order) + entries + b"\0" * 4).ljust(200, b"\0")
    return head + (16).to_bytes(2, order) * 4 + content


COLOURS_16 = COLOURS.astype(np.uint16) * 257
WITH_ALPHA = np.dstack([COLOURS_16, ALPHA.astype(np.uint16) * 257])
DEEP_TIFFS = {
    "white is 0": (tiff(65535 - GREY.astype(np.uint16) * 257, white_is_zero=True), 16, stacked(GREY)),
    "white is 0, 12 bits": (tiff(4080 - DEEP, white_is_zero=True), 12, stacked(GREY)),
    "white is 0, deflate": (
        tiff(65535 - GREY.astype(np.uint16) * 257, True, deflate=True),
        16,
        stacked(GREY),
    ),
    "12 bits, deflate": (tiff(COLOURS.astype(np.uint16) * 16, deflate=True), 12, COLOURS),
    "big endian, deflate": (tiff(COLOURS.astype(np.uint16) * 16, byte_order=">", deflate=True), 12, COLOURS),
    "12 bits of colours": (tiff(COLOURS.astype(np.uint16) * 16), 12, COLOURS),
    "12 bits, big endian": (tiff(COLOURS.astype(np.uint16) * 16, byte_order=">"), 12, COLOURS),
    "16 bits of colours": (tiff(COLOURS_16), 16, COLOURS),
    "16 bits and alpha": (tiff(WITH_ALPHA), 16, ON_WHITE),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEP_TIFFS)
def test_values_of_deep_tiffs_are_right(name, tmp_path):
    content, bits, wanted = DEEP_TIFFS[name]
    write(tmp_path, {"x.tif": content})
    header = pillow.header(tmp_path / "x.tif")
    assert header.is_deep and not header.is_plain
    assert pillow.deep_values(tmp_path / "x.tif").max() >= 2 ** (bits - 1)
    pixels = read_image(Spec((48, 32, 3), "uint8", picture=Picture(bits=bits)), str(tmp_path / "x.tif"))
    assert np.abs(pixels.astype(int) - wanted).max() <= 1


def test_a_deep_tiff_in_planes_is_refused(tmp_path):
    write(tmp_path, {"x.tif": tiff(COLOURS_16, planes=2)})
    with pytest.raises(UsageError, match=r"x.tif is not .* separate planes\. Save it with interleaved"):
        read_image(Spec((4, 4, 3), "uint8"), str(tmp_path / "x.tif"))


@pytest.mark.slow
def test_values_of_more_bits_than_are_read_are_counted(tmp_path, caplog):
    def deep(index, highest):
        return encoded(Image.fromarray(np.array([[index, highest], [0, 0]], np.uint16)), "PNG")

    files = {f"train/{name}/{index}.png": deep(index + number, 4095) for number, name in enumerate("ab")
             for index in range(0, 12, 2)}  # fmt: skip
    files |= {"test/a/1.png": deep(50, 4095), "test/b/1.png": deep(60, 40000)}
    dataset = load(write(tmp_path, files))
    assert dataset.spec.inputs.picture.bits == 12
    assert noted(dataset, "1 of 14 images has values above 4,095, up to 40,000: these are cut off at it")
    assert not noted(load(tmp_path, bits=16), "above")
    read_image(Spec((2, 2, 1), "uint8", picture=Picture(bits=12)), str(tmp_path / "test/b/1.png"))
    assert "values up to 40,000: 25.0% of them are cut off at 4,095, which is white" in caplog.text


@pytest.mark.slow
def test_photos_as_they_are_stored_have_their_stored_size(tmp_path):
    files = {f"{name}/{index}.tif": turned("TIFF", 6) for name in "ab" for index in range(4)}
    for orientation, shape in (("exif", (32, 48, 3)), ("stored", (48, 32, 3))):
        dataset = load(write(tmp_path, files), orientation=orientation, background="ignored")
        assert dataset.spec.inputs.shape == shape
    np.testing.assert_array_equal(dataset.train.features[0], COLOURS)


def test_predict_warns_of_16_bits_that_are_nearly_black(tmp_path, caplog):
    write(tmp_path, {"x.png": KINDS["bits16.png"][0]})
    read_image(Spec((4, 4, 1), "uint8", picture=Picture(bits=12)), str(tmp_path / "x.png"))
    assert not caplog.records
    read_image(Spec((4, 4, 1), "uint8"), str(tmp_path / "x.png"))
    assert f"values up to {DEEP.max():,}: nearly black, since 65,535 is white" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("background", ["white", "ignored"])
def test_transparent_icons_differ(tmp_path, background):
    def icon(row, index):
        alpha = np.zeros((6, 6), np.uint8)
        alpha[row, index % 6] = 255
        return encoded(Image.fromarray(np.dstack([alpha * 0] * 3 + [alpha])), "PNG")

    files = {f"{name}/{index}.png": icon(row, index) for row, name in enumerate("ab") for index in range(6)}
    dataset = load(write(tmp_path, files), background=background)
    count = len(np.unique(dataset.train.features.reshape(len(dataset.train), -1), axis=0))
    if background == "white":
        assert count == len(dataset.train) and not noted(dataset, "class")
    else:  # as it was before
        assert count == 1
        assert noted(dataset, "All images of a class are one and the same in 2 of 2 classes: a, b")
        assert noted(dataset, "One of the images lies in two classes, as in a and b")


@pytest.mark.slow
def test_the_same_image_in_two_splits_or_classes_is_said(tmp_path):
    train, test = classes(), {name: content for name, content in classes(9).items() if "/8" in name}
    files = {f"train/{name}": content for name, content in train.items()}
    files |= {f"test/{name}": content for name, content in test.items()}
    assert load(write(tmp_path / "clean", files)).notes == ()
    files |= {f"test/cat/{index}.png": train[f"cat/{index}.png"] for index in range(3)}
    files["train/dog/cat.png"] = train["cat/5.png"]
    notes = load(write(tmp_path / "twice", files), validation_fraction=0.01).notes
    assert any("3 of 5 test images are also among the" in note for note in notes) or len(notes) > 2
    assert any("One of the images lies in two classes, as in cat and dog" in note for note in notes)


def test_unicode_forms_of_a_name_are_one_class(tmp_path):
    nfc, nfd = (unicodedata.normalize(form, "Caf\u00e9") for form in ("NFC", "NFD"))
    files = {f"train/{name}": content for name, content in classes(names=(nfc, "bar")).items()}
    files |= {f"test/{name}": content for name, content in classes(2, names=(nfd, "bar")).items()}
    files[f"train/{nfd}/more.png"] = grey(200)
    dataset = load(write(tmp_path, files))
    assert unicodedata.normalize("NFC", "".join(dataset.spec.class_names)) == f"{nfc}bar"
    assert len(dataset.train) + len(dataset.validation) == 17 and len(dataset.test) == 4
    chosen = load(tmp_path, classes=(nfc, "bar"))
    assert len(chosen.test) == 4


@pytest.mark.by_default(lambda train, **_: train == "Train")
@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("Train", "Valid", "Test"), ("training", "validation", "testing"), ("TRAIN", "val", "TEST")],
)
def test_names_of_split_folders(tmp_path, train, validation, test):
    counts = {train: 8, validation: 2, test: 3}
    files = {
        f"{split}/{name}": content
        for split, count in counts.items()
        for name, content in classes(count).items()
    }
    files["__MACOSX/._x"] = b""
    dataset = load(write(tmp_path, files))
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [16, 4, 6]


def test_classes_may_be_called_training_and_test(tmp_path):
    dataset = load(write(tmp_path, classes(names=("Test", "Training"))))
    assert dataset.spec.class_names == ("Test", "Training")


def test_a_folder_in_a_folder_is_recognised(tmp_path):
    files = {f"photos/{name}": content for name, content in classes().items()}
    with pytest.raises(UsageError, match=r"If the classes are cat, dog, give the folder .*photos"):
        load(write(tmp_path, files))


def test_the_recipe_decides_size_and_channels(tmp_path):
    source = ImageFolder(path=str(write(tmp_path, classes())))

    def sized(source, **preprocessing):
        config = Config(ImagePreprocessing, **preprocessing)
        return recipe_data.sized(kerasdl.load_recipe("mlp", preprocessing=config, data=source)).data

    found = sized(source, size=(9, 7), channels=3)
    assert (found.image_size, found.image_channels) == ((9, 7), 3)
    assert sized(found, size=(3, 3), channels=1) == found
    assert sized(source) == source
    assert found.load().spec.inputs.shape == (9, 7, 3)


@pytest.mark.slow
def test_other_photos_are_read_as_those_of_the_run(tmp_path):
    first = load(write(tmp_path / "first", classes()), fit="letterbox", background="black")
    other = ImageFolder(path=str(write(tmp_path / "other", {
        f"{name}/{index}.jpg": turned("JPEG", 6) for name in ("cat", "dog") for index in range(4)
    })))  # fmt: skip
    same = DataSpec.from_description(first.spec.describe())
    dataset = other.like(same).load()
    assert dataset.spec == first.spec and dataset.spec.inputs.picture == first.spec.inputs.picture
    assert (dataset.train.features[:, 0] == 0).all()  # bars: the photos are wider than high


#: A PNG whose header says 65,535 x 65,535 pixels.
HEADER = b"IHDR\0\0\xff\xff\0\0\xff\xff\x08\x02\0\0\0"
HUGE = b"\x89PNG\r\n\x1a\n\0\0\0\r" + HEADER + zlib.crc32(HEADER).to_bytes(4, "big") + grey(0)[33:]


@pytest.mark.by_default(lambda content, words: content is not HUGE)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (KINDS["rgb.jpg"][0][:300], "cut short"),
        (encoded(Image.fromarray(np.float32(GREY)), "TIFF"), "cut short"),
        (HUGE, "pixels"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, words):
    write(tmp_path, classes() | {"cat/bad.png": content})
    with pytest.raises(UsageError, match=rf"bad.png cannot be read: .*{words}"):
        load(tmp_path)
    assert noted(load(tmp_path, skip_bad_images=True), "1 bad image was skipped")
    with pytest.raises(UsageError, match=r"bad.png is not a readable image"):
        read_image(Spec((4, 4, 1), "uint8"), str(tmp_path / "cat/bad.png"))


@pytest.mark.parametrize(
    "fields", [{"fit": "stretch"}, {"background": "red"}, {"bits": 7}, {"orientation": 1}]
)
def test_fields_are_checked(fields):
    with pytest.raises(UsageError, match=next(iter(fields))):
        ImageFolder(path="x", **fields)


@pytest.mark.slow
@pytest.mark.parametrize("fit", ["squeeze", "crop", "letterbox"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_readme_of_a_bundle_says_how(fit, channels, tmp_path, monkeypatch):
    inputs = Spec((9, 14, channels), "uint8", picture=Picture(fit=fit))
    card = {"data": DataSpec(inputs, Spec((), "int32", ("a", "b"))).describe(), "endpoints": []}
    text = picture_text(card)
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for content in (turned("PNG", 6), KINDS["alpha.png"][0], KINDS["grey_ink.png"][0]):
        (tmp_path / "photo.jpg").write_bytes(content)
        found: dict = {}
        exec(code, found)
        assert np.abs(found["pixels"][0].astype(int) - read_image(inputs, "photo.jpg")).max() <= 2
    assert "EXIF" in text and "white" in text and ("0.299" if channels == 1 else "red, green, blue") in text
    endpoint = {"inputs": {"image_bytes": {}}}
    assert "serving_bytes" in picture_text({**card, "endpoints": [endpoint]})
    noise = {"inputs": {"noise": {}}}
    assert picture_text({**card, "endpoints": [noise]}) == ""
    assert picture_text({**card, "endpoints": [noise, {"inputs": {"images": {}}}]}) == text
    earlier = {"features": {"shape": [9, 14, 3], "dtype": "uint8"}}
    assert "EXIF orientation tag is ignored" in picture_text({"data": earlier, "endpoints": []})
    assert picture_text({"data": {"features": {"shape": [3], "dtype": "float32"}}, "endpoints": []}) == ""


@pytest.mark.parametrize("recorded", [3, [], {"fit": "x"}, {"bits": "12"}, {"bits": 10**99}, {"newer": 1}])
def test_damaged_records_are_one_sentence(recorded):
    with pytest.raises(UsageError):
        Picture.from_description(recorded)
