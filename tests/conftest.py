"""What holds for every test: two logical CPU devices, a fixed seed, what is slow, and what took longest."""

import resource
import time

import pytest

from kerasdl import environment

#: CPU seconds of each test, by its name.
_SECONDS: dict[str, float] = {}
_BEGIN = time.monotonic()


def pytest_addoption(parser):
    parser.addoption(
        "--begin-within", type=float, metavar="SECONDS", help="skip slow tests that have not begun by then"
    )


@pytest.fixture(scope="session", autouse=True)
def _own_config(tmp_path_factory):
    """What tests make is not trusted by the one who runs them, and what is trusted there not by tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


def pytest_configure(config):
    """Import TensorFlow where tests run: not in the process that only hands them out to others."""
    if config.getoption("dist", "no") != "no" and not config.getoption("collectonly"):
        return
    environment.import_tensorflow()
    import tensorflow as tf

    # Two CPU devices stand in for two GPUs, and have to be there from the start.
    devices = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)


@pytest.fixture(scope="session", autouse=True)
def _warm_workers():
    from tests import warm_workers

    with warm_workers.kept():
        yield


@pytest.fixture(autouse=True)
def _fixed_seed():
    import keras

    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark as slow what the condition of a `by_default` mark, called with the parameters, leaves out."""
    for item in items:
        for mark in item.iter_markers("by_default"):
            if not mark.args[0](**item.callspec.params):
                item.add_marker("slow")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Skip a slow test for which no time is left, before its fixtures are made."""
    limit = item.config.getoption("begin_within")
    if limit is not None and time.monotonic() - _BEGIN > limit and item.get_closest_marker("slow"):
        pytest.skip("--begin-within is over")


def _cpu_seconds() -> float:
    """Return what this process and its ended children have used."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    before = _cpu_seconds()
    item.user_properties.append(("cpu_seconds", lambda: _cpu_seconds() - before))
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    report.user_properties = [
        (name, value() if callable(value) else value) for name, value in item.user_properties
    ]
    return report


def pytest_runtest_logreport(report):
    _SECONDS[report.nodeid] = dict(report.user_properties).get("cpu_seconds", 0.0)


def pytest_terminal_summary(terminalreporter):
    """Print the ten tests that took most, fixtures included, and the sum of all."""
    if not _SECONDS:
        return
    terminalreporter.section(f"CPU seconds: {sum(_SECONDS.values()):.0f} in all")
    for name in sorted(_SECONDS, key=_SECONDS.get, reverse=True)[:10]:
        terminalreporter.line(f"{_SECONDS[name]:6.1f} {name}")
