"""The small faults that `mutants.py` puts into kerasdl: where one fits, and how it is found in another tree.

A mutation is a dict: `file`, `line`, `function` (qualified name of what it lies in), `text` (the line without
its indentation), `operator`, `nth` (among equals of one function), `old` and `new` (source), `start` and
`end` (bytes), `header` (first and last line of its statement, without the body) and `scopes` (from the
outermost to the innermost: line ranges of the functions and classes around it). `late` says that the line
runs when its function is called, not when its module is imported.
"""

import ast
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "kerasdl"
_COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
}
_BOOLEAN = {ast.And: ast.Or, ast.Or: ast.And}
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_TEXTS = (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp)  # + and / of these are not arithmetic
_PATHS = re.compile("path|folder|root|parent|dir", re.IGNORECASE)


def candidates(tree: Path) -> list[dict]:
    """Return every mutation that fits inside a function or class of the package, by file and line."""
    found = []
    for path in sorted((tree / PACKAGE).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        found += _of_file(str(path.relative_to(tree)), source)
    return found


def lines_of_bodies(tree: Path, file: str) -> list[int]:
    """Return the numbers of the lines that run when some function of the file is called."""
    found = set()
    for node in ast.walk(ast.parse((tree / file).read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.update(range(node.body[0].lineno, node.end_lineno + 1))
    return sorted(found)


def apply(tree: Path, mutation: dict) -> str:
    """Return the source of the mutated file."""
    source = (tree / mutation["file"]).read_bytes()
    changed = source[: mutation["start"]] + mutation["new"].encode() + source[mutation["end"] :]
    return changed.decode()


def draw(found: list[dict], count: int, seed: int, kept: list[dict]) -> list[dict]:
    """Choose mutations spread evenly over all lines that have some, one a line, around those already kept.

    The lines, in the order of the files, are cut into `count` equal stretches; each without a kept mutation
    gives one, in random order, until there are enough.
    """
    rng = random.Random(seed)
    lines = defaultdict(list)
    for mutation in found:
        lines[mutation["file"], mutation["line"]].append(mutation)
    places = list(lines)
    stretches = [places[len(places) * n // count : len(places) * (n + 1) // count] for n in range(count)]
    taken = {(mutation["file"], mutation["line"]) for mutation in kept}
    free = [stretch for stretch in stretches if not taken & set(stretch)]
    rng.shuffle(free)
    drawn = [rng.choice(lines[rng.choice(stretch)]) for stretch in free[: count - len(kept)]]
    return sorted(kept + drawn, key=lambda mutation: (mutation["file"], mutation["line"]))


def same(mutation: dict, found: list[dict]) -> dict | None:
    """Return the mutation of another tree that is the same fault; None where it is gone or not unique."""
    keys = (
        ("file", "function", "text", "operator", "new", "nth"),
        ("function", "text", "operator", "new", "nth"),
        ("text", "operator", "new"),
        ("function", "operator", "old", "new"),  # a name before or after it on the line was changed
    )
    for key in keys:
        alike = [other for other in found if all(other[name] == mutation[name] for name in key)]
        if len(alike) == 1:
            return alike[0]
    return None


def _of_file(file: str, source: str) -> list[dict]:
    lines = source.encode().splitlines(keepends=True)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    found, seen, content = [], Counter(), source.encode()
    for node, operator, new, scopes, late, header in _walk(ast.parse(source), (), False, (0, 0)):
        if not scopes:
            continue
        start = offsets[node.lineno - 1] + node.col_offset
        end = offsets[node.end_lineno - 1] + node.end_col_offset
        old, text = content[start:end].decode(), lines[node.lineno - 1].decode().strip()
        function = ".".join(scope.name for scope in scopes)
        key = (function, text, operator, new)
        mutation = {
            "file": file, "line": node.lineno, "function": function, "text": text, "operator": operator,
            "nth": seen[key], "old": old, "new": new, "start": start, "end": end, "header": header,
            "late": late, "scopes": [(scope.lineno, scope.end_lineno) for scope in scopes],
        }  # fmt: skip
        seen[key] += 1
        found.append(mutation)
    return sorted(found, key=lambda mutation: (mutation["line"], mutation["start"], mutation["operator"]))


def _walk(node: ast.AST, scopes: tuple, late: bool, header: tuple) -> Iterator[tuple]:
    """Yield each change below a node, with what lies around it."""
    if isinstance(node, ast.stmt):
        inside = [child.lineno for name in ("body", "cases") for child in getattr(node, name, ())]
        header = (node.lineno, max(node.lineno, min(inside) - 1) if inside else node.end_lineno)
    for target, operator, new in _changes(node):
        yield target, operator, new, scopes, late, header
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "values") and _is_text(node, name):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_docstring(node, child):
                continue
            inner, runs = scopes, late
            if isinstance(node, _SCOPES):
                inner = (*scopes, node)
                runs = late if name != "body" or isinstance(node, ast.ClassDef) else True
            yield from _walk(child, inner, runs, header)


def _is_text(node: ast.AST, field: str) -> bool:
    return field != "values" or isinstance(node, ast.JoinedStr)  # positions inside an f-string are wrong


def _is_docstring(node: ast.AST, child: ast.AST) -> bool:
    return isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, str, str]]:
    """Yield what can be changed at a node itself: what to replace, the operator's name, the new source."""
    match node:
        case ast.Compare(left, [kind, *kinds], values):
            changed = ast.Compare(left, [_COMPARISONS[type(kind)](), *kinds], values)
            yield node, "comparison", f"({ast.unparse(changed)})"
            yield from (_key(value) for value in values if _is_key(value))
        case ast.BinOp(left, kind, right) if type(kind) in _ARITHMETIC:
            joins_paths = isinstance(kind, ast.Div) and _PATHS.search(ast.unparse(node))
            if not (joins_paths or any(isinstance(side, _TEXTS) or _is_key(side) for side in (left, right))):
                changed = ast.BinOp(left, _ARITHMETIC[type(kind)](), right)
                yield node, "arithmetic", f"({ast.unparse(changed)})"
        case ast.BoolOp(kind, values):
            yield node, "and/or", f"({ast.unparse(ast.BoolOp(_BOOLEAN[type(kind)](), values))})"
        case ast.UnaryOp(ast.Not(), operand):
            yield node, "not", f"({ast.unparse(operand)})"
        case ast.Constant(bool(value)):
            yield node, "True/False", str(not value)
        case ast.Constant(int(value) | float(value)):
            yield node, "number", str(value + 1)
        case ast.Dict(keys):
            yield from (_key(key) for key in keys if _is_key(key))
        case ast.Subscript(slice=ast.Constant(str())):
            yield _key(node.slice)
        case ast.arguments():
            defaults = [*node.defaults, *node.kw_defaults]
            yield from ((value, "default", _key(value)[2]) for value in defaults if _is_key(value))
        case ast.Return(ast.AST() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield node, "return", "return None"
        case ast.Expr(ast.Call()) | ast.AugAssign() | ast.Assign([ast.Subscript()]):
            yield node, "deletion", "pass"
        case ast.Raise() | ast.Continue() | ast.Break():
            yield node, "deletion", "pass"
        case ast.If(test, [*_, ast.Return() | ast.Raise() | ast.Continue() | ast.Break()]):
            yield test, "guard", "False"


def _is_key(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _key(node: ast.Constant) -> tuple[ast.AST, str, str]:
    return node, "string", repr(f"{node.value}x")
