"""How many small faults in kerasdl the default tests find.

    python benchmarks/mutants.py --json before.json [--tree FOLDER] [--work FOLDER] [--count 150] [--seed 1]
    python benchmarks/mutants.py --json after.json --tree OTHER --work ANOTHER --same before.json

A process that has imported TensorFlow and other packages, but neither kerasdl nor tests, forks children, two
at a time (`forked_tests.py`). First one for each file of tests runs it under coverage: which test reaches
which line, in processes that it starts too (`reach.py`). What a fixture of a module or class runs is reached
by all tests that use it. Then `--count` mutations are drawn, spread over all lines of the package
(`mutations.py`), and for each a child runs, in a copy of the tree with the fault in it, the tests that reach
the line, until one fails.

* Files take turns, each with its cheapest test, until `--seconds` of processor time are full.
* A line that runs at import (defaults, fields of a class), and one in a function of which nothing was seen
  (TensorFlow runs a translation of some, and C++ threads are not traced), counts as reached by the tests that
  reach what lies around it: its function, its class, its module.
* Found: a test fails that passes without the fault (it is run again to see), no test can be collected, or the
  child crashes or takes eight times its seconds and two minutes, which it does not without the fault. What
  nothing reaches is not found.

With `--same` the mutations of an earlier measurement are taken where their lines still are, whatever the
file; the rest is drawn anew. Interrupted, it goes on: what is in `--work` and `--json` is not repeated.
Needs `pip install coverage`.
"""

import argparse
import json
import time
from pathlib import Path

import forked_tests
import mutations
import reach
from forked_tests import make_job


class Judge:
    """Finds out which mutants are found, and writes it into each of them.

    `found`; `how`; `by`: the test; `reached_by`: what of it is reached (`reach.tests_of`); `reaching`, `run`,
    `seconds`: how many tests reach it, how many of them were to run, and their processor time.
    """

    def __init__(self, tree: Path, work: Path, reached: dict, limit: float, save):
        self.tree, self.work, self.reached, self.limit, self.save = tree, work, reached, limit, save
        self.sound: set[str] = set()  # tests that pass without a fault
        self.dropped: set[str] = set()

    def run(self, mutants: list[dict], children: int) -> None:
        jobs = [job for mutant in mutants if "found" not in mutant for job in self.begin(mutant)]
        forked_tests.drive(jobs, self.tree, self.work, self.end, children)

    def begin(self, mutant: dict) -> list[dict]:
        bodies = mutations.lines_of_bodies(self.tree, mutant["file"])
        found, by = reach.tests_of(mutant, self.reached, bodies)
        tests, seconds = reach.select(found, self.reached, self.limit, self.dropped)
        mutant.update(reached_by=by, reaching=len(found), run=len(tests), seconds=round(seconds, 1))
        if tests:
            return [make_job(tests, mutation=mutant, limit=8 * seconds + 120, mutant=mutant)]
        return self.tell(mutant, False, "nothing reaches it")

    def end(self, job: dict, result: dict | str, folder: Path) -> list[dict]:
        mutant = job["mutant"]
        if job["mutation"] is None:
            return self.end_without_fault(job, result)
        if isinstance(result, str):
            return [make_job(job["tests"], limit=job["limit"], mutant=mutant, how=result)]
        if result["exit"] in (0, 5):
            return self.tell(mutant, False, "tests pass")
        by = (result["failed"] or ["collection"])[0]
        if by.startswith("collection") or by in self.sound:
            return self.tell(mutant, True, "test", by)
        return [make_job([by], limit=job["limit"], mutant=mutant, how="test")]

    def end_without_fault(self, job: dict, result: dict | str) -> list[dict]:
        passes, only = isinstance(result, dict) and result["exit"] == 0, len(job["tests"]) == 1
        if passes:
            self.sound.update(job["tests"])
            return self.tell(job["mutant"], True, job["how"], job["tests"][0] if only else None)
        if only:
            self.dropped.add(job["tests"][0])
            print(f"dropped, it fails without a fault: {job['tests'][0]}", flush=True)
            return self.begin(job["mutant"])
        return self.tell(job["mutant"], False, f"unclear: {job['how']}, and not well without the fault")

    def tell(self, mutant: dict, found: bool, how: str, by: str | None = None) -> tuple:
        mutant.update(found=found, how=how, by=by)
        print(f"{'found' if found else 'SURVIVED'} ({how}) {described(mutant)}", flush=True)
        self.save()
        return ()


def described(mutant: dict) -> str:
    short = [" ".join(mutant[name].split())[:60] for name in ("old", "new")]
    return f"{mutant['file']}:{mutant['line']} {mutant['function']}: {short[0]} -> {short[1]}"


def area(mutant: dict) -> str:
    return "/".join(mutant["file"].split("/")[:-1][:2])


def share(mutants: list[dict]) -> str:
    found = sum(mutant["found"] for mutant in mutants)
    return f"{found:4d} of {len(mutants):3d}, {found / len(mutants):6.1%}" if mutants else "none"


def report(mutants: list[dict]) -> None:
    """Print the share found by area, what survived, and where an earlier measurement differs."""
    for name in sorted({area(mutant) for mutant in mutants}):
        print(f"{name:24s} {share([mutant for mutant in mutants if area(mutant) == name])}")
    print(f"{'all':24s} {share(mutants)}")
    print("\nSurvived:")
    for mutant in mutants:
        if not mutant["found"]:
            print(f"  {described(mutant)} ({mutant['how']})")
    if old := [mutant for mutant in mutants if "before" in mutant]:
        print(f"\nSame as before: {share(old)}; before: {share([mutant['before'] for mutant in old])}")
        print(f"Drawn anew: {share([mutant for mutant in mutants if 'before' not in mutant])}")
        for mutant in old:
            if mutant["found"] != mutant["before"]["found"]:
                print(f"  {'only now' if mutant['found'] else 'only before'}: {described(mutant)}")


def choose(tree: Path, values: argparse.Namespace) -> list[dict]:
    """Draw the mutants, around those of an earlier measurement whose lines are still there."""
    found, kept = mutations.candidates(tree), []
    for old in json.loads(values.same.read_text())["mutants"] if values.same else ():
        if new := mutations.same(old, found):
            before = {name: old[name] for name in ("file", "line", "found", "how", "by")}
            kept.append({**new, "before": before})
    return mutations.draw(found, values.count, values.seed, kept)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, required=True, help="mutants and results")
    parser.add_argument("--tree", type=Path, default=Path(__file__).parent.parent)
    parser.add_argument("--work", type=Path, default=Path("/tmp/mutants"), help="a folder for each tree")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="of processor time for a mutant")
    parser.add_argument("--children", type=int, default=2, help="at a time; each takes 1 to 4 GB")
    parser.add_argument("--same", type=Path, help="results of an earlier measurement")
    values = parser.parse_args()
    tree, work, began = values.tree.resolve(), values.work.resolve(), time.monotonic()
    forked_tests.warm_up(tree)
    reached = reach.collect(tree, work, values.children)
    print(f"collected in {time.monotonic() - began:.0f} s", flush=True)
    if values.json.is_file():
        measured = json.loads(values.json.read_text())
    else:
        measured = {"count": values.count, "seed": values.seed, "seconds": values.seconds}
        measured["mutants"] = choose(tree, values)

    def save():
        values.json.write_text(json.dumps(measured, indent=1))

    Judge(tree, work, reached, values.seconds, save).run(measured["mutants"], values.children)
    report(measured["mutants"])
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
