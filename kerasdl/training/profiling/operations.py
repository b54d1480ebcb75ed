"""What kind of work an operation of TensorFlow is, by its name: a table."""

import functools
import re

LOSS, OPTIMIZER, INPUT, OTHER = "loss and metrics", "optimizer", "input pipeline", "other"
SCHEDULING, WAITING, PYTHON = "scheduling and idle", "waiting for a batch", "Python in between"
LAYERS = (
    "convolution", "matrix product", "pooling", "activation", "normalisation", "dropout", "preprocessing",
    "elementwise and shapes",
)  # fmt: skip
#: All kinds, in the order in which they are shown. The last two are no work of a thread: time that passes.
GROUPS = (*LAYERS, LOSS, OPTIMIZER, INPUT, OTHER, SCHEDULING, WAITING, PYTHON)

_OPTIMIZERS = "sgd|adam|adam_?w|rm_?sprop|adagrad|adadelta|adamax|nadam|ftrl|lion|lamb|muon|adafactor"
_ARITHMETIC = (
    "Abs|Add|AddN|AddV2|BiasAdd|BiasAddGrad|BroadcastTo|Cast|ConcatV2|Cumsum|Div|DivNoNan|Equal|Exp|ExpandDims|Fill|"
    "GatherNd|GatherV2|Greater|GreaterEqual|Less|LessEqual|Log|LogicalAnd|LogicalNot|LogicalOr|Max|Maximum|Mean|"
    "Min|Minimum|MirrorPad|MirrorPadGrad|Mul|Neg|NotEqual|OneHot|OnesLike|Pack|Pad|PadV2|Pow|Prod|Range|"
    "ReadVariableOp|RealDiv|Reciprocal|Reshape|ReverseV2|Rsqrt|RsqrtGrad|Select|SelectV2|Shape|Sign|Slice|Split|"
    "SplitV|Sqrt|SqrtGrad|Square|SquaredDifference|Squeeze|StridedSlice|StridedSliceGrad|Sub|Sum|Tile|Transpose|"
    "Unpack|ZerosLike"
)
_CONTROL = (
    "Arg|Case|Const|Enter|Exit|HostRecv|HostSend|Identity|IdentityN|If|LoopCond|Merge|NextIteration|NoOp|Optional\\w+|"
    "(Stateful)?PartitionedCall|Recv|Retval|Send|StatelessIf|StatelessWhile|Switch|TensorList\\w+|While"
)
_METRICS = "AddV2|ArgMax|Assign\\w*VariableOp|Cast|DivNoNan|Equal|InTopKV2|ReadVariableOp|TopKV2"
_ANY, _NONE = "", "^[^/]*(/ReadVariableOp|/input)?$"  # scopes: whatever it is, and an operation without one

#: (scope of an operation, its type, its kind): regular expressions, the first that are both found count.
RULES = tuple(
    (re.compile(scope), re.compile(kind), group)
    for scope, kind, group in (
        (r"(^|/)compile_(loss|metrics)", _ANY, LOSS),
        (rf"(^|/)({_OPTIMIZERS}|loss_scale_optimizer\w*)(_\d+)?/", _ANY, OPTIMIZER),
        (_ANY, "^Resource(Sparse)?Apply", OPTIMIZER),
        (_ANY, f"^({_CONTROL})$", SCHEDULING),
        # These have no scope: the test for finite gradients and the sum over replicas; accuracy and the
        # variables of metrics; the batch that is cut out of a block.
        (_NONE, "^(IsFinite|All|AddN|Sum|Nccl\\w+|Collective\\w+)$", OPTIMIZER),
        (_NONE, f"^({_METRICS})$", LOSS),
        (_NONE, "^(StridedSlice|GatherV2|RandomIndexShuffle)$", INPUT),
        (r"(^|/)\w*preprocessing", _ANY, "preprocessing"),
        (_ANY, "Conv(?!ert)", "convolution"),
        (_ANY, "MatMul|Einsum", "matrix product"),
        (_ANY, "Pool", "pooling"),
        (r"(^|/)\w*(normalization|batchnorm|moments)", _ANY, "normalisation"),
        (_ANY, "BatchNorm|LayerNorm|^LRN", "normalisation"),
        (r"(^|/)\w*dropout", _ANY, "dropout"),
        (_ANY, "Random", "dropout"),
        (_ANY, "Relu|Elu|Selu|Gelu|Sigmoid|Tanh|Softmax|Softplus|Softsign|Erf", "activation"),
        (_ANY, f"^({_ARITHMETIC})$", "elementwise and shapes"),
    )
)  # fmt: skip

_OPERATION = re.compile(r"^([^:]+):(\w+)$")
#: Parts of a scope that say where an operation was put, not what it is for.
_CONTAINER = re.compile(
    r"^((while|cond|case|then|else|body|branch|branch_executed|(Stateful)?PartitionedCall|replica)(_\d+)?|_\d+|)$"
)
#: Prefixes of the types that stand for the same operation in another implementation.
_VARIANT = re.compile("^_(Mkl)?(Native)?(Fused)?")


def is_operation(name: str) -> bool:
    """Tell whether an event of this name is an operation's: `scope/of/it:Type`."""
    return _OPERATION.match(name) is not None


@functools.cache
def group_of(name: str) -> str | None:
    """Return the kind of work of an operation, one of `GROUPS`, by its name; None if that names none.

    Args:
        name: of an event: `while/body/_1/while/gradient_tape/net/c1/ReluGrad:ReluGrad`.
    """
    if (found := _OPERATION.match(name)) is None:
        return None
    scope, kind = short_name(found[1]), _VARIANT.sub("", found[2])
    return next((group for where, what, group in RULES if where.search(scope) and what.search(kind)), OTHER)


@functools.cache
def short_name(scope: str) -> str:
    """Return the name of an operation without loops, branches, calls and replicas around it."""
    *parts, last = scope.rstrip("/").split("/")
    return "/".join([*(part for part in parts if not _CONTAINER.match(part)), last])
