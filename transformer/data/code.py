"""Python source to learn from, the standard library's or the user's own, and the tokens that it is made of.

    tokens("if x:  # so\n  y = 1")         # ['if', 'x', ':', '\n', '→', 'y', '=', '1', '\n', '←']
    written(tokens(text))                  # the same program, laid out anew
"""
import ast
import io
import keyword
import tokenize
import warnings
from collections.abc import Iterable
from pathlib import Path

from transformer.data import files, sources
from transformer.mistakes import Mistake

NEWLINE, INDENT, DEDENT = "\n", "→", "←"
MARK = "\x1f"  # stands in front of every token where pieces of tokens are learned
LEFT_OUT = (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER)
LAYOUT = {tokenize.NEWLINE: NEWLINE, tokenize.INDENT: INDENT, tokenize.DEDENT: DEDENT}
FSTRING = {"FSTRING_START": 1, "FSTRING_END": -1, "TSTRING_START": 1, "TSTRING_END": -1}  # one token before Python 3.12, many since


def modules(folder: Path | None, skip: bool, most: int) -> tuple[list[str], list[str]]:
    """The sources of a folder's .py files, or of so many modules of the standard library; to learn from, and held out, by file."""
    texts = own(folder, skip) if folder else library(most)
    if len(texts) < 2:
        raise Mistake(f"{folder or 'the library'} holds one module: give at least two, to learn from and to hold out")
    return sources.split(texts)


def library(most: int) -> list[str]:
    """So many of the standard library's modules that lie in no package, in an order that depends on nothing but them."""
    texts = [text for file, text in sources.standard_library_files() if Path(file).parent == Path() and text.strip()]
    return sorted(texts, key=lambda text: sources.digest([text]))[:most]


def own(folder: Path, skip: bool = False) -> list[str]:
    """The sources of all .py files below a folder; one that does not parse stops everything, unless it may be skipped."""
    return [text for text in files.each(folder, (".py",), module, skip)[1] if text.strip()]


def module(path: Path) -> str:
    """The source of one file that Python can read."""
    text = files.text(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # invalid escapes
            ast.parse(text)
    except SyntaxError as error:
        line = (error.text or "").strip()[:60]
        raise Mistake(f"{path}, line {error.lineno}: there should be Python, but {line!r} is none ({error.msg})") from None
    except ValueError as error:
        raise Mistake(f"{path}: there should be Python, but {error}") from None
    return text


def tokens(text: str) -> list[str]:
    """Python's own tokens, the layout among them; comments are left out, and a docstring becomes three points."""
    found, lines, inside, begin = list[str](), io.StringIO(text).readlines(), 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        step = FSTRING.get(tokenize.tok_name[token.type], 0)
        begin = token.start if step > 0 and not inside else begin
        inside += step
        if inside or token.type in LEFT_OUT:
            continue
        said = _between(lines, begin, token.end) if step else LAYOUT.get(token.type, token.string)
        if said == NEWLINE and found and _text(found[-1]) and (len(found) == 1 or found[-2] in (NEWLINE, INDENT, DEDENT)):
            found[-1] = "..."
        found.append(said)
    return found


def written(tokens: Iterable[str]) -> str:
    """Tokens as a program, which has these very tokens: each statement on a line, spaces where they help."""
    lines, line, depth = list[str](), list[str](), 0
    for token in tokens:
        if token == NEWLINE:
            lines.append("    " * depth + "".join(line))
            line = []
        elif token in (INDENT, DEDENT):
            depth = max(0, depth + (1 if token == INDENT else -1))
        else:
            line += [" ", token] if line and _apart(line[-1], token) else [token]
    return "".join(f"{one}\n" for one in [*lines, *(["    " * depth + "".join(line)] if line else [])])


def marked(tokens: Iterable[str]) -> str:
    """As a tokenizer reads them: a mark in front of each, which no piece crosses."""
    return "".join(MARK + token.replace(MARK, "\\x1f") for token in tokens)


def unmarked(text: str) -> list[str]:
    return text.split(MARK)[1:] if text.startswith(MARK) else text.split(MARK)


def _apart(before: str, after: str) -> bool:
    """Whether a space stands between two tokens."""
    if after in (",", ";", ")", "]", "}", ":") or before in ("(", "[", "{"):
        return False
    if _word(before) or _word(after):
        return True
    if after == ".":
        return before[0].isdigit()
    return before != "." and not (after in ("(", "[") and (before[-1] in ")]}\"'_" or before[-1].isalnum()))


def _word(token: str) -> bool:
    return keyword.iskeyword(token) and token not in ("None", "True", "False")


def _text(token: str) -> bool:
    return token[-1] in "\"'"


def _between(lines: list[str], begin: tuple[int, int], end: tuple[int, int]) -> str:
    """The source from one place to another, each a line and a column."""
    some = lines[begin[0] - 1:end[0]]
    some[-1] = some[-1][:end[1]]
    some[0] = some[0][begin[1]:]
    return "".join(some)
