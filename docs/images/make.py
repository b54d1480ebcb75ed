"""Make the pictures of README and documentation in docs/images, from real runs and a real search.

    python docs/images/make.py

It trains LeNet-5 on digits in a temporary folder, behind a terminal of 80 columns. Screenshots need Chromium.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import tempfile
import termios
from pathlib import Path

from PIL import Image
from rich import _export_format
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
COLUMNS, ROWS = 80, 40
INSTALL, TRAIN = "pip install -e . && ", "kerasdl train lenet5 --data digits"
EPOCHS_SHOWN = 3  # first and last epochs that the picture keeps of a hundred
MORE = (
    "kerasdl train lenet5 --data digits --epochs 12 --min-steps 0 --learning-rate 0.01 --no-export",
    "kerasdl compare runs/lenet5/1 runs/lenet5/2 --html compare.html",
    "kerasdl tune lenet5 --data digits --max-trials 12 --epochs 6 --min-steps 0",
)
#: Picture -> page, part of it, and size of the window in pixels.
PAGES = {
    "report.png": ("runs/lenet5/1/report.html", "", (1200, 1110)),
    "compare.png": ("compare.html", "", (1200, 1150)),
    "search.png": ("searches/lenet5/1/report.html", "part-parallel-coordinates", (1200, 760)),
    "phone.png": ("runs/lenet5/1/report.html", "part-confusion-matrix", (500, 800)),
}


def run(command: str, folder: Path) -> str:
    """Return what a command writes to a terminal of 80 columns."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvp("sh", ["sh", "-c", f"sleep 0.2; exec {command}"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not part:
            break
        parts.append(part)
    if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]):
        raise SystemExit(b"".join(parts).decode())
    return b"".join(parts).decode()


def screen(written: str) -> list[str]:
    """Return the lines that stay on the screen, colours kept: progress bars are drawn over."""
    lines: list[str] = []
    for line in written.replace("\r\n", "\n").split("\n"):
        if "\x1b[1A" in line and lines:
            lines.pop()  # the cursor went up: the progress bar is erased
        line = re.split(r"\x1b\[2K", line)[-1].rpartition("\r")[2]
        lines.append(re.sub(r"\x1b\[(\?25[lh]|1A)", "", line))
    return lines


def shortened(lines: list[str]) -> list[str]:
    """Leave out the epochs in the middle."""
    epochs = [number for number, line in enumerate(lines) if line.startswith("epoch ")]
    first, last = epochs[EPOCHS_SHOWN], epochs[-EPOCHS_SHOWN]
    return [*lines[:first], "...", *lines[last:]]


def draw(lines: list[str], file: Path) -> None:
    """Write an SVG that needs no font from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=Path(os.devnull).open("w"))  # noqa: SIM115
    for line in lines:
        for row in Text.from_ansi(line).wrap(console, COLUMNS, overflow="fold"):
            console.print(row)
    template = re.sub(r"@font-face \{\{.*?\}\}\n", "", _export_format.CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    file.write_text(console.export_svg(title="kerasdl", code_format=template), encoding="utf-8")


def photograph(page: Path, part: str, size: tuple[int, int], file: Path) -> None:
    """Write a screenshot of a part of a page with few colours."""
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}",
                "--virtual-time-budget=5000", f"--window-size={size[0]},{size[1]}", f"--screenshot={file}",
                f"{page.as_uri()}#{part}",
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
    Image.open(file).convert("RGB").quantize(96).save(file, optimize=True)


def main() -> None:
    """Train, search and compare, then write all pictures."""
    with tempfile.TemporaryDirectory() as folder:
        lines = screen(run(TRAIN, Path(folder)))
        draw([f"$ {INSTALL}{TRAIN}", *shortened(lines)], HERE / "terminal.svg")
        for command in MORE:
            run(command, Path(folder))
        for name, (page, part, size) in PAGES.items():
            photograph(Path(folder) / page, part, size, HERE / name)


if __name__ == "__main__":
    main()
