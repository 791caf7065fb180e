"""What can be changed in a module so that its tests should notice: one small change a mutant, as text in its place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitOr: ast.BitAnd}
LOGS = ("_log", "log", "logger", "_logger")
"""What is called on these is not changed: what is logged beside an error or event is no promise."""


@dataclass(frozen=True)
class Mutation:
    """Lines ``start`` to ``end`` of the module (from 0, columns in bytes of UTF-8) become ``text``."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str
    kind: str

    @property
    def line(self) -> int:
        """The number of the first changed line, from 1."""
        return self.start[0] + 1

    def apply(self, source: str) -> str:
        """Return the module with the change."""
        lines = [line.encode() for line in source.splitlines(keepends=True)]
        before = b"".join(lines[: self.start[0]]) + lines[self.start[0]][: self.start[1]]
        after = lines[self.end[0]][self.end[1] :] + b"".join(lines[self.end[0] + 1 :])
        return (before + self.text.encode() + after).decode()


def mutations(source: str) -> list[Mutation]:
    """Return every change of a module, in the order of its lines."""
    found = [mutation for node in _changeable(ast.parse(source)) for mutation in (*_of(node), *_of_condition(node))]
    return sorted(set(found), key=lambda mutation: (mutation.start, mutation.end, mutation.text))


def _changeable(node: ast.AST) -> Iterator[ast.AST]:
    """Everything below a node but annotations, texts, decorators, types, and what is logged."""
    if isinstance(node, ast.Expr) and (isinstance(node.value, ast.Constant) or _is_logging(node.value)):
        return
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "bases", "slice"} and not isinstance(node, ast.Subscript):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _changeable(child)


def _is_logging(call: ast.expr) -> bool:
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name))):
            return name in LOGS
        case _:
            return False


def _of(node: ast.AST) -> Iterator[Mutation]:
    match node:
        case ast.Compare(ops=[one]) if type(one) in COMPARISONS:
            yield _replaced(node, ast.Compare(node.left, [COMPARISONS[type(one)]()], node.comparators), "comparison")
        case ast.BoolOp():
            yield _replaced(node, ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values), "and/or")
        case ast.UnaryOp(op=ast.Not()):
            yield _replaced(node, node.operand, "not")
        case ast.Constant(value=bool()):
            yield _replaced(node, ast.Constant(not node.value), "constant")
        case ast.Constant(value=int() as number):
            yield _replaced(node, ast.Constant(number + 1), "constant")
        case ast.BinOp() if type(node.op) in OPERATORS and not isinstance(node.left, ast.JoinedStr):
            yield _replaced(node, ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right), "operator")
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield _placed(node, "return None", "return")
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise() | ast.AugAssign() | ast.Continue() | ast.Break():
            yield _placed(node, "pass", "statement")
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) | ast.Delete():
            yield _placed(node, "pass", "statement")
        case _:
            pass


def _of_condition(node: ast.AST) -> Iterator[Mutation]:
    if isinstance(node, ast.If | ast.While | ast.IfExp) and isinstance(
        node.test, ast.Name | ast.Attribute | ast.Call | ast.NamedExpr
    ):
        yield _replaced(node.test, ast.UnaryOp(ast.Not(), node.test), "condition")


def _replaced(node: ast.expr, new: ast.expr, kind: str) -> Mutation:
    return _placed(node, f"({ast.unparse(new)})", kind)


def _placed(node: ast.expr | ast.stmt, text: str, kind: str) -> Mutation:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return Mutation((node.lineno - 1, node.col_offset), (node.end_lineno - 1, node.end_col_offset), text, kind)
