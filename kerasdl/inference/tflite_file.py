"""Reads operators and labels of a .tflite file, and writes metadata into it."""

import contextlib
import mmap
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from kerasdl.inference import labels as label_text
from kerasdl.preprocessing import spellings

_COLOR_SPACES = {1: 2, 3: 1}  # ColorSpaceType by number of channels: GRAYSCALE, RGB
_IMAGE_PROPERTIES = 2  # ContentProperties
_NORMALIZATION, _REGEX = 1, 6  # ProcessUnitOptions
# AssociatedFileType: TENSOR_AXIS_LABELS (one label for each place of the last axis), VOCABULARY
_AXIS_LABELS, _VOCABULARY = 2, 5
_TOKENS = "tokens.txt"
_SPACE = 2**20  # bytes for what is added, for which the builder need not double its memory


def custom_operators(path: Path) -> list[str]:
    """Return the names of the operators that are not builtin: "FlexStatelessRandomNormalV2", ..."""
    with _mapped(path) as content:
        model = schema.Model.GetRootAs(content, 0)
        names = [model.OperatorCodes(index).CustomCode() for index in range(model.OperatorCodesLength())]
    return sorted({name.decode() for name in names if name})


def embed(path: Path, name: str, labels: Sequence[str], assets: Mapping[str, str]) -> None:
    """Put name, labels and tokeniser into a .tflite file, where Android's tools look for them.

    The standard metadata says which inputs and outputs they belong to; labels and tokens themselves are a zip
    archive behind the model, where interpreters do not look.

    Args:
        path: the file, rewritten in place.
        name: the model's name.
        labels: class names in the order of the outputs; may be empty.
        assets: content of the network's text files by name; a vocabulary among them becomes the tokeniser of
            an input `ids` (1, length), unless the model has loops, with which MediaPipe takes none.
    """
    builder = _Builder(path.stat().st_size + _SPACE)
    with _mapped(path) as content:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        delimiters, tokens = (len(model.subgraphs) == 1 and spellings.for_mediapipe(assets)) or ("", "")
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = list(_metadata(model, name, len(labels), delimiters))
        entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or []), entry]
        builder.Finish(model.Pack(builder), b"TFL3")
        del model  # its weights are the file's
    path.write_bytes(memoryview(builder.Bytes)[builder.Head() :])
    files = {label_text.FILE_NAME: label_text.to_text(labels) if labels else "", _TOKENS: tokens}
    for file, text in files.items():
        if text:
            with zipfile.ZipFile(path, "a") as archive:
                # A ZipInfo has a fixed date, so that equal models give equal files.
                archive.writestr(zipfile.ZipInfo(file), text)


class _Builder(flatbuffers.Builder):
    """Takes weights in without two copies of them on the way."""

    def CreateNumpyVector(self, x):  # noqa: N802  the library's name
        self.StartVector(x.itemsize, x.size, x.dtype.alignment)
        self.head -= x.nbytes
        np.frombuffer(self.Bytes, np.uint8, x.nbytes, self.head)[:] = x.view(np.uint8)
        self.vectorNumElems = x.size
        return self.EndVector()


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    """Yield the content of a file, which is not read into memory of its own."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the labels inside a .tflite file; empty where there are none."""
    if not zipfile.is_zipfile(path):
        return ()
    with zipfile.ZipFile(path) as archive:
        if label_text.FILE_NAME not in archive.namelist():
            return ()
        return label_text.from_text(archive.read(label_text.FILE_NAME).decode())


