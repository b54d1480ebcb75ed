"""Standard streams that are closed, full, or read by nobody any more."""

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kerasdl import environment
from kerasdl.cli import main, streams
from kerasdl.errors import UsageError


@pytest.fixture
def broken(monkeypatch):
    """A pipe that nobody reads, or a full disk, as standard output."""
    opened = []

    def broken(kind):
        if kind == "full":
            descriptor = os.open("/dev/full", os.O_WRONLY)
        else:
            reading, descriptor = os.pipe()
            os.close(reading)
        opened.append(io.TextIOWrapper(io.FileIO(descriptor, "w"), "utf-8", line_buffering=True))
        monkeypatch.setattr(sys, "stdout", opened[-1])

    yield broken
    for stream in opened:
        stream.close()  # without an error: its descriptor leads nowhere by now


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["train", "--help"], ["--help"]])
@pytest.mark.parametrize("kind, code", [("full", 1), ("unread", 0)])
def test_output_that_cannot_be_written(broken, capsys, kind, code, arguments):
    broken(kind)
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert error.count("\n") == code
    assert ("No space left on device" in error) == (kind == "full")


@pytest.mark.parametrize("kind", ["full", "unread"])
def test_work_goes_on_when_nobody_reads_it(broken, capsys, monkeypatch, kind):
    """A long training must not die because the `head` behind it has seen enough."""
    done = []

    def run(arguments):
        from rich.console import Console

        for _ in range(3):
            Console().print("epoch")
            print("epoch", flush=True)
        done.append(True)
        raise UsageError("and then this")

    monkeypatch.setattr("kerasdl.cli._run", run)
    broken(kind)
    assert main([]) == 2
    assert done
    assert capsys.readouterr().err == "kerasdl: and then this\n"


def test_errors_that_cannot_be_written_do_not_change_the_exit_code(monkeypatch):
    with Path("/dev/full").open("w", buffering=1) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        assert main(["lst"]) == 2


def test_what_the_locale_cannot_write_is_escaped(monkeypatch):
    ascii_only = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    with streams.guarded():
        print("\u00c4pfel \u72ac")
    assert ascii_only.buffer.getvalue() == b"\\xc4pfel \\u72ac\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams(closed, tmp_path):
    """No file that is opened later may get the number of a standard stream."""
    program = (
        "import os, sys; from kerasdl.cli import main; code = main(['list']); file = open('later', 'w')\n"
        "file.write(f'{code} {file.fileno() > 2}'); file.close(); os.write(1, b''); os.write(2, b'')"
    )
    command = f'"$1" -S -c "$2" {closed}'
    python_path = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", sys.executable, program],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": python_path},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "later").read_text() == "0 True"
    assert ("lenet5" in done.stdout) == (">&-" not in closed.replace("2>&-", ""))


def test_nothing_is_kept_quiet_where_errors_go_nowhere(monkeypatch):
    def bad_descriptor(number):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", bad_descriptor)
    monkeypatch.setattr(sys, "stderr", None)
    with environment.quiet():
        logging.getLogger("nobody").info("fine")


@pytest.mark.parametrize(
    "error, code, said",
    [
        (OSError(28, "No space left on device", "/nowhere/at/all"), 1, "The disk of /nowhere/at is full"),
        (OSError(122, "Disk quota exceeded", "/home/x"), 1, "Your quota on the disk of /home/x is used up"),
        (OSError(27, "File too large", "/home/x"), 1, "may not grow any more on the disk of /home/x"),
        (RuntimeError("write failed: No space left on device"), 1, "is full"),
        (PermissionError(13, "Permission denied", "/some/x"), 1, "/some/x cannot be read or written"),
        (MemoryError(), 1, "There is not enough memory."),
    ],
)
def test_faults_of_the_machine_are_sentences_in_every_command(monkeypatch, capsys, error, code, said):
    def run(arguments):
        raise error

    monkeypatch.setattr("kerasdl.cli._run", run)
    assert main([]) == code
    message = capsys.readouterr().err
    assert message.startswith("kerasdl: ")
    assert said in message
    assert "Traceback" not in message


def test_other_errors_are_bugs_and_keep_their_traceback(monkeypatch):
    monkeypatch.setattr("kerasdl.cli._run", lambda arguments: {}["bug"])
    with pytest.raises(KeyError, match="bug"):
        main([])


def test_a_current_folder_that_is_gone(monkeypatch, capsys, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr("kerasdl.cli._run", lambda arguments: Path.cwd())
    assert main([]) == 1
    assert capsys.readouterr().err == "kerasdl: The current folder was removed. Change to one that exists.\n"
    monkeypatch.chdir(tmp_path)
