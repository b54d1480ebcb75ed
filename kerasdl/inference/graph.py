"""Which operators of a SavedModel reach beyond it: files, the network, Python, the terminal.

A SavedModel is a program. It is read here without being loaded, and is opened only if all its operators
compute, or if it was made here or is trusted. Operators are judged by TensorFlow's own groups: `tf.raw_ops`
keeps those that compute in other modules than those that read and write.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kerasdl.errors import RunFailedError
from kerasdl.files import hash_file
from kerasdl.recipe import trust

_FILE = "saved_model.pb"
#: Modules of `tf.raw_ops` whose operators compute.
_COMPUTING = {
    "array", "audio", "bitwise", "candidate_sampling", "clustering", "composite_tensor",
    "control_flow", "count", "ctc", "cudnn_rnn", "data_flow", "functional", "image", "linalg", "list",
    "logging", "lookup", "manip", "map", "math", "nn", "optional", "parsing", "ragged_array",
    "ragged_conversion", "ragged_math", "random", "random_index_shuffle", "resource_variable", "rnn", "set",
    "sparse", "sparse_csr_matrix", "special_math", "spectral", "state", "stateful_random", "stateless_random",
    "stateless_random_ops_v2", "string", "uniform_quant",
}  # fmt: skip
#: Operators in these modules that read or write files or a terminal, run elsewhere, or end the process.
_REACHING = {
    "Abort", "FixedUnigramCandidateSampler", "ImmutableConst", "InitializeTableFromTextFile",
    "InitializeTableFromTextFileV2", "Print", "PrintV2", "RecordInput", "RemoteCall",
}  # fmt: skip
#: What saves and restores the variables of every SavedModel.
_SAVING = {"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"}


def check(folder: Path) -> None:
    """Check that the SavedModel in a folder may be opened.

    Raises:
        UsageError: when it reaches beyond itself, and was neither made here nor trusted.
        RunFailedError: when it is damaged.
    """
    file = folder / _FILE
    if not file.is_file():
        return  # what opens it says so
    digest = hash_file(file)
    if not trust.is_trusted(digest) and (found := reaching(file)):
        named = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
        what = (
            f"holds operators that can read or write files, use the network or run other code ({named}; "
            f"saved_model_cli show --all --dir {folder} shows where)."
        )
        trust.check(digest, file, what)


def trust_own(folder: Path) -> None:
    """Trust the SavedModel that this process has just written."""
    file = folder / _FILE
    if reaching(file):
        trust.record(hash_file(file), file)


def reaching(file: Path) -> list[str]:
    """Return the operators of a SavedModel that reach beyond it, sorted; operators unknown here among them.

    Raises:
        RunFailedError: when it is damaged.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise RunFailedError(
            f"{file.parent} is damaged and cannot be opened ({error}). Export it again."
        ) from error
    return sorted({name for graph in model.meta_graphs for name in _reaching_in(graph)})


def computes(operator: str) -> bool:
    """Tell whether an operator only computes."""
    import tensorflow as tf

    module = getattr(getattr(tf.raw_ops, operator, None), "__module__", "").rpartition(".")[2]
    group = module.removeprefix("gen_").removesuffix("_ops")
    return group in _COMPUTING and operator not in _REACHING


def _reaching_in(graph: Any) -> Iterator[str]:
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    saving = _saving_functions(graph)
    for node in graph.graph_def.node:
        if node.op not in functions and not computes(node.op):
            yield node.op
    for name, function in functions.items():
        for node in function.node_def:
            if node.op in functions or computes(node.op):
                continue
            if not (name in saving and node.op in _SAVING and _has_its_prefix(node, function)):
                yield node.op


def _saving_functions(graph: Any) -> set[str]:
    """Return the functions that only save and restore variables: nothing but the graph's saver calls them.

    TensorFlow 2 never runs them; TensorFlow Serving restores with them. A SavedModel of TensorFlow 1, which
    has no objects, runs what it likes when it is loaded.
    """
    if not graph.HasField("object_graph_def"):
        return set()
    saver = graph.saver_def
    nodes = {name.partition(":")[0] for name in (saver.save_tensor_name, saver.restore_op_name)}
    own = [node for node in graph.graph_def.node if node.name in nodes]
    others = [node for node in graph.graph_def.node if node.name not in nodes]
    others += [node for function in graph.graph_def.library.function for node in function.node_def]
    called = {*_called(others), *graph.object_graph_def.concrete_functions}
    return set(_called(own)) - called


def _called(nodes: Iterable[Any]) -> Iterator[str]:
    for node in nodes:
        yield node.op
        for value in node.attr.values():
            yield value.func.name
            yield from (function.name for function in value.list.func)


def _has_its_prefix(node: Any, function: Any) -> bool:
    """Tell whether an operator restores from the place that its function is given, no other."""
    return node.op != "RestoreV2" or node.input[0] == function.signature.input_arg[0].name
