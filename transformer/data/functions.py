"""Functions of the standard library, and how their authors summed them up: the first line of each docstring."""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from transformer.data import sources


@dataclass(frozen=True)
class Function:
    """Its name and arguments and its body without the docstring; and that docstring's first line."""

    code: str
    line: str
    file: int  # which file it stands in: real text is split by file, or what is held out has been seen


def described(files: int, shortest: int = 4) -> list[Function]:
    """Of so many of the standard library's files, all functions whose first line has that many words, each line once."""
    texts = sorted(sources.standard_library(), key=lambda text: sources.digest([text]))[:files]
    found: dict[str, Function] = {}
    for place, text in enumerate(texts):
        for code, line in _functions(text):
            if len(line.split()) >= shortest:
                found.setdefault(line, Function(code, line, place))
    return list(found.values())


def parted(functions: list[Function], held_out: float = 0.1) -> tuple[list[Function], list[Function]]:
    """To learn from, and held out: no file has functions in both."""
    files = sorted({one.file for one in functions})
    away = set(files[:max(1, round(held_out * len(files)))])
    return [one for one in functions if one.file not in away], [one for one in functions if one.file in away]


def _functions(text: str) -> Iterator[tuple[str, str]]:
    with warnings.catch_warnings(action="ignore"):  # invalid escapes in old modules
        tree = ast.parse(text)
    lines = text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (said := ast.get_docstring(node)) and len(node.body) > 1:
            head = f"{node.name} ( {', '.join(one.arg for one in node.args.args)} )"
            body = lines[node.body[1].lineno - 1:node.end_lineno]
            yield "\n".join([head, *(line.strip() for line in body if line.strip())]), said.strip().splitlines()[0]
