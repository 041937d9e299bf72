"""python -m experiments                          every experiment, with its story and the number to expect
python -m experiments NAME --knob value        runs one
python -m experiments new MY_IDEA --like NAME  writes my_idea.py, to begin from
python -m experiments report                   gathers what the runs here came to in one table, RESULTS.md
"""
import ast
import difflib
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from transformer import knobs
from transformer.mistakes import Mistake
from transformer.pages import huge_pages

HERE = Path(__file__).parent


def files() -> dict[str, Path]:
    """Every experiment by name: the files in the folders beside this one."""
    return {path.stem: path for path in sorted(HERE.glob("*/*.py")) if path.stem != "__init__"}


def story(path: Path) -> list[str]:
    """The first lines of a file: what it does, and the number it reaches."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return [line.strip() for line in text.splitlines() if line.strip()][:2]


def main(words: Sequence[str]) -> int:
    if not words or words[0] in ("--help", "-h"):
        print(__doc__)
        for name, path in files().items():
            print("\n    ".join([f"{path.parent.name}/{name}", *story(path)]))
        return 0
    command, *rest = words
    if command == "report":
        from experiments.report import report

        report(**knobs.parse(rest, report)[0])
        return 0
    if command == "new":
        return _new(rest)
    from transformer.training.run import main as run

    run(importlib.import_module(f"experiments.{found(command).parent.name}.{command}").experiment, rest)
    return 0


def found(name: str) -> Path:
    """The file of an experiment."""
    if name not in files():
        near = difflib.get_close_matches(name, files(), 1)
        raise Mistake(f"no experiment {name!r}{f' (did you mean {near[0]}?)' if near else ''}; there are {', '.join(files())}")
    return files()[name]


def _new(words: Sequence[str]) -> int:
    from experiments.new import new

    if len(words) != 3 or words[1] != "--like":
        raise Mistake("new wants a name and what to begin from, as in python -m experiments new my_idea --like t5")
    path = new(words[0], found(words[2]))
    print(f"wrote {path}; run it with python {path}")
    return 0


if __name__ == "__main__":
    huge_pages()  # before anything that is slow to import
    from transformer.training.run import guarded

    sys.exit(guarded(lambda: main(sys.argv[1:])))
