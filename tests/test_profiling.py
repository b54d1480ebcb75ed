"""What --profile records, how a trace is divided, and that the training is the one it would have been."""

import collections
import contextlib
import gzip
import itertools
import json
import logging
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from kerasdl.runs.folder import Run
from kerasdl.training import devices
from kerasdl.training.interruption import Interrupted
from kerasdl.training.profiling import breakdown, operations, trace
from kerasdl.training.profiling import profile as profiling
from kerasdl.training.profiling.breakdown import BETWEEN, EXECUTION
from kerasdl.training.profiling.profile import Profile
from tests.cases import CASES, EXTRA_CASES

LENET, MLP = CASES[:2]
NORMALIZED = EXTRA_CASES[0]
STEPS = 12  # of an epoch


def fit(folder, *more, case=MLP, strategy="none", epochs=2, steps=STEPS, profile=True, console=None):
    """Train a tiny network for real, `steps` of 8 examples an epoch, four of them in a call."""
    keras.utils.set_random_seed(1)
    with devices.choose(strategy).scope():
        network = case.compile(case.build(), steps=steps, optimizer="sgd", learning_rate=0.1)
        network.steps_per_execution = min(4, steps)
    data = tf.data.Dataset.from_tensor_slices(case.examples(8 * steps)).batch(8, drop_remainder=True).repeat()
    recorder = Profile(Run(folder), console or Console(quiet=True)) if profile else contextlib.nullcontext()
    with recorder:
        network.fit(
            data,
            epochs=epochs,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[*([recorder] if profile else []), *more],
        )
    return network


def document(folder):
    return json.loads((folder / "profile.json").read_text())


def chrome(folder):
    with gzip.open(folder / "trace.json.gz", "rt") as file:
        return json.load(file)