def _metadata(model: schema.ModelT, name: str, num_labels: int, delimiters: str) -> bytes:
    """Build the ModelMetadata of the TFLite metadata schema, whose own package needs an old TensorFlow.

    Numbers are the places of the fields in metadata_schema.fbs.
    """
    builder = flatbuffers.Builder()
    subgraphs = []
    for number, subgraph in enumerate(model.subgraphs):
        names = {
            entry.tensorIndex: entry.name.decode()
            for signature in model.signatureDefs
            if signature.subgraphIndex == number
            for entry in (*signature.inputs, *signature.outputs)
        }
        inputs = [
            _tensor(builder, subgraph.tensors[index], names.get(index, ""), 0, delimiters)
            for index in subgraph.inputs
        ]
        outputs = [
            _tensor(builder, subgraph.tensors[index], names.get(index, ""), num_labels)
            for index in subgraph.outputs
        ]
        # SubGraphMetadata: 2 input_tensor_metadata, 3 output_tensor_metadata
        subgraphs.append(_table(builder, 7, {2: _vector(builder, inputs), 3: _vector(builder, outputs)}))
    # ModelMetadata: 0 name, 3 subgraph_metadata, 7 min_parser_version
    fields = {
        0: builder.CreateString(name),
        3: _vector(builder, subgraphs),
        7: builder.CreateString("1.2.1" if delimiters else "1.0.0"),
    }
    builder.Finish(_table(builder, 8, fields), b"M001")
    return bytes(builder.Output())


def _tensor(
    builder: flatbuffers.Builder, tensor: schema.TensorT, name: str, num_labels: int, delimiters: str = ""
) -> int:
    # TensorMetadata: 0 name, 3 content, 4 process_units, 6 associated_files
    fields = {0: builder.CreateString(name)}
    if name == "images" and len(tensor.shape) == 4 and tensor.shape[-1] in _COLOR_SPACES:
        fields[3] = _image_content(builder, _COLOR_SPACES[tensor.shape[-1]])
        fields[4] = _vector(builder, [_normalization(builder)])
    if delimiters and name == "ids" and len(tensor.shape) == 2:
        # RegexTokenizerOptions: 0 delim_regex_pattern, 1 vocab_file
        files = _vector(builder, [_associated_file(builder, _TOKENS, _VOCABULARY)])
        options = _table(builder, 2, {0: builder.CreateString(delimiters), 1: files})
        fields[4] = _vector(builder, [_union(builder, 2, _REGEX, options)])
    if num_labels and tensor.shape is not None and len(tensor.shape) and tensor.shape[-1] == num_labels:
        fields[6] = _vector(builder, [_associated_file(builder, label_text.FILE_NAME, _AXIS_LABELS)])
    return _table(builder, 7, fields)


def _associated_file(builder: flatbuffers.Builder, file: str, kind: int) -> int:
    name = builder.CreateString(file)
    # AssociatedFile: 0 name, 2 type
    builder.StartObject(4)
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    builder.PrependInt8Slot(2, kind, 0)
    return builder.EndObject()


def _image_content(builder: flatbuffers.Builder, color_space: int) -> int:
    # ImageProperties: 0 color_space
    builder.StartObject(2)
    builder.PrependInt8Slot(0, color_space, 0)
    # Content: 0 type and 1 value of content_properties
    return _union(builder, 3, _IMAGE_PROPERTIES, builder.EndObject())


def _normalization(builder: flatbuffers.Builder) -> int:
    """Say that pixels go in as they are, 0..255: the preprocessing is in the graph."""
    numbers = []
    for value in (0.0, 1.0):
        builder.StartVector(4, 1, 4)
        builder.PrependFloat32(value)
        numbers.append(builder.EndVector())
    # NormalizationOptions: 0 mean, 1 std. ProcessUnit: 0 type and 1 value of options
    return _union(builder, 2, _NORMALIZATION, _table(builder, 2, dict(enumerate(numbers))))


def _union(builder: flatbuffers.Builder, num_fields: int, kind: int, value: int) -> int:
    builder.StartObject(num_fields)
    builder.PrependUint8Slot(0, kind, 0)
    builder.PrependUOffsetTRelativeSlot(1, value, 0)
    return builder.EndObject()


def _table(builder: flatbuffers.Builder, num_fields: int, fields: dict[int, int]) -> int:
    builder.StartObject(num_fields)
    for place, offset in fields.items():
        builder.PrependUOffsetTRelativeSlot(place, offset, 0)
    return builder.EndObject()


def _vector(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
