"""Python source to learn from: the standard library's, or the user's own; each file is read whole or refused."""
import ast
import warnings
from pathlib import Path

from transformer.data import files, sources
from transformer.mistakes import Mistake


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
