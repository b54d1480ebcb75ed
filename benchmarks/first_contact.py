"""What a newcomer waits for, of two checkouts side by side: mistakes, help, the first line, silences, pages.

    git worktree add /tmp/before COMMIT
    python benchmarks/first_contact.py /tmp/before . [--rounds 3] [--only mistakes] [--json FILE]

Commands run behind a terminal of 80 columns, in turn from the one checkout and the other. Seconds are of the
processor (the least of the rounds), which a busy machine changes least; a silence is the longest time without
a byte on the terminal, in seconds of the processor and, behind it, of the clock.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import machine
import psutil
from terminal import Terminal

MISTAKES = {
    "a pipeline that is not there": "train lenet6",
    "a flag that is not there": "train lenet5 --data digits --epoch 3",
    "a value that is no number": "train lenet5 --epochs abc",
    "data that is not there": "train lenet5 --data digit",
    "a file that is not there": "train lenet5 --data photos/",
    "the pipeline is missing": "train --data digits",
    "a run that is not there": "evaluate runs/lenet5/77",
    "a bundle that is not there": "predict exported/lenet5/77 a.png",
    "a command that is not there": "trian lenet5",
    "a search space that is not there": "tune lenet6",
}
HELP = {"--help": "--help", "train lenet5 --help": "train lenet5 --help", "list": "list"}
TRAIN = "train lenet5 --data digits --epochs 3"
#: In this order: the first ones make what the others need.
COMMANDS = {
    "train": TRAIN,
    "train, once more": f"{TRAIN} --no-export",
    "evaluate": "evaluate runs/lenet5/1",
    "verify": "verify exported/lenet5/1",
    "explain": "explain runs/lenet5/1",
    "compare": "compare runs/lenet5/1 runs/lenet5/2 --html compare.html",
    "lr-find": "lr-find lenet5 --data digits --html lr-find.html",
    "tune": "tune lenet5 --data digits --max-trials 2 --epochs 2",
}
PAGES = {
    "report of a run": "runs/lenet5/1/report.html",
    "comparison": "compare.html",
    "lr-find": "lr-find.html",
    "report of a search": "searches/lenet5/1/report.html",
}


def run(command: str, tree: Path, folder: Path) -> dict[str, float]:
    """Run a command behind a terminal.

    Returns:
        Processor seconds in all (`cpu`) and until the first byte (`first`), and the longest time without a
        byte, of the processor (`silence`) and of the clock (`wall`).
    """
    given = [sys.executable, "-P", "-m", "kerasdl", *command.split()]
    terminal = Terminal(given, folder, PYTHONPATH=str(tree), TERM="xterm-256color")
    used, clock, found = 0.0, time.monotonic(), {"first": 0.0, "silence": 0.0, "wall": 0.0}
    for _ in terminal.pieces():
        now, cpu = time.monotonic(), _cpu(terminal.process) or used
        found["first"] = found["first"] or cpu
        found["silence"], found["wall"] = max(found["silence"], cpu - used), max(found["wall"], now - clock)
        used, clock = cpu, now
    return {**found, "cpu": terminal.seconds}


def _cpu(process: int) -> float:
    """Return the processor seconds of a process and its children so far; 0 where it has ended."""
    try:
        times = psutil.Process(process).cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system + times.children_user + times.children_system


def measure(
    commands: dict[str, str], trees: list[Path], folders: list[Path], rounds: int
) -> dict[str, list[dict[str, float]]]:
    """Return, of each command and checkout, the least of each figure over the rounds."""
    found = {}
    for name, command in commands.items():
        runs: list[list[dict[str, float]]] = [[] for _ in trees]
        for number in range(rounds):
            for place in (0, 1) if number % 2 else (1, 0):
                runs[place].append(run(command, trees[place], folders[place]))
        found[name] = [{key: min(one[key] for one in part) for key in part[0]} for part in runs]
        print(f"  {name}", file=sys.stderr, flush=True)
    return found


def show(title: str, rows: dict[str, list], cell: Callable[[dict], str]) -> None:
    print(f"\n| {title} | before | after |\n|---|---|---|")
    for name, (before, after) in rows.items():
        print(f"| {name} | {cell(before)} | {cell(after)} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trees", nargs=2, type=Path, metavar="CHECKOUT")
    parser.add_argument("--rounds", type=int, default=3, help="of mistakes and help; others run once")
    parser.add_argument("--only", choices=("mistakes", "commands"))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    values = parser.parse_args()
    trees = [tree.resolve() for tree in values.trees]
    found = {}
    print("\n".join(f"{name}: {text}" for name, text in machine.describe().items()))
    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root) / name for name in ("before", "after")]
        for folder in folders:
            folder.mkdir()
        if values.only != "commands":
            found["mistakes"] = measure(MISTAKES, trees, folders, values.rounds)
            found["help"] = measure(HELP, trees, folders, values.rounds)
            show("mistake, seconds", found["mistakes"], lambda one: f"{one['cpu']:.2f}")
            show("help, seconds", found["help"], lambda one: f"{one['cpu']:.2f}")
        if values.only != "mistakes":
            found["commands"] = measure(COMMANDS, trees, folders, 1)
            show("first byte, seconds", found["commands"], lambda one: f"{one['first']:.2f}")
            show(
                "longest silence, seconds",
                found["commands"],
                lambda one: f"{one['silence']:.1f} ({one['wall']:.1f})",
            )
            sizes = {
                name: [{"mb": (folder / page).stat().st_size / 1e6} for folder in folders]
                for name, page in PAGES.items()
                if all((folder / page).is_file() for folder in folders)
            }
            found["pages"] = sizes
            show("page, MB", sizes, lambda one: f"{one['mb']:.2f}")
    if values.json:
        values.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
