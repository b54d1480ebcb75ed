"""What TensorFlow's profiler has recorded: read, made to nest, and written as a trace that Perfetto opens.

The profiler writes an `XSpace`: planes (the host, each GPU) of lines (threads, streams) of events with a
name, a start and a duration in picoseconds. Reference: tensorflow/tsl/profiler/protobuf/xplane.proto.
The trace is in Chrome's "Trace Event Format", which https://ui.perfetto.dev and chrome://tracing read.
"""

import dataclasses
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kerasdl.files import replacing
from kerasdl.training.profiling import operations

#: Threads that do parts of an operation for another one. They are recorded as regions without a name.
_HELPERS = "Eigen"
_BEGIN, _END = "ThreadpoolListener::StartRegion", "ThreadpoolListener::StopRegion"
_HAND_OVER = "ThreadpoolListener::Record"
_PRODUCER, _CONSUMER = "_p", "_c"  # numbers of a hand-over, on the side that gives and on that which takes
_UNKNOWN = "unknown:Helper"


@dataclasses.dataclass(slots=True, eq=False)
class Event:
    """What a thread did from `start` to `end`.

    Attributes:
        name: as TensorFlow gives it: `scope/of/the/operation:Type` for an operation.
        start: picoseconds since the trace began.
        end: likewise.
        stats: what is known besides, of events that `read` was asked for and of those of a device.
        parent: the event of the same thread that this one is a part of.
        helped: (start, end) of what helper threads did for it; meanwhile its own thread waits.
    """

    name: str
    start: int
    end: int
    stats: dict[str, Any]
    parent: "Event | None" = None
    helped: list[tuple[int, int]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Thread:
    """One line of a trace.

    Attributes:
        place: the plane it belongs to: `/host:CPU`, `/device:GPU:0`.
        name: of the thread or the stream.
        events: by start; each lies within its parent or after it.
    """

    place: str
    name: str
    events: list[Event]

    @property
    def is_device(self) -> bool:
        """Whether these are kernels on a GPU, and not a thread of this process."""
        return self.place.startswith("/device:")

    def pieces(self) -> Iterator[tuple[int, int, Event]]:
        """Give (start, end, innermost event), for all of the time in which the thread did something."""
        stack, now = [], 0
        for event in [*self.events, None]:
            while stack and (event is None or stack[-1].end <= event.start):
                innermost = stack.pop()
                if innermost.end > now:
                    yield now, innermost.end, innermost
                    now = innermost.end
            if event is not None:
                if stack and event.start > now:
                    yield now, event.start, stack[-1]
                now = event.start
                stack.append(event)


def read(path: Path, *, with_stats: Sequence[str] = ()) -> list[Thread]:
    """Read an `.xplane.pb`.

    Helper threads get the names of the operations that they work for. Where an event has not ended when the
    next one, that is no part of it, begins (by a fraction of a microsecond, as the profiler closes events of
    one thread late), it is made to end there.

    Args:
        path: what `tf.profiler.experimental.stop` has written.
        with_stats: names of the events whose stats are wanted.

    Returns:
        The threads that did anything.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    givers: dict[int, Event | None] = {}
    threads = [
        Thread(plane.name, line.display_name or line.name, _nested(plane, line, givers, with_stats))
        for plane in space.planes
        for line in plane.lines
    ]
    threads = [thread for thread in threads if thread.events]
    began = min((thread.events[0].start for thread in threads), default=0)
    for thread in threads:
        for event in thread.events:
            event.start, event.end = event.start - began, event.end - began
    for thread in threads:
        for event in thread.events:
            if not event.name:
                _name_helper(event, givers)
    return threads


def _nested(plane, line, givers: dict[int, Event | None], with_stats: Sequence[str]) -> list[Event]:
    """Return the events of a line, each inside its parent, and note which of them gave work to others."""
    names = {number: metadata.name for number, metadata in plane.event_metadata.items()}
    is_device = plane.name.startswith("/device:")
    events, stack = [], []
    for raw, end in _with_regions(line, names):
        name, start = names[raw.metadata_id], line.timestamp_ns * 1000 + raw.offset_ps
        while stack and stack[-1].end <= start:
            stack.pop()
        if name == _HAND_OVER:
            givers[_stats(plane, raw)[_PRODUCER]] = stack[-1] if stack else None
        if end == raw.offset_ps:
            continue
        wanted = is_device or name == _BEGIN or name in with_stats
        event = Event(
            "" if name == _BEGIN else name,
            start,
            line.timestamp_ns * 1000 + end,
            _stats(plane, raw) if wanted else {},
        )
        while stack and stack[-1].end < event.end:
            stack.pop().end = start
        event.parent = stack[-1] if stack else None
        stack.append(event)
        events.append(event)
    return events


def _with_regions(line, names: dict[int, str]) -> list[tuple[Any, int]]:
    """Return (event, its end in picoseconds) by start; of a helper its regions."""
    found, begun = [], None
    for raw in sorted(line.events, key=lambda raw: raw.offset_ps):
        name = names[raw.metadata_id]
        if name == _BEGIN and _HELPERS in line.name:
            begun = raw
        elif name == _END and begun is not None:
            found.append((begun, raw.offset_ps))
            begun = None
        else:
            found.append((raw, raw.offset_ps + raw.duration_ps))
    return sorted(found, key=lambda pair: (pair[0].offset_ps, -pair[1]))


def _stats(plane, raw) -> dict[str, Any]:
    """Return the properties of an event besides its name and time."""
    found = {}
    for stat in raw.stats:
        value = getattr(stat, stat.WhichOneof("value"))
        is_reference = stat.WhichOneof("value") == "ref_value"
        found[plane.stat_metadata[stat.metadata_id].name] = (
            plane.stat_metadata[value].name if is_reference else value
        )
    return found


def _name_helper(region: Event, givers: dict[int, Event | None]) -> None:
    """Find the operation that a helper worked for; helpers hand parts on to each other."""
    giver: Event | None = region
    while giver is not None and _CONSUMER in giver.stats:
        giver = givers.get(giver.stats[_CONSUMER])
    while giver is not None and not operations.is_operation(giver.name):
        giver = giver.parent
    region.name = _UNKNOWN if giver is None else giver.name
    if giver is not None:
        giver.helped.append((region.start, region.end))


def write_chrome(path: Path, threads: Sequence[Thread], describe: Callable[[Thread, Event], dict[str, Any]]):
    """Write a trace that Perfetto and chrome://tracing open: JSON, compressed.

    Args:
        path: the file, `.json.gz`.
        threads: what `read` returned.
        describe: returns the `name`, `cat` and `args` that an event is to be shown with.
    """
    places = list(dict.fromkeys(thread.place for thread in threads))
    events: list[dict[str, Any]] = []
    for number, place in enumerate(places, 1):
        events.append({"ph": "M", "pid": number, "name": "process_name", "args": {"name": place}})
    for number, thread in enumerate(threads, 1):
        where = {"pid": places.index(thread.place) + 1, "tid": number}
        events.append({"ph": "M", **where, "name": "thread_name", "args": {"name": thread.name}})
        events.append({"ph": "M", **where, "name": "thread_sort_index", "args": {"sort_index": number}})
        for event in thread.events:
            # Both ends are rounded, to nanoseconds: events that nest still do.
            start, end = round(event.start / 1000), round(event.end / 1000)
            times = {"ts": start / 1000, "dur": (end - start) / 1000}
            events.append({"ph": "X", **where, **times, **describe(thread, event)})
    with replacing(path) as temporary, gzip.open(temporary, "wt", encoding="ascii") as file:
        file.write(json.dumps({"displayTimeUnit": "ms", "traceEvents": events}, separators=(",", ":")))
