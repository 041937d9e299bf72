"""python -m experiments                         every experiment, with its story and the number to expect
python -m experiments NAME --knob value       runs one
"""
import ast
import difflib
import importlib
import sys
from pathlib import Path

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


def listed() -> int:
    for name, path in files().items():
        what, number = story(path)
        print(f"{path.parent.name}/{name}\n    {what}\n    {number}")
    return 0


def run(name: str, arguments: list[str]) -> int:
    if name not in files():
        near = difflib.get_close_matches(name, files(), 1)
        raise Mistake(f"no experiment {name!r}{f' (did you mean {near[0]}?)' if near else ''}; "
                      f"there are {', '.join(files())}")
    from transformer.training.run import main

    module = importlib.import_module(f"experiments.{files()[name].parent.name}.{name}")
    main(module.experiment, arguments)
    return 0


if __name__ == "__main__":
    huge_pages()  # before anything that is slow to import
    from transformer.training.run import guarded

    words = sys.argv[1:]
    sys.exit(guarded(lambda: run(words[0], words[1:]) if words and words[0] not in ("--help", "-h") else listed()))
