"""A search in TensorBoard's HParams tab: `tensorboard --logdir searches/lenet5/1`.

Written with TensorBoard's protocol buffers, without TensorFlow. Times start at 0, so equal trials give equal
bytes. Unchanged files are not written again: a TensorBoard that has them open reads on from its position.
"""

import contextlib
import io
import math
from pathlib import Path
from typing import Any

from google.protobuf.struct_pb2 import ListValue

from kerasdl.errors import missing_name
from kerasdl.files import replacing
from kerasdl.search import dimensions
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.space import Parameter

try:  # private: `tests/test_private_names.py` lists what is used of these
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorboard.summary.writer.record_writer import RecordWriter
except ImportError as error:
    raise missing_name("tensorboard", str(error), ">=2.20,<2.22") from error

_FILE = "events.out.tfevents.0.kerasdl"


def write(record: SearchRecord) -> Path:
    """Write the search and each trial that has ended; remove trials that no longer exist.

    A trial's metrics are single points under their names; `epochs/<name>` is the first objective's curve.

    Returns:
        The folder, `<search>/logs/hparams`.
    """
    folder = record.path / "logs" / "hparams"
    _replace(folder / _FILE, [_event(_experiment(record))])
    wanted = {}
    for trial in record.trials:
        if trial.status != "running":
            wanted[folder / f"trial-{trial.number:03d}"] = trial
    for place in set(folder.glob("trial-*")) - set(wanted):
        (place / _FILE).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # what else is in it is not ours
            place.rmdir()
    for place, trial in wanted.items():
        _replace(place / _FILE, _trial_events(record, trial))
    return folder


def _replace(file: Path, events: list[event_pb2.Event]) -> None:
    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for event in [event_pb2.Event(wall_time=0.0, file_version="brain.Event:2"), *events]:
        writer.write(event.SerializeToString(deterministic=True))
    content = buffer.getvalue()
    if file.is_file() and file.read_bytes() == content:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        temporary.write_bytes(content)


def _event(summary: summary_pb2.Summary, step: int = 0, seconds: float = 0.0) -> event_pb2.Event:
    return event_pb2.Event(wall_time=seconds, step=step, summary=summary)


def _plugin_data(tag: str, **part: Any) -> summary_pb2.Summary:
    """Return a summary with a message of the HParams plugin."""
    message = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **part)
    about = summary_pb2.SummaryMetadata.PluginData(
        plugin_name=metadata.PLUGIN_NAME, content=message.SerializeToString(deterministic=True)
    )
    summary = summary_pb2.Summary()
    summary.value.add(
        tag=tag, metadata=summary_pb2.SummaryMetadata(plugin_data=about), tensor=metadata.NULL_TENSOR
    )
    return summary


def _experiment(record: SearchRecord) -> summary_pb2.Summary:
    metrics = [
        api_pb2.MetricInfo(
            name=api_pb2.MetricName(tag=objective.name),
            display_name=objective.name,
            description=f"{'lower' if objective.direction == 'min' else 'higher'} is better",
        )
        for objective in record.objectives
    ]
    experiment = api_pb2.Experiment(
        name=record.name,
        description=record.method,
        hparam_infos=[_hparam(parameter) for parameter in dimensions.by_name(record.space)],
        metric_infos=metrics,
    )
    return _plugin_data(metadata.EXPERIMENT_TAG, experiment=experiment)


def _hparam(parameter: Parameter) -> api_pb2.HParamInfo:
    info = api_pb2.HParamInfo(name=parameter.name, display_name=parameter.name)
    if parameter.kind != "choice":
        info.type = api_pb2.DATA_TYPE_FLOAT64
        info.domain_interval.min_value, info.domain_interval.max_value = parameter.low, parameter.high
        return info
    values = [_plain(choice) for choice in parameter.choices]
    kinds = {type(value) for value in values}
    if kinds <= {bool}:
        info.type = api_pb2.DATA_TYPE_BOOL
    elif kinds <= {int, float}:
        info.type = api_pb2.DATA_TYPE_FLOAT64
    else:
        info.type = api_pb2.DATA_TYPE_STRING
        values = [str(value) for value in values]
    listed = ListValue()
    listed.extend(values)
    info.domain_discrete.CopyFrom(listed)
    return info


def _plain(value: Any) -> bool | int | float | str:
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _trial_events(record: SearchRecord, trial: TrialRecord) -> list[event_pb2.Event]:
    kinds = {info.name: info.type for info in map(_hparam, dimensions.by_name(record.space))}
    start = plugin_data_pb2.SessionStartInfo(group_name=f"trial {trial.number:03d}")
    for name, value in trial.values.items():
        value = str(value) if kinds.get(name) == api_pb2.DATA_TYPE_STRING else _plain(value)
        held = start.hparams[name]
        if isinstance(value, bool):
            held.bool_value = value
        elif isinstance(value, str):
            held.string_value = value
        else:
            held.number_value = value
    seconds = trial.seconds or 0.0
    status = api_pb2.STATUS_FAILURE if trial.status == "failed" else api_pb2.STATUS_SUCCESS
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=seconds)
    return [
        _event(_plugin_data(metadata.SESSION_START_INFO_TAG, session_start_info=start)),
        *_scalars(record, trial, seconds),
        _event(_plugin_data(metadata.SESSION_END_INFO_TAG, session_end_info=end), seconds=seconds),
    ]


def _scalars(record: SearchRecord, trial: TrialRecord, seconds: float) -> list[event_pb2.Event]:
    curve = f"epochs/{record.objectives[0].name}"
    last = max((epoch for epoch, _ in trial.history), default=0)
    points = [(curve, epoch, value, seconds * epoch / last) for epoch, value in trial.history]
    points += [(name, last, value, seconds) for name, value in sorted(trial.figures.items())]
    return [
        _event(scalar_pb(name, value), step, when)
        for name, step, value, when in points
        if math.isfinite(value)
    ]
