"""Documents, as lists of strings: what Python itself brings, and any file or folder the user names."""

import hashlib
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path

from transformer.data import files
from transformer.mistakes import Mistake


def python_reference() -> list[str]:
    """The Python language reference, one document a topic: half a million characters of technical English."""
    from pydoc_data.topics import topics

    return [topics[name] for name in sorted(topics)]


def documents(path: str | Path, field: str = "text") -> list[str]:
    """A file's documents (.jsonl: one a line, .csv and .tsv: one a row, any other: the whole text), or a folder's."""
    path = Path(path).expanduser()
    if path.is_dir():
        return _folder(path, field)
    found = _file(path, field)
    if not found:
        raise Mistake(f"{path} is empty: name a file with some text in it.")
    return found


def split(documents: Sequence[str], held_out: float = 0.1) -> tuple[list[str], list[str]]:
    """Train and held-out documents, by characters; a single document gives its last part.

    The choice depends on the texts alone, not on their order, and equal documents stay on one side.
    """
    if not 0 < held_out < 1:
        raise Mistake(f"The share to hold out is {held_out}, but must lie between 0 and 1, for instance 0.1.")
    copies: dict[str, int] = {}
    for text in documents:
        copies[text] = copies.get(text, 0) + 1
    if len(copies) < 2:
        text = "".join(copies)
        cut = int(len(text) * (1 - held_out))
        return [text[:cut]], [text[cut:]]

    # From the longest down, hold out whichever document brings the share so far closest to the one asked for.
    away: set[str] = set()
    seen = held = 0
    ranked = sorted(copies, key=lambda text: (-len(text), digest([text])))
    for text in ranked:
        size = len(text) * copies[text]
        seen += size
        if held + size / 2 < held_out * seen:
            held += size
            away.add(text)
    away = away or {ranked[-1]}
    return [text for text in documents if text not in away], [text for text in documents if text in away]


def digest(documents: Sequence[str]) -> str:
    """A hash of the contents, to name caches and to tell in a log what a run was trained on."""
    content = hashlib.sha256()
    for text in documents:
        data = text.encode("utf-8", "surrogatepass")
        content.update(len(data).to_bytes(8, "little") + data)
    return content.hexdigest()[:16]


def standard_library_files() -> Iterator[tuple[str, str]]:
    """The source files of the standard library, without its tests: real code, about 12 million characters. Each by its path there."""
    root = Path(sysconfig.get_paths()["stdlib"])
    for file in sorted(root.rglob("*.py")):
        if not {"test", "tests", "idle_test", "site-packages", "dist-packages"} & set(file.relative_to(root).parts):
            with tokenize.open(file) as lines:
                yield str(file.relative_to(root)), lines.read()


def _folder(path: Path, field: str) -> list[str]:
    endings = (".txt", ".md", ".py", ".jsonl", ".csv", ".tsv")
    readable = files.below(path, endings)
    found = [text for file in readable for text in _file(file, field)]
    if not found:
        raise Mistake(f"The folder {path} holds no text: {len(readable)} files in it end in {', '.join(endings)}.")
    return found


def _file(path: Path, field: str) -> list[str]:
    table = path.suffix.lower() in files.TABLES
    found = [record.values[0] for record in files.records(path, field)] if table else [files.text(path)]
    return [text for text in found if text.strip()]
