"""Python as syntax trees: a tree as a row of events, and back.

    rows = events(ast.parse("f(x)"))       # ['Module', 'Expr', 'Call', 'Name', 'Load', 'end', 'end', ...]
    written(rows)                          # 'x(x)': names and values are not in the events
"""
import ast
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

END = "end"
KINDS = ("stmt", "expr", "expr_context", "boolop", "operator", "unaryop", "cmpop", "excepthandler", "comprehension", "arguments", "arg",
         "keyword", "alias", "withitem")
UNNAMED = {"identifier": "x", "constant": 0, "int": 0}  # what stands for names and values, which events leave out
# Python 3.12's types and 3.14's templates, patterns to match, and what is no file: these are never proposed.
LEFT_OUT = ("Match", "TypeAlias", "TemplateStr", "Interpolation", "Interactive", "Expression", "FunctionType")


def events(node: ast.AST) -> list[str]:
    """The type of every node where it is entered, children in their order, and an end where it is left."""
    found, waiting = list[str](), list[ast.AST | None]([node])
    while waiting:
        one = waiting.pop()
        found.append(END if one is None else type(one).__name__)
        if one is not None:
            waiting += [None, *reversed(list(ast.iter_child_nodes(one)))]
    return found


def tree(rows: Iterable[str]) -> ast.AST:
    """The tree of these events, with x for every name and 0 for every value; a ValueError if they are none."""
    open_: list[tuple[str, list[ast.AST]]] = [("", [])]
    for event in rows:
        if event != END:
            open_.append((event, []))
        elif len(open_) < 2:
            raise ValueError("more ends than beginnings")
        else:
            name, children = open_.pop()
            open_[-1][1].append(_node(name, children))
    if len(open_) != 1 or len(open_[0][1]) != 1:
        raise ValueError("not one tree that is closed")
    return open_[0][1][0]


def parses(rows: Sequence[str]) -> bool:
    """Whether these events are a program: written out as text, it can be read again."""
    with warnings.catch_warnings(action="ignore"):  # of what is no error, as calling a number
        try:
            ast.parse(written(rows))
            return True
        except (ValueError, TypeError, AttributeError, SyntaxError, RecursionError):
            return False


def written(rows: Iterable[str]) -> str:
    """The events as Python, with x for every name and 0 for every value."""
    return ast.unparse(ast.fix_missing_locations(tree(rows)))


@dataclass(frozen=True)
class Field:
    kind: str
    many: str  # nothing, ? or *
    name: str


def fields(name: str) -> list[Field]:
    """The fields of a class of ast, by its docstring."""
    inside = re.search(r"\((.*)\)", getattr(ast, name).__doc__ or "", re.S)
    found = re.findall(r"(\w+)([?*]?) (\w+)", inside[1]) if inside else []
    return [Field(*one) for one in found]


def kind_of(node: ast.AST) -> str:
    return next((kind for kind in KINDS if isinstance(node, getattr(ast, kind))), type(node).__name__)


def _node(name: str, children: list[Any]) -> ast.AST:
    """A node of these children: each field takes what fits, and leaves what those after it cannot do without."""
    if name == "arguments":
        return _arguments(children)
    given: dict[str, Any] = {}
    own = [one for one in fields(name) if one.kind in KINDS]
    if name == "Dict":
        pairs = len(children) // 2
        given = {"keys": [None] * (len(children) - 2 * pairs) + children[:pairs], "values": children[pairs:]}
        own, children = [], []
    elif name == "Try" and not any(isinstance(child, ast.excepthandler) for child in children):
        given, own, children = {"body": children[:1], "handlers": [], "orelse": [], "finalbody": children[1:]}, [], []
    for at, field in enumerate(own):
        needed = sum(not later.many for later in takewhile(lambda later: later.kind == field.kind, own[at + 1:]))
        fitting = next((n for n, child in enumerate(children) if kind_of(child) != field.kind), len(children))
        spare = max(fitting - needed, 0)
        taken = spare if field.many == "*" else min(spare if field.many else fitting, 1)
        given[field.name] = children[:taken] if field.many == "*" else (children[0] if taken else None)
        if not field.many and not taken:
            raise ValueError(f"{name} has no {field.name}")
        children = children[taken:]
    if children:
        raise ValueError(f"{name} has more than it can hold")
    for field in fields(name):
        if field.kind not in KINDS and not field.many:
            given[field.name] = UNNAMED.get(field.kind)
        elif field.kind == "identifier" and field.many == "*":
            given[field.name] = ["x"]
        elif field.name in ("type_params", "type_ignores"):
            given[field.name] = []
    return _settled(getattr(ast, name)(**given))


def _settled(node: Any) -> ast.AST:
    """Values that are not whole numbers: an f-string's texts, how its values are turned into text, a module's name."""
    if isinstance(node, ast.JoinedStr):
        for part in node.values:
            if isinstance(part, ast.Constant):
                part.value = "x"
    elif isinstance(node, ast.FormattedValue):
        node.conversion = -1
    elif isinstance(node, ast.ImportFrom):
        node.module, node.level = "x", 0
    elif isinstance(node, ast.keyword):
        node.arg = "x"
    elif isinstance(node, ast.AnnAssign):
        node.simple = int(isinstance(node.target, ast.Name))
    return node


def _arguments(children: list[Any]) -> ast.arguments:
    """Arguments, then defaults; or arguments, defaults of those given by name, **x, defaults of the others."""
    kinds = "".join("a" if isinstance(child, ast.arg) else "e" for child in children)
    shape = re.fullmatch(r"(a*)(e*)(?:(a)(e*))?", kinds)
    if shape is None:
        raise ValueError("arguments and defaults in another order")
    first, second, third = len(shape[1]), len(shape[2]), len(shape[3] or "")
    names, values = children[:first], children[first:first + second]
    named = names[len(names) - second:] if third else []
    plain = names[:len(names) - second] if third else names
    return ast.arguments(posonlyargs=[], args=plain, vararg=None, kwonlyargs=named, kw_defaults=values if third else [],
                         kwarg=children[first + second] if third else None,
                         defaults=children[first + second + 1:] if third else values)
