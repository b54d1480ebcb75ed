"""Which tests reach which line of kerasdl, and which of them to run for one, for `mutants.py`."""

import collections
import json
import sys
from pathlib import Path

import forked_tests
from coverage import CoverageData


def collect(tree: Path, work: Path, children: int) -> dict:
    """Return the tests that pass, with their seconds and fixtures, and which of them reach each line."""
    files = sorted((tree / "tests").rglob("test_*.py"), key=lambda path: -path.stat().st_size)
    parts = {}
    for path in files:
        flat = ".".join(path.relative_to(tree / "tests").with_suffix(".json").parts)
        parts[str(path.relative_to(tree))] = work / "reach" / flat
    (work / "reach").mkdir(parents=True, exist_ok=True)

    def end(job, result, folder):
        (name,) = job["files"]
        if isinstance(result, str):
            sys.exit(f"{name}: {result}; see {folder}/log.txt")
        print(f"{name}: {len(result['tests'])} tests, failed: {result['failed'] or 'none'}", flush=True)
        parts[name].write_text(json.dumps(_reached(name, result, folder)))
        return ()

    jobs = [forked_tests.make_job(files=[name]) for name, part in parts.items() if not part.is_file()]
    forked_tests.drive(jobs, tree, work, end, children)
    whole = {"tests": {}, "shared": {}, "lines": collections.defaultdict(dict)}
    for part in map(json.loads, (path.read_text() for path in parts.values())):
        whole["tests"].update(part["tests"])
        whole["shared"].update(part["shared"])
        for file, lines in part["lines"].items():
            for line, tests in lines.items():
                whole["lines"][file].setdefault(int(line), set()).update(tests)
    return whole


def _reached(name: str, result: dict, folder: Path) -> dict:
    """Read what the tests of one file reached; those that failed are left out."""
    tests, users, lines = {}, collections.defaultdict(list), collections.defaultdict(dict)
    for test, told in result["tests"].items():
        if test not in result["failed"]:
            uses = [use for use in told["uses"] if use in result["shared"]]
            tests[test] = {"seconds": told["seconds"], "uses": [f"{name} {use}" for use in uses]}
            for context in (test, *uses):
                users[context].append(test)
    for path in (folder / "coverage").iterdir():
        data = CoverageData(str(path))
        data.read()
        for file in data.measured_files():
            of_file = lines[str(Path(file).relative_to(folder / "tree"))]
            for line, contexts in data.contexts_by_lineno(file).items():
                of_file.setdefault(line, set()).update(test for one in contexts for test in users[one])
    shared = {f"{name} {fixture}": seconds for fixture, seconds in result["shared"].items()}
    found = {
        file: {line: sorted(names) for line, names in of_file.items()} for file, of_file in lines.items()
    }
    return {"tests": tests, "shared": shared, "lines": found}


def tests_of(mutation: dict, reach: dict, bodies: list[int]) -> tuple[set[str], str]:
    """Return the tests that reach a mutation, and by what: its line, or else what lies around it.

    Args:
        mutation: one of `mutations.candidates`.
        reach: of `collect`.
        bodies: the lines of its file that run in functions.
    """
    lines = reach["lines"].get(mutation["file"], {})

    def at(numbers):
        return {test for line in numbers for test in lines.get(line, ())}

    def inside(first, last):
        return at(line for line in bodies if first <= line <= last)

    if mutation["late"]:
        first, last = mutation["header"]
        if found := at(range(first, last + 1)):
            return found, "line"
        if inside(*mutation["scopes"][-1]):
            return set(), "nothing"
    for scope in reversed(mutation["scopes"]):
        if found := inside(*scope):
            return found, "scope"
    found = at(bodies)
    return found, "module" if found else "nothing"


def select(found: set[str], reach: dict, limit: float, dropped: set[str]) -> tuple[list[str], float]:
    """Choose among tests: files take turns, each with its cheapest; returns them and their seconds.

    The first test may take longer than the limit. Files run by their seconds, the tests of each in order.
    """
    number, queues = {name: place for place, name in enumerate(reach["tests"])}, collections.defaultdict(list)
    for name in sorted(found - dropped, key=lambda name: (reach["tests"][name]["seconds"], name)):
        queues[name.partition("::")[0]].append(name)
    chosen, fixtures, total = collections.defaultdict(list), set(), 0.0
    while any(queues.values()):
        for file in [file for file, queue in queues.items() if queue]:
            name = queues[file].pop(0)
            test = reach["tests"][name]
            new = set(test["uses"]) - fixtures
            cost = test["seconds"] + sum(reach["shared"][use] for use in new)
            if not chosen or total + cost <= limit:
                chosen[file].append((name, cost))
                fixtures |= new
                total += cost
    groups = sorted(chosen.values(), key=lambda group: sum(cost for _, cost in group))
    return [name for group in groups for name in sorted((name for name, _ in group), key=number.get)], total
