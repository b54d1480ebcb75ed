"""Names and messages of somebody else's files cannot steer the terminal that they are shown in."""

import io
import logging
import sys

import pytest
from rich.table import Table
from rich.text import Text

from kerasdl.cli import main
from kerasdl.errors import UsageError
from kerasdl.recipe import catalog
from kerasdl.report import terminal
from tests.run_folders import write_run

EVIL = "cat\x1b]0;owned\x07\x9b31m\u202egpj.exe\r\b"
SHOWN = r"cat\x1b]0;owned\x07\x9b31m\u202egpj.exe\r\x08"


def test_what_steers_is_written_out_and_all_else_stays():
    assert terminal.clean(EVIL) == SHOWN
    for text in ("Äpfel 犬 עברית 👩\u200d👩\u200d👧\n\tindented", "", "a\\x1b"):
        assert terminal.clean(text) == text
    assert terminal.line("worker\nWorker root is here.") == r"worker\nWorker root is here."
    assert terminal.clean("\udc80.png") == r"\udc80.png"


@pytest.mark.parametrize("soft_wrap", [True, False])
def test_consoles_keep_their_own_colours(soft_wrap):
    file = io.StringIO()
    options = {"force_terminal": True, "color_system": "standard", "width": 100}
    console = terminal.open_console(file=file, soft_wrap=soft_wrap, **options)
    console.print(EVIL, style="red", markup=False, highlight=False)
    table = Table()
    table.add_column(Text(EVIL))
    table.add_row(Text(EVIL))
    console.print(table)
    shown = file.getvalue()
    assert "\x1b[31m" in shown
    for part in ("\x1b]", "\x07", "\x9b", "\u202e", "\r", "\b"):
        assert part not in shown
    assert shown.count("]0;owned") == 3


def test_every_way_out_of_a_command_is_clean(tmp_path, monkeypatch, capsys):
    handlers = []
    monkeypatch.setattr(logging, "basicConfig", lambda **options: handlers.extend(options["handlers"]))
    first = write_run(tmp_path / "1", names=[EVIL, *"bcdefghij"]).path
    second = write_run(tmp_path / "2", seed=1, names=[EVIL, *"bcdefghij"], optimizer=EVIL).path
    assert main(["compare", str(first), str(second)]) == 0

    def fail(pipeline):
        raise UsageError(EVIL)

    monkeypatch.setattr(catalog, "load", fail)
    assert main(["train", "lenet5"]) == 2
    shown = capsys.readouterr()
    assert "cat" + r"\x1b]0;owned" in shown.out
    assert f"kerasdl: {SHOWN}" in shown.err
    assert "\x1b" not in shown.out + shown.err
    record = logging.LogRecord("kerasdl", logging.INFO, __file__, 1, "Worker %s", (EVIL,), None)
    assert handlers[0].format(record) == f"Worker {SHOWN}"


def test_long_messages_are_broken_between_words(monkeypatch, capsys):
    text = "There is no self-made pipeline 'lenet6'; there are lenet5 and mlp."
    assert terminal.wrapped(text, 30).splitlines() == [
        "There is no self-made pipeline", "'lenet6'; there are lenet5 and", "mlp.",
    ]  # fmt: skip
    assert terminal.wrapped("- one two\n  three", 8) == "- one\n  two\n  three"
    assert terminal.wrapped("a" * 40, 8) == "a" * 40  # a path or a number stays whole
    monkeypatch.setenv("COLUMNS", "20")
    for is_terminal, lines in ((True, 2), (False, 1)):
        monkeypatch.setattr(sys.stderr, "isatty", lambda is_terminal=is_terminal: is_terminal)
        terminal.tell("twelve letters, and more")
        assert len(capsys.readouterr().err.splitlines()) == lines
