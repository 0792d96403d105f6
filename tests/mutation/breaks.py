"""Single, plausible faults: what one slip of the hand could have made of a source file."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Break(NamedTuple):
    """A piece of a source text and what stands there instead.

    Attributes:
        start, end: of the piece, characters from the beginning of the text.
        new: what replaces it.
    """

    start: int
    end: int
    new: str

    def applied(self, source: str) -> str:
        """The broken text."""
        return source[: self.start] + self.new + source[self.end :]

    def line(self, source: str) -> int:
        """Where the piece begins, from 1."""
        return source.count("\n", 0, self.start) + 1

    def lines(self, source: str) -> str:
        """The whole lines before and after, as a diff shows them."""
        first = source.rfind("\n", 0, self.start) + 1
        last = (source + "\n").find("\n", self.end)
        before = source[first:last]
        after = before[: self.start - first] + self.new + before[self.end - first :]
        return "".join(
            f"{sign}{line}\n"
            for sign, text in (("-", before), ("+", after))
            for line in text.split("\n")
        )


_OPERATORS = {
    **{"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="},
    **{"+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "//", "**": "*"},
    **{"<<": ">>", ">>": "<<", "&": "|", "|": "&", "and": "or", "or": "and"},
    **{"is": "is not", "is not": "is", "in": "not in", "not in": "in"},
}
_PAIRS = [
    *("luma chroma", "cb cr", "y_for_cb y_for_cr", "height width", "rows columns", "low high"),
    *("lowest highest", "first last", "measured judged", "dc ac", "left right", "start stop"),
    *("min max", "amin amax", "argmin argmax", "minimum maximum", "any all", "floor ceil"),
    *("zeros ones", "mean sum", "zeros_like ones_like", "sin cos", "h v", "MAX_AC MAX_DC"),
]
_TWINS = {a: b for pair in _PAIRS for a, b in (pair.split(), pair.split()[::-1])}
_SILENT = (ast.Import, ast.ImportFrom, ast.Raise, ast.JoinedStr, ast.Assert)
"""What says nothing that a test should know, or nothing that can be broken alone."""


def python_breaks(source: str) -> list[Break]:
    """All of a Python file; docstrings, annotations and the texts of errors are left alone.

    >>> source = "def f(a, b):\\n    return a[1:] < b"
    >>> [b.applied(source).split("return ")[1] for b in python_breaks(source)]
    ['a[1:] <= b', 'a[:] < b', 'a[2:] < b', 'a[0:] < b']
    """
    starts = [0]
    for line in source.encode().split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    encoded = source.encode()

    def place(line: int, column: int) -> int:
        return len(encoded[: starts[line - 1] + column].decode())

    def span(node: ast.AST) -> tuple[int, int]:
        return place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset)

    return [
        found
        for node in _code(ast.parse(source))
        for found in _of_node(node, source, span)
        if found.applied(source) != source
    ]


def c_breaks(source: str) -> list[Break]:
    """Operators and small numbers in the statements of a C file.

    >>> [b.applied("    x = a + 1;") for b in c_breaks("    x = a + 1;")]
    ['    x = a - 1;', '    x = a + 2;']
    """
    found = []
    for line in re.finditer(r"^ +[^/*#\n][^\n]*[;{]$", source, flags=re.M):
        for piece in re.finditer(r"(?<= )(<=?|>=?|[=!]=|[-+*/%&|]|<<|>>)(?= )", line[0]):
            at = line.start() + piece.start()
            found.append(Break(at, at + len(piece[0]), _OPERATORS[piece[0]]))
        for piece in re.finditer(r"(?<![\w.])\d{1,4}(?![\w.])", line[0]):
            at = line.start() + piece.start()
            found.append(Break(at, at + len(piece[0]), str(int(piece[0]) + 1)))
    return found


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes that do something."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            text = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if isinstance(child, ast.AST) and not text and not isinstance(child, _SILENT):
                yield child
                yield from _code(child)


def _of_node(
    node: ast.AST, source: str, span: Callable[[ast.AST], tuple[int, int]]
) -> Iterator[Break]:
    match node:
        case ast.Compare(left=left, comparators=[right, *_]) | ast.BinOp(left=left, right=right):
            yield from _operator(source, span(left)[1], span(right)[0])
        case ast.BoolOp(values=[left, right, *_]):
            yield from _operator(source, span(left)[1], span(right)[0])
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            start = span(node)[0]
            # A bracket around the operand stays.
            yield Break(start, start + len(re.match(r"not |-", source[start:])[0]), "")
        case ast.Constant(value=bool(value)):
            yield Break(*span(node), str(not value))
        case ast.Constant(value=int(value)):
            yield from (
                Break(*span(node), str(value + more)) for more in (1, -1) if value + more >= 0
            )
        case ast.Constant(value=float(value)) if value:
            yield Break(*span(node), repr(2 * value))
        case ast.Name(id=name) if name in _TWINS:
            yield Break(*span(node), _TWINS[name])
        case ast.Attribute(attr=name) if name in _TWINS:
            end = span(node)[1]
            yield Break(end - len(name), end, _TWINS[name])
        case ast.Slice(lower=lower, upper=upper):
            yield from (Break(*span(bound), "") for bound in (lower, upper) if bound)
        case ast.IfExp(body=body, orelse=orelse):
            (a, b), (c, d) = span(body), span(orelse)
            yield Break(a, d, source[c:d] + source[b:c] + source[a:b])
        case ast.Call():
            yield from _call(node, source, span)
        case ast.If(test=test, body=[ast.Raise()]):
            yield Break(*span(test), "False")
        case ast.AugAssign() | ast.Expr(value=ast.Call()):
            yield Break(*span(node), "pass")
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
            yield Break(*span(node), "pass")


def _operator(source: str, start: int, end: int) -> Iterator[Break]:
    """The operator that stands, perhaps with brackets, between two operands."""
    piece = re.search(r"[^\s()]+(?: (?:not|in)\b)?", source[start:end])
    if piece and piece[0] in _OPERATORS:
        yield Break(start + piece.start(), start + piece.end(), _OPERATORS[piece[0]])


def _call(
    node: ast.Call, source: str, span: Callable[[ast.AST], tuple[int, int]]
) -> Iterator[Break]:
    """Two arguments swapped; one that has a default, perhaps, forgotten."""
    arguments = [arg for arg in node.args if not isinstance(arg, ast.Starred)]
    if len(arguments) == len(node.args) >= 2:
        (a, b), (c, d) = map(span, arguments[:2])
        yield Break(a, d, source[c:d] + source[b:c] + source[a:b])
    for keyword in node.keywords:
        if keyword.arg is not None:
            start, end = span(keyword)
            comma = re.match(r"\s*,\s*", source[end:])
            yield Break(start, end + (len(comma[0]) if comma else 0), "")