def raw_files(folder):
    """Return what TensorFlow wrote, where TensorBoard's profiler looks for it."""
    return sorted(folder.glob("logs/plugins/profile/*/*.xplane.pb"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with (folder / "printed").open("w") as file:
        fit(folder, case=LENET, console=Console(file=file, width=110))
    return folder


@pytest.fixture(scope="module")
def threads(run):
    return trace.read(raw_files(run)[0], with_stats=(EXECUTION,))


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    """The folder of a short run and the network that it trained; nothing changes them."""
    folder = tmp_path_factory.mktemp("profiled")
    return folder, fit(folder)


class Raising(keras.callbacks.Callback):
    """Ends the training after a number of calls, as an interruption or a second Ctrl-C does."""

    def __init__(self, calls, *, within_call=False):
        super().__init__()
        self.calls = calls
        self.within_call = within_call

    def on_train_batch_begin(self, batch, logs=None):
        if self.within_call:
            self.count()

    def on_train_batch_end(self, batch, logs=None):
        if not self.within_call:
            self.count()

    def count(self):
        self.calls -= 1
        if self.calls == 0:
            raise Interrupted("Stopped.")


def synthetic(*lines, plane="/host:CPU"):
    """Make a space of lines (name, events), an event being (name, begins, ends, stats), in microseconds."""
    space = xplane_pb2.XSpace()
    add_plane(space, plane, lines)
    return space


def add_plane(space, name, lines):
    plane = space.planes.add(name=name)
    names, stats = {}, {}
    for line_name, events in lines:
        line = plane.lines.add(name=line_name, timestamp_ns=5_000_000)
        for event_name, begins, ends, *known in events:
            number = names.setdefault(event_name, len(names) + 1)
            plane.event_metadata[number].name = event_name
            event = line.events.add(
                metadata_id=number, offset_ps=begins * 10**6, duration_ps=(ends - begins) * 10**6
            )
            for key, value in (known[0] if known else {}).items():
                number = stats.setdefault(key, len(stats) + 1)
                plane.stat_metadata[number].name = key
                field = "str_value" if isinstance(value, str) else "uint64_value"
                event.stats.add(metadata_id=number, **{field: value})


def parsed(tmp_path, space):
    path = tmp_path / "made.xplane.pb"
    path.write_bytes(space.SerializeToString())
    return trace.read(path, with_stats=(EXECUTION,))


def divided(tmp_path, *lines, **more):
    """Break down a trace of one call of one step; return milliseconds as microseconds."""
    found = breakdown.break_down(parsed(tmp_path, synthetic(*lines, **more)))
    return found, *(microseconds(part) for part in (found.wall_ms, found.thread_ms))


def microseconds(part):
    return {group: round(value * 1e3, 6) for group, value in part.items()}


def loop(end=100, until=None):
    """Return the thread of the training loop: a call of one step until `end`, then Python `until`."""
    call = (EXECUTION, 0, end, {"num_steps": 1, "step_num": 0})
    return ("python", [call, (BETWEEN, end, until)] if until else [call])


CONVOLUTION = "while/body/_1/while/net/c1/Relu:_MklNativeFusedConv2D"
GRADIENT = (
    "while/body/_1/while/StatefulPartitionedCall/gradient_tape/net/c1/"
    "Conv2DBackpropFilter:Conv2DBackpropFilter"
)
UPDATE = "cond/then/_9/cond/sgd/ResourceApplyGradientDescent:ResourceApplyGradientDescent"


# What a real recording looks like.


@pytest.mark.slow
def test_the_trace_is_one_that_perfetto_reads(run, threads):
    found = chrome(run / "profile")
    assert found.keys() == {"displayTimeUnit", "traceEvents"}
    events = found["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X"}
    named = [event for event in events if event["name"] == "thread_name"]
    names = {(event["pid"], event["tid"]): event["args"]["name"] for event in named}
    assert len(names) == len(threads)
    assert {"tf_Compute", "tf_numa_-1_Eigen"} <= {name.split("/")[0] for name in names.values()}
    assert [event["args"] for event in events if event["name"] == "process_name"] == [{"name": "/host:CPU"}]
    complete = [event for event in events if event["ph"] == "X"]
    assert {(event["pid"], event["tid"]) for event in complete} == names.keys()
    assert len(complete) == sum(len(thread.events) for thread in threads)
    assert min(event["ts"] for event in complete) == 0
    calls = [event for event in complete if event["name"] == EXECUTION]
    assert [event["args"]["num_steps"] for event in calls] == [4, 4, 4]
    assert len({event["tid"] for event in calls}) == 1
    assert all(event["name"] and event["cat"] and event["dur"] >= 0 for event in complete)


@pytest.mark.slow
def test_events_nest_and_their_pieces_add_up(run, threads):
    lines = collections.defaultdict(list)
    for event in chrome(run / "profile")["traceEvents"]:
        if event["ph"] == "X":
            start, end = event["ts"], event["ts"] + event["dur"]
            lines[event["tid"]].append((round(start * 1000), round(end * 1000)))
    for line in lines.values():
        outer = []
        for start, end in line:  # as they are in the file: by start, the longest first
            while outer and outer[-1] <= start:
                outer.pop()
            assert not outer or end <= outer[-1]
            outer.append(end)
    for thread in threads:
        pieces = list(thread.pieces())
        whole = sum(event.end - event.start for event in thread.events if event.parent is None)
        assert sum(end - start for start, end, _ in pieces) == whole
        assert all(left[1] <= right[0] for left, right in itertools.pairwise(pieces))


@pytest.mark.slow
def test_the_shares_add_up_and_nothing_is_lost(run, threads):
    found = document(run / "profile")
    groups = found["groups"].values()
    assert sum(group["wall_ms"] for group in groups) == pytest.approx(found["step_ms"])
    assert sum(group["wall_share"] for group in groups) == pytest.approx(1)
    assert sum(group["thread_ms"] for group in groups) == pytest.approx(found["busy_ms"])
    assert sum(group["thread_share"] for group in groups) == pytest.approx(1)
    assert found["executing_ms"] + found["between_ms"] == pytest.approx(found["step_ms"])
    assert all(group["backward_ms"] <= group["thread_ms"] for group in groups)
    # Every operation of the trace has a kind, whoever did it: nothing that ran is left out of the sum.
    done = [event for thread in threads for event in thread.events if operations.is_operation(event.name)]
    assert {operations.group_of(event.name) for event in done} <= set(operations.GROUPS)
    assert all(
        breakdown.kind_of(thread, event) in operations.GROUPS
        for thread in threads
        for event in thread.events
        if operations.is_operation(event.name)
    )


@pytest.mark.slow
def test_the_recorded_steps_are_those_after_the_warm_up(run):
    found = document(run / "profile")
    # Three calls of four steps warm it up; the three of the second epoch are recorded.
    assert (found["epoch"], found["first_step"], found["steps"], found["executions"]) == (2, 1, STEPS, 3)
    assert found["seconds"] * 1e3 >= found["step_ms"] * STEPS > 0
    shown = [event["name"] for event in chrome(run / "profile")["traceEvents"]]
    assert shown.count(BETWEEN) == 2  # the end of the epoch is no part of a step


@pytest.mark.slow
def test_recording_waits_for_an_epoch_that_has_enough_steps(tmp_path):
    fit(tmp_path, steps=16)  # warm after 12
    found = document(tmp_path / "profile")
    assert (found["epoch"], found["first_step"], found["steps"]) == (2, 1, 16)


@pytest.mark.slow
def test_kernels_land_where_they_belong(run, threads):
    kinds = collections.defaultdict(set)
    for event in chrome(run / "profile")["traceEvents"]:
        if "type" in event.get("args", {}):
            kinds[event["cat"]].add(event["args"]["type"])
    assert {kind for kind in kinds["convolution"] if "Conv2D" not in kind} == set()
    assert any("Conv2DBackpropFilter" in kind for kind in kinds["convolution"])
    assert all("Conv2D" not in kind for group in kinds if group != "convolution" for kind in kinds[group])
    assert any("MatMul" in kind for kind in kinds["matrix product"])
    assert any("MaxPoolGrad" in kind for kind in kinds["pooling"])
    assert any("Stateless" in kind for kind in kinds["dropout"])
    groups = document(run / "profile")["groups"]
    for name in ("convolution", "matrix product", "pooling", "loss and metrics", "optimizer"):
        assert groups[name]["thread_ms"] > 0, name
    assert 0 < groups["convolution"]["backward_ms"] < groups["convolution"]["thread_ms"]
    updates = [
        event.name
        for thread in threads
        for event in thread.events
        if operations.group_of(event.name) == "optimizer"
    ]
    assert any("ResourceApply" in name for name in updates)


@pytest.mark.slow
def test_what_is_printed_names_the_files(run):
    text = (run / "printed").read_text()
    for group in document(run / "profile")["groups"]:
        assert group in text
    assert f"Profile of {STEPS} steps" in text
    assert f"{run}/profile/trace.json.gz" in text.replace("\n", "")
    assert f"tensorboard --logdir {run}/logs" in text.replace("\n", "")
    assert len(raw_files(run)) == 1
    assert document(run / "profile")["raw"] == str(raw_files(run)[0].relative_to(run))


@pytest.mark.slow
def test_two_replicas_are_profiled(tmp_path):
    fit(tmp_path, case=NORMALIZED, strategy="cpu:2")
    groups = document(tmp_path / "profile")["groups"]
    for name in ("convolution", "normalisation", "optimizer", "loss and metrics"):
        assert groups[name]["thread_ms"] > 0, name


@pytest.mark.slow
def test_the_weights_are_those_without_a_profile(tmp_path, profiled):
    folder, network = profiled
    plain = fit(tmp_path, profile=False)
    assert raw_files(folder)
    for left, right in zip(plain.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


# What can go otherwise.


@pytest.mark.slow
def test_a_short_training_says_so(tmp_path, caplog):
    fit(tmp_path, epochs=1, steps=3)
    (record,) = [record for record in caplog.records if record.name == "kerasdl.training.profiling.profile"]
    assert "ended after 3 steps in 1 calls" in record.getMessage()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_short_epoch_is_recorded_whole(tmp_path):
    fit(tmp_path, epochs=6, steps=3)  # 12 steps are four epochs; the fifth is recorded
    found = document(tmp_path / "profile")
    assert (found["epoch"], found["steps"], found["executions"]) == (5, 3, 1)


@pytest.mark.slow
def test_a_long_epoch_is_recorded_for_its_time_and_not_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(profiling, "SECONDS", 0.0)
    fit(tmp_path, epochs=1, steps=60)
    found = document(tmp_path / "profile")
    # 12 steps to warm up, then at least STEPS in calls of four.
    assert (found["epoch"], found["first_step"], found["steps"]) == (1, 13, 12)
    assert found["unrecorded_executing_ms"] > 0


def test_validation_is_not_recorded(tmp_path):
    seen = []

    class Recording(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            try:
                tf.profiler.experimental.stop(save=False)
            except tf.errors.UnavailableError:
                seen.append("stopped")

    recorder = Profile(Run(tmp_path), Console(quiet=True))
    hooks = keras.callbacks.CallbackList([recorder, Recording()], epochs=1, steps=40)
    with recorder:
        hooks.on_epoch_begin(0)
        for step in range(0, 40, 5):
            hooks.on_train_batch_begin(step)
            hooks.on_train_batch_end(step + 4, {})
        hooks.on_test_begin()
    assert seen == ["stopped"]
    assert document(tmp_path / "profile")["steps"] == 30


@pytest.mark.slow
@pytest.mark.parametrize("within_call", [False, True])
def test_an_interruption_leaves_what_was_recorded(tmp_path, caplog, within_call):
    with pytest.raises(Interrupted):
        fit(tmp_path, Raising(5, within_call=within_call))
    assert document(tmp_path / "profile")["executions"] == (1 if within_call else 2)
    assert caplog.records == []
    tf.profiler.experimental.start(str(tmp_path / "next"))  # the profiler is free again
    tf.profiler.experimental.stop(save=False)


@pytest.mark.slow
def test_an_interruption_of_the_first_call_leaves_a_message(tmp_path, caplog):
    with pytest.raises(Interrupted):
        fit(tmp_path, Raising(4, within_call=True))
    assert ["did not end" in record.getMessage() for record in caplog.records] == [True]
    assert not (tmp_path / "profile").exists()


@pytest.mark.slow
def test_another_profiler_is_said_once_and_left_alone(tmp_path, caplog):
    tf.profiler.experimental.start(str(tmp_path / "other"))
    try:
        fit(tmp_path)
    finally:
        tf.profiler.experimental.stop()
    ours = [record for record in caplog.records if record.name == "kerasdl.training.profiling.profile"]
    assert ["another profiler" in record.getMessage() for record in ours] == [True]
    assert ours[0].levelno == logging.WARNING
    assert list(tmp_path.glob("other/plugins/profile/*/*.xplane.pb"))
    assert not (tmp_path / "profile").exists()


@pytest.mark.slow
def test_a_profiler_that_someone_else_has_ended_is_said(tmp_path, caplog):
    class Ending(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            with contextlib.suppress(tf.errors.UnavailableError):
                tf.profiler.experimental.stop(save=False)

    fit(tmp_path, Ending())
    assert ["has ended the profiler" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.slow
def test_a_second_profile_leaves_the_first(tmp_path, profiled):
    shutil.copytree(profiled[0], tmp_path, dirs_exist_ok=True)
    (folder,) = tmp_path.glob("logs/plugins/profile/*")
    folder.rename(folder.with_name("earlier"))  # the profiler names it by the second; this test is faster
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    fit(tmp_path)
    assert document(tmp_path / "profile-2")["steps"] == STEPS
    assert (tmp_path / "profile-2" / "trace.json.gz").is_file()
    assert len(raw_files(tmp_path)) == 2
    assert {path: path.read_bytes() for path in before} == before


# How a trace is divided, on traces that are made by hand.


def test_a_moment_is_divided_among_the_threads_that_work(tmp_path):
    found, wall, busy = divided(
        tmp_path,
        loop(100, until=120),
        ("tf_Compute/1", [("ExecutorState::Process", 10, 60), (CONVOLUTION, 20, 50)]),
        ("tf_Compute/2", [(UPDATE, 40, 80)]),
    )
    # 0-10 nothing, 10-20 scheduling, 20-40 convolution, 40-50 both, 50-60 scheduling and update, 60-80 update
    assert wall == {
        "convolution": 25,
        "optimizer": 30,
        "scheduling and idle": 10 + 10 + 5 + 20,
        "Python in between": 20,
    }
    assert busy == {"convolution": 30, "optimizer": 40, "scheduling and idle": 20}
    assert (found.step_ms, found.executing_ms, found.between_ms) == pytest.approx((0.12, 0.1, 0.02))


def test_helpers_work_for_the_operation_that_asked_and_it_waits(tmp_path):
    begin, end, hand_over = (
        f"ThreadpoolListener::{name}" for name in ("StartRegion", "StopRegion", "Record")
    )
    found, wall, busy = divided(
        tmp_path,
        loop(100),
        ("tf_Compute/1", [(GRADIENT, 10, 60), ("ParallelFor", 12, 58), (hand_over, 15, 15, {"_p": 7})]),
        ("tf_numa_-1_Eigen/3", [(begin, 20, 20, {"_c": 7}), (hand_over, 22, 22, {"_p": 8}), (end, 50, 50)]),
        ("tf_numa_-1_Eigen/4", [(begin, 30, 30, {"_c": 8}), (end, 55, 55)]),
        ("tf_numa_-1_Eigen/5", [(begin, 60, 60, {"_c": 99}), (end, 70, 70)]),
    )
    # Its own thread works from 10 to 20 and from 55 to 60; a region that nobody asked for is counted too.
    assert busy == {"convolution": 10 + 5 + 30 + 25, "other": 10}
    assert wall == {"convolution": 50, "other": 10, "scheduling and idle": 40}
    assert found.backward_ms["convolution"] == pytest.approx(0.07)
    assert found.operations[0][:3] == (
        "gradient_tape/net/c1/Conv2DBackpropFilter",
        "Conv2DBackpropFilter",
        "convolution",
    )


def test_waiting_for_a_batch_is_what_nothing_else_fills(tmp_path):
    waiting = [
        ("IteratorGetNextOp::DoCompute", 10, 50),
        ("Iterator::Root", 11, 49),
        ("Iterator::Root::Prefetch", 12, 48),
    ]
    _, wall, busy = divided(
        tmp_path,
        loop(100),
        ("tf_data_iterator_get_next/1", waiting),
        ("tf_data_private_threadpool/2", [("image/Mul:Mul", 20, 30), ("Iterator::Root::Batch", 30, 34)]),
        ("tf_Compute/3", [(CONVOLUTION, 40, 60)]),
    )
    assert wall == {
        "waiting for a batch": 10 + 6,
        "input pipeline": 14,
        "convolution": 20,
        "scheduling and idle": 50,
    }
    assert busy == {"input pipeline": 14, "convolution": 20}


def test_a_batch_that_the_loop_waits_for(tmp_path):
    name, events = loop(100)
    _, wall, busy = divided(tmp_path, (name, [*events, ("EagerLocalExecute: IteratorGetNext", 5, 25)]))
    assert wall == {"waiting for a batch": 20, "scheduling and idle": 80}
    assert busy == {}


def test_events_that_end_too_late_are_cut(tmp_path):
    lines = ("tf_Compute/1", [("ExecutorState::Process", 0, 20), (CONVOLUTION, 5, 12), (UPDATE, 10, 30)])
    (thread,) = parsed(tmp_path, synthetic(lines))
    times = [(event.start // 10**6, event.end // 10**6) for event in thread.events]
    assert times == [(0, 10), (5, 10), (10, 30)]
    assert [event.parent for event in thread.events] == [None, thread.events[0], None]


def test_of_a_device_the_kernels_count_and_the_host_launches_them(tmp_path):
    space = synthetic(loop(100), ("tf_Compute/1", [(CONVOLUTION, 10, 20)]))
    kernels = [("ampere_conv", 20, 80, {"tf_op": CONVOLUTION}), ("MemcpyH2D", 80, 90)]
    add_plane(space, "/device:GPU:0", [("Stream #1", kernels)])
    threads = parsed(tmp_path, space)
    found = breakdown.break_down(threads)
    assert microseconds(found.thread_ms) == {"convolution": 60, "other": 10, "scheduling and idle": 10}
    trace.write_chrome(tmp_path / "trace.json.gz", threads, profiling._described(threads))
    events = chrome(tmp_path)["traceEvents"]
    assert [event["args"]["name"] for event in events if event["name"] == "process_name"] == [
        "/host:CPU",
        "/device:GPU:0",
    ]
    assert [event["cat"] for event in events if event["name"] == "ampere_conv"] == ["convolution"]


def test_calls_that_did_not_end_are_left_out(tmp_path):
    name, events = loop(100)
    found, _, _ = divided(tmp_path, (name, [*events, (EXECUTION, 110, 190, {"step_num": 1})]))
    assert (found.steps, found.executions) == (1, 1)
    assert found.step_ms == pytest.approx(0.1)
    assert breakdown.break_down(parsed(tmp_path, synthetic((name, [])))) is None


# The table.

NAMES = {
    "while/body/_1/while/net/c1/convolution:_MklNativeFusedConv2D": "convolution",
    "net/c1/convolution:Conv2D": "convolution",
    "net/d1/depthwise:DepthwiseConv2dNative": "convolution",
    "gradient_tape/net/c3/Conv2DBackpropInput:_MklNativeConv2DBackpropInput": "convolution",
    GRADIENT: "convolution",
    "net/c5/MatMul:_MklMatMul": "matrix product",
    "net/c5/Relu:_MklNativeFusedMatMul": "matrix product",
    "net/attention/einsum/Einsum:BatchMatMulV2": "matrix product",
    "net/s2/MaxPool2d:_MklNativeMaxPool": "pooling",
    "gradient_tape/net/s2/MaxPool2d/MaxPoolGrad:_MklNativeMaxPoolGrad": "pooling",
    "net/s4/AvgPool:AvgPool": "pooling",
    "net/c1/Relu:Relu": "activation",
    "gradient_tape/net/c1/TanhGrad:TanhGrad": "activation",
    "net/head/Softmax:Softmax": "activation",
    "net/batch_normalization_1/moments/mean:Mean": "normalisation",
    "gradient_tape/net/batch_normalization/batchnorm/mul:Mul": "normalisation",
    "net/bn/FusedBatchNormV3:_FusedBatchNormEx": "normalisation",
    "net/dropout_2/SelectV2:SelectV2": "dropout",
    "net/noise/uniform:StatelessRandomUniformV2": "dropout",
    "net/image_preprocessing_1/Cast:Cast": "preprocessing",
    "net/Pad:Pad": "elementwise and shapes",
    "gradient_tape/net/c5/BiasAdd/BiasAddGrad:BiasAddGrad": "elementwise and shapes",
    "net/c5/Cast/ReadVariableOp:ReadVariableOp": "elementwise and shapes",
    "compile_loss/crossentropy/LogSoftmax:LogSoftmax": "loss and metrics",
    "gradient_tape/replica_1/compile_loss/crossentropy/sub:Sub": "loss and metrics",
    "while/body/_1/while/ArgMax:ArgMax": "loss and metrics",
    "StatefulPartitionedCall/replica_1/AssignAddVariableOp:AssignAddVariableOp": "loss and metrics",
    "cond/then/_203/cond/adam/mul_3:Mul": "optimizer",
    "cond/then/_203/cond/replica_1/rm_sprop/Square:Square": "optimizer",
    "cond/then/_9/cond/adam_w_1/MatMul:MatMul": "optimizer",
    "anything/ResourceApplyAdam:ResourceApplyAdam": "optimizer",
    UPDATE: "optimizer",
    "while/body/_1/while/IsFinite:IsFinite": "optimizer",
    "AddN_3:AddN": "optimizer",
    "while/body/_1/while/strided_slice_1:StridedSlice": "input pipeline",
    "while/body/_1/while/cond:If": "scheduling and idle",
    "replica_1/Mean/_80:_Send": "scheduling and idle",
    "net/x/StatefulPartitionedCall:StatefulPartitionedCall": "scheduling and idle",
    "net/c1/ConvertToSomething:ConvertToSomething": "other",
    "net/c1/NeverSeen:NeverSeen": "other",
    "NeverSeen:NeverSeen": "other",
    "net/adamant/NeverSeen:NeverSeen": "other",
    "unknown:Helper": "other",
}


@pytest.mark.parametrize("name", NAMES)
def test_kind_of_an_operation(name):
    assert operations.group_of(name) == NAMES[name]


@pytest.mark.parametrize("name", ["Iterator::Root", "EagerLocalExecute: AddV2", "KernelAndDeviceFunc::Run"])
def test_what_is_no_operation(name):
    assert operations.group_of(name) is None
    assert not operations.is_operation(name)


def test_every_rule_decides_about_a_name():
    for number, rule in enumerate(operations.RULES):
        others = operations.RULES[:number] + operations.RULES[number + 1 :]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(operations, "RULES", others)
            changed = [name for name in NAMES if operations.group_of.__wrapped__(name) != NAMES[name]]
        assert changed, f"no name of the test needs the rule {rule}"


@pytest.mark.parametrize(
    ("scope", "short"),
    [
        (CONVOLUTION.split(":")[0], "net/c1/Relu"),
        (GRADIENT.split(":")[0], "gradient_tape/net/c1/Conv2DBackpropFilter"),
        (UPDATE.split(":")[0], "sgd/ResourceApplyGradientDescent"),
        ("while/body/_1/while/cond", "cond"),
        ("replica_1/Mean/_80", "Mean/_80"),
    ],
)
def test_short_names(scope, short):
    assert operations.short_name(scope) == short
