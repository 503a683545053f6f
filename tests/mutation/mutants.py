"""Mutants of a module: what can be changed in it, what is left out by rule, and a sample of it that can be drawn again.

The changes are cosmic-ray's operators. A mutant is known by its function, the text of its line, the operator
and which of several alike it is, so that it stays the same when lines or files move.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "smm_bayes"

ARITHMETIC, BITS = ("Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"), ("RShift", "LShift", "BitOr", "BitAnd", "BitXor")
ORDER = ("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE")
# Operators of cosmic-ray that are used. An arithmetic operator becomes another one and a bitwise operator another one:
# bits of a number that is no integer only raise TypeError, which every test catches, and would flatter the score. For
# the same reason "==" does not become "is", and "-" neither "~" nor "+", which is the same as leaving it out.
OPERATORS = (
    *(f"ReplaceBinaryOperator_{a}_{b}" for kind in (ARITHMETIC, BITS) for a in kind for b in kind if a != b),
    *(f"ReplaceComparisonOperator_{a}_{b}" for kind in (ORDER, ("Is", "IsNot")) for a in kind for b in kind if a != b),
    "ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Invert", "ReplaceUnaryOperator_Delete_Not",
    "AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ExceptionReplacer", "NumberReplacer", "RemoveDecorator",
    "ZeroIterationForLoop",
)  # fmt: skip
BINARY = ("arith_expr", "term", "power", "expr", "xor_expr", "and_expr", "shift_expr")  # what "*" is an operator in
PRINTED = ("__repr__", "_repr_html_", "__str__")


@dataclass(frozen=True)
class Mutant:
    """One change of one line.

    Attributes
    ----------
    module : str
        Its file, below the package.
    function : str
        Qualified name, or ``<module>``.
    text : str
        The line.
    operator : str
        What changes it, by cosmic-ray's name.
    nth : int
        Where the operator does, from 1: in a line, or in several alike of the function.
    line : int
        Where the line is now.
    """

    module: str
    function: str
    text: str
    operator: str
    nth: int
    line: int = field(compare=False)
    _part: int = field(compare=False, repr=False)
    _occurrence: int = field(compare=False, repr=False)

    @property
    def key(self) -> str:
        """What the mutant is known by, wherever its file is."""
        return "|".join([Path(self.module).name, self.function, self.text, self.operator, str(self.nth)])

    def code(self) -> str:
        """The whole module with the change."""
        from cosmic_ray.ast import get_ast
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        parts = [part.get_code() for part in get_ast((PACKAGE / self.module).read_text()).children]
        changed = mutate_code(parts[self._part], get_operator(f"core/{self.operator}")(), self._occurrence)
        return "".join([*parts[: self._part], changed, *parts[self._part + 1 :]])

    def changed(self) -> str:
        """The line with the change."""
        old, new = (PACKAGE / self.module).read_text().splitlines(), self.code().splitlines()
        return next((" ".join(b.split()) for a, b in zip(old, new, strict=False) if a != b), self.text)


def _imports(node: ast.stmt) -> bool:
    """Whether a statement imports, and nothing else."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return True
    return isinstance(node, ast.Import | ast.ImportFrom)


def digest(path: Path) -> str:
    """Hash of what a module does: of its syntax tree without docstrings and imports."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            start = 0 if ast.get_docstring(node) is None else 1
            node.body = [one for one in node.body[start:] if not _imports(one)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def mutants(module: str, functions: Sequence[str] = ()) -> list[Mutant]:
    """All mutants of a module, or of some of its functions or classes, without those left out by rule."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator

    source = (PACKAGE / module).read_text()
    lines, tree = source.splitlines(), ast.parse(source)
    left_out, names, seen, found = list(_left_out(tree)), list(_functions(tree)), Counter(), []
    for part, top in enumerate(get_ast(source).children):
        nodes = list(ast_nodes(top))
        for name in OPERATORS:
            operator = get_operator(f"core/{name}")()
            places = ((place, node) for node in nodes for place in operator.mutation_positions(node))
            for occurrence, ((start, _), node) in enumerate(places):
                function = [name for first, last, name in names if first <= start[0] <= last] or ["<module>"]
                if functions and not any(f"{function[-1]}.".startswith(f"{one}.") for one in functions):
                    continue
                if "Binary" in name and node.parent.type not in BINARY:
                    continue
                if any(low <= start < high for low, high in left_out):
                    continue
                same = (function[-1], " ".join(lines[start[0] - 1].split()), name)
                seen[same] += 1
                found.append(Mutant(module, *same, seen[same], start[0], part, occurrence))
    return found


def sample(found: Sequence[Mutant], size: int, seed: int) -> list[Mutant]:
    """As many mutants, by the hash of seed and key: a mutant's place does not depend on the others."""
    return sorted(found, key=lambda one: hashlib.sha256(f"{seed}|{one.key}".encode()).digest())[:size]


def _functions(tree: ast.Module) -> Iterator[tuple[int, int, str]]:
    """First and last line, and qualified name, of every function and class; the inner after the outer."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[int, int, str]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                yield first, child.end_lineno or first, f"{prefix}{child.name}"
                yield from walk(child, f"{prefix}{child.name}.")
            else:
                yield from walk(child, prefix)

    yield from walk(tree, "")


def _apart(node: ast.AST) -> list[ast.AST | None]:
    """Parts of one node where nothing is changed."""
    match node:
        case ast.FunctionDef():
            kernels = [decorator for decorator in node.decorator_list if "kernel" in ast.unparse(decorator)]
            return [node.returns, *kernels, *([node] if node.name in PRINTED else [])]
        case ast.arg() | ast.AnnAssign():
            return [node.annotation]
        case ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return [node]
        case ast.Raise():
            return [node.exc]
        case ast.If() if ast.unparse(node.test) == "TYPE_CHECKING":
            return [node]
        case ast.keyword(arg="strict"):
            return [node.value]
    return []


def _left_out(tree: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where nothing is changed: what no number depends on.

    Annotations and what is imported for them; texts (f-strings), what is raised, and how a value prints; the decorator
    of compiled kernels, whose options are about speed; ``strict`` of ``zip``, a guard that no input of ours trips.
    """
    for node in ast.walk(tree):
        for part in _apart(node):
            if part is not None:
                # a decorator's "@" is before it
                start = (part.lineno, max(part.col_offset - 1, 0))
                yield start, (part.end_lineno or part.lineno, part.end_col_offset or 0)
