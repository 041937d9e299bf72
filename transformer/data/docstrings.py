"""Python functions and the first lines of their docstrings: real texts that belong together, split by module."""

import ast
import re
import warnings
import zlib
from collections.abc import Iterator

from transformer.data import sources


def functions_by_module(held_out: bool, most: int | None = None) -> list[tuple[str, str]]:
    """First lines of docstrings, of four words at least, each with the function's code without its docstring: all, or the first `most`.

    One module in five is held out: functions of one module share words, and repeat each other.
    """
    found: dict[str, str] = {}
    for name, text in sources.standard_library_files():
        if most is not None and len(found) >= most:
            break
        if (zlib.crc32(name.encode()) % 5 == 0) == held_out:
            found |= {line: code for line, code in _described(text) if line not in found}
    return list(found.items())[:most]


def spoken(code: str) -> str:
    """Names as the words they are made of, in small letters, and nothing between them: `getItem(x_2)` is get item x 2."""
    return " ".join(re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", code)).lower()


def _described(text: str) -> Iterator[tuple[str, str]]:
    with warnings.catch_warnings(action="ignore"):  # invalid escapes in old modules
        tree = ast.parse(text)
    lines = text.splitlines()
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not (told := ast.get_docstring(node)):
            continue
        first, said = told.strip().splitlines()[0], node.body[0]
        code = lines[node.lineno - 1 : said.lineno - 1] + lines[said.end_lineno : node.end_lineno]
        if len(first.split()) >= 4 and len(node.body) > 1:
            yield first, "\n".join(code)
