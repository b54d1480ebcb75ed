"""Make the pictures of README and documentation in docs/images, from real runs and a real search.

    python docs/images/make.py              # all
    python docs/images/make.py --terminal   # those of the terminal alone

It trains LeNet-5 on digits in a temporary folder, behind a terminal of 80 columns. Screenshots need Chromium.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from rich import _export_format
from rich.console import Console
from rich.text import Text
from sklearn.datasets import load_digits, load_wine

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))
from benchmarks.terminal import COLUMNS, Terminal  # noqa: E402
from tests.browser import Browser  # noqa: E402

INSTALL, TRAIN = "pip install -e . && ", "kerasdl train lenet5 --data digits"
EPOCHS_SHOWN = 3  # first and last epochs that the picture keeps of a hundred
MORE = (
    "kerasdl train lenet5 --data digits --epochs 12 --min-steps 0 --learning-rate 0.01 --no-export",
    "kerasdl compare runs/lenet5/1 runs/lenet5/2 --html compare.html",
    "kerasdl tune lenet5 --data digits --max-trials 12 --epochs 6 --min-steps 0",
    "kerasdl runs --html index.html",
)
#: Picture of the terminal -> commands; they may fail.
TERMINALS = {
    "mistakes.svg": (
        "kerasdl train lenet6",
        "kerasdl train lenet5 --data digits --epoch 3",
        "kerasdl train lenet5 --data digitss",
        "kerasdl evaluate runs/lenet5/7",
    ),
    "doctor.svg": ("kerasdl doctor wine.csv", "kerasdl init wine.csv"),
    "runs.svg": ("kerasdl runs", "kerasdl predict exported/lenet5/1 digits/8 --top 3"),
}
_REPORT, _SEARCH = "runs/lenet5/1/report.html", "searches/lenet5/1/report.html"
#: Picture -> page, part of it, size of the window in pixels, and whether the reader likes it light or dark.
PAGES = {
    "report.png": (_REPORT, "", (1200, 1500), "light"),
    "report-dark.png": (_REPORT, "part-training", (1200, 900), "dark"),
    "compare.png": ("compare.html", "", (1200, 1150), "light"),
    "search.png": (_SEARCH, "part-parallel-coordinates", (1200, 760), "light"),
    "search-phone.png": (_SEARCH, "part-parallel-coordinates", (390, 800), "dark"),
    "phone.png": (_REPORT, "part-confusion-matrix", (390, 800), "light"),
    "runs.png": ("index.html", "", (1200, 620), "light"),
}


def run(command: str, folder: Path, *, may_fail: bool = False) -> str:
    """Return what a command writes to a terminal of 80 columns."""
    terminal = Terminal(["sh", "-c", f"exec {command}"], folder)
    written = b"".join(terminal.pieces()).decode()
    if terminal.code and not may_fail:
        raise SystemExit(written)
    return written


def screen(written: str) -> list[str]:
    """Return the lines that stay on the screen, colours kept: progress bars are drawn over."""
    lines: list[str] = []
    for line in written.replace("\r\n", "\n").split("\n"):
        if "\x1b[1A" in line and lines:
            lines.pop()  # the cursor went up: the progress bar is erased
        line = re.split(r"\x1b\[2K", line)[-1].rpartition("\r")[2]
        lines.append(re.sub(r"\x1b\[(\?25[lh]|1A)", "", line))
    return lines


def moment(written: str, share: float) -> list[str]:
    """Return what stands on the screen when a share of all was written; the last line is a progress bar."""
    drawn = [found.start() for found in re.finditer(r"\repoch [^\r\n]* left", written)]
    return screen(written[: written.index("\r", drawn[int(share * len(drawn))] + 1)])


def examples(folder: Path) -> None:
    """Write what the commands of `TERMINALS` read: a table with a small mistake, and pictures of digits."""
    wine, digits = load_wine(), load_digits()
    rows = np.column_stack([np.arange(len(wine.data)), wine.data, wine.target])
    header = ",".join(["bottle", *wine.feature_names, "target"])
    np.savetxt(folder / "wine.csv", rows, "%g", delimiter=",", header=header, comments="")
    (folder / "digits/8").mkdir(parents=True)
    for number in np.flatnonzero(digits.target == 8)[:3]:
        pixels = np.clip(digits.images[number] * 16, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"digits/8/{number}.png")


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


def photograph(
    browser: Browser, page: Path, part: str, size: tuple[int, int], scheme: str, file: Path
) -> None:
    """Write a picture of a page from a part on, with few colours."""
    browser.open(page, scheme=scheme, width=size[0], height=size[1])
    place = f"document.getElementById({part!r})?.getBoundingClientRect().top ?? 0"
    top = int(browser.evaluate(f"window.scrollTo(0, 0), {place}"))
    browser.picture(file)
    with Image.open(file) as whole:
        shown = whole.convert("RGB").crop((0, top, whole.width, min(top + size[1], whole.height)))
    shown.quantize(96).save(file, optimize=True)


def main() -> None:
    """Train, search and compare, then write all pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = run(TRAIN, folder)
        draw([f"$ {INSTALL}{TRAIN}", *shortened(screen(written))], HERE / "terminal.svg")
        draw([f"$ {TRAIN}", *moment(written, 0.1)], HERE / "progress.svg")
        examples(folder)
        for file, commands in TERMINALS.items():
            shown = [[f"$ {command}", *screen(run(command, folder, may_fail=True))] for command in commands]
            draw([line for lines in shown for line in lines], HERE / file)
        if "--terminal" in sys.argv:
            return
        for command in MORE:
            run(command, folder)
        with Browser() as browser:
            for file, (page, part, size, scheme) in PAGES.items():
                photograph(browser, folder / page, part, size, scheme, HERE / file)


if __name__ == "__main__":
    main()
