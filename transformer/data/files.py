"""The user's own files: texts, labelled texts, pairs, tagged words, questions; each is read whole or refused, with file and line."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from transformer.mistakes import Mistake

TABLES = (".jsonl", ".csv", ".tsv")  # files of records: fields by name
Content = TypeVar("Content")


@dataclass(frozen=True)
class Record:
    """The texts in the fields that were asked for, in that order, and the line that they begin on."""

    values: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Labelled:
    text: str
    label: str
    line: int


@dataclass(frozen=True)
class Pair:
    """Two texts that belong together: two languages, a query and its document."""

    first: str
    second: str
    line: int


@dataclass(frozen=True)
class Scored:
    """Two texts, and how alike they are."""

    first: str
    second: str
    score: float
    line: int


@dataclass(frozen=True)
class Tagged:
    """A sentence's words and their tags, one a line from `line` on."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Answer:
    text: str
    start: int  # its first character in the passage


@dataclass(frozen=True)
class Question:
    """A question about a passage; no answers where the passage has none."""

    id: str
    question: str
    passage: str
    answers: tuple[Answer, ...]


def below(path: Path, endings: Sequence[str]) -> list[Path]:
    """All files below a folder that end so, but for hidden ones and what lies in hidden folders, as in .venv."""
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in endings and file.is_file()
                  and not any(part.startswith(".") for part in file.relative_to(path).parts))


def each(path: str | Path, endings: Sequence[str], read: Callable[[Path], Content], skip: bool = False) -> tuple[list[Path], list[Content]]:
    """All files below a folder that end so, or one file, and what is read of each.

    One that cannot be read stops everything; if it may be skipped, it is said which were, why, and how many.
    """
    path = Path(path).expanduser()
    files = [path] if path.is_file() else below(path, endings)
    if not files:
        raise Mistake(f"{path} holds no file that ends in {' or '.join(endings)}: name a folder with some in it")
    found, contents = list[Path](), list[Content]()
    for file in files:
        try:
            contents.append(read(file))
            found.append(file)
        except Mistake as mistake:
            if not skip:
                raise
            print(f"skipped: {mistake}", file=sys.stderr)
    if len(found) < len(files):
        print(f"{len(files) - len(found)} of {len(files)} files in {path} were skipped", file=sys.stderr)
    if not found:
        raise Mistake(f"none of the {len(files)} files in {path} can be read")
    return found, contents


def apart(pieces: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """One row to learn from and one to hold out: every tenth of several pieces, or the last tenth of a single one."""
    if len(pieces) == 1:
        cut = len(pieces[0]) * 9 // 10
        return pieces[0][:cut], pieces[0][cut:]
    held = range(len(pieces) - 1, -1, -10)
    return (np.concatenate([piece for at, piece in enumerate(pieces) if at not in held]),
            np.concatenate([pieces[at] for at in held]))


def text(path: str | Path) -> str:
    """All of a file, its line ends as \\n."""
    path = Path(path).expanduser()
    try:
        data = path.read_bytes()
        found = data.decode("utf-8")
    except FileNotFoundError:
        raise Mistake(f"There is no file or folder {path}: check the path (here is {Path.cwd()}).") from None
    except OSError as error:
        raise Mistake(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise Mistake(
            f"{path} is not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start} cannot be decoded; "
            "save it as UTF-8, for instance with iconv."
        ) from None
    return found.removeprefix("\ufeff").replace("\r\n", "\n")


def lines(path: str | Path) -> list[str]:
    """The lines of a file that are not blank."""
    return _some(path, [line for _, line in _lines(path)], "a text on each line")


def records(path: str | Path, *fields: str, number: str = "") -> list[Record]:
    """The named fields of a .jsonl, .csv or .tsv file, the last two with a first line that names the columns.

    All are texts, but for one which may be a `number` in a .jsonl.
    """
    path = Path(path).expanduser()
    readers = {".jsonl": _json_lines, ".csv": _rows, ".tsv": _rows}
    if path.suffix.lower() not in readers:
        raise Mistake(f"{path} has no fields {_listed(fields)}: give a file that ends in {', '.join(readers)}.")
    return list(readers[path.suffix.lower()](path, text(path), fields, number))


def labelled(path: str | Path, field: str = "text", label: str = "label") -> list[Labelled]:
    """Texts and the class of each, as SST-2 has them."""
    found = [Labelled(*_full(path, record, (field, label)), line=record.line) for record in records(path, field, label, number=label)]
    return _some(path, found, f"texts in {field!r} and classes in {label!r}")


def pairs(path: str | Path, first: str = "first", second: str = "second") -> list[Pair]:
    """Pairs of texts: two fields of a .jsonl or .csv; of any other file the first two columns, parted by a tab, without a header."""
    path = Path(path).expanduser()
    if path.suffix.lower() in (".jsonl", ".csv"):
        found = [Pair(*_full(path, record, (first, second)), line=record.line) for record in records(path, first, second)]
    else:
        found = [_parallel(path, number, line) for number, line in _lines(path)]
    return _some(path, found, "two texts on each line, with a tab between them")


def scored(path: str | Path, first: str = "first", second: str = "second", score: str = "score") -> list[Scored]:
    """Pairs of texts and how alike they are, as STS-B has them."""
    found = []
    for record in records(path, first, second, score, number=score):
        one, other, number = _full(path, record, (first, second, score))
        try:
            found.append(Scored(one, other, float(number), record.line))
        except ValueError:
            raise Mistake(f"{path}, line {record.line}, has {number!r} in {score!r}: write a number.") from None
    return _some(path, found, "pairs of texts and a number for each")


def tagged(path: str | Path, word: int = 0, tag: int = -1) -> list[Tagged]:
    """Sentences in CoNLL's columns: a word a line with its tag, a blank line between sentences."""
    found: list[Tagged] = []
    words: list[str] = []
    tags: list[str] = []
    width, first, begin = 0, 0, 0
    for number, line in enumerate([*text(path).split("\n"), ""], start=1):
        columns = line.split("\t") if "\t" in line else line.split()
        if not line.strip() or _aside(line, columns):
            if words:
                found.append(Tagged(tuple(words), tuple(tags), begin))
                words, tags = [], []
            continue
        if not width:
            width, first = len(columns), number
            if width < 2:
                raise Mistake(f"{path}, line {number}, has one column: write a word and its tag, with a space or a tab between.")
        if len(columns) != width or not all(column.strip() for column in (columns[word], columns[tag])):
            raise Mistake(f"{path}, line {number}, has {len([c for c in columns if c.strip()])} columns, where line {first} has "
                          f"{width}: write {width} on every line (a word first, its tag last), and blank lines between sentences.")
        begin = begin if words else number
        words.append(columns[word].strip())
        tags.append(columns[tag].strip())
    return _some(path, found, "a word and its tag on each line")


def questions(path: str | Path) -> list[Question]:
    """The questions of a SQuAD file (.json), each with its passage and answers."""
    whole, content = Path(path).expanduser(), text(path)
    try:
        read = json.loads(content)
    except json.JSONDecodeError as error:
        raise Mistake(f"{whole}, line {error.lineno}, is not JSON: {error.msg} at column {error.colno}.") from None
    found = []
    for at, topic in enumerate(_held(whole, read, "data", list, "the file")):
        for place, paragraph in enumerate(_held(whole, topic, "paragraphs", list, f"data[{at}]")):
            where = f"data[{at}].paragraphs[{place}]"
            passage = _held(whole, paragraph, "context", str, where)
            for index, asked in enumerate(_held(whole, paragraph, "qas", list, where)):
                found.append(_question(whole, asked, passage, f"{where}.qas[{index}]"))
    return _some(path, found, "questions with their passages, as SQuAD has them")


def numbers(path: str | Path, labels: Iterable[tuple[str, int]], known: Sequence[str]) -> list[int]:
    """The number of each label, given with its line, among those known from training; another one is refused."""
    place = {label: number for number, label in enumerate(known)}
    found = []
    for label, line in labels:
        if label not in place:
            raise Mistake(f"{path}, line {line}, has the label {label!r}, unseen in training, where there are {_listed(known)}: "
                          f"mend the label, or train on examples of it.")
        found.append(place[label])
    return found


def _lines(path: str | Path) -> list[tuple[int, str]]:
    return [(number, line) for number, line in enumerate(text(path).split("\n"), start=1) if line.strip()]


def _some(path: str | Path, found: list[Any], expected: str) -> list[Any]:
    if not found:
        raise Mistake(f"{path} is empty: it should hold {expected}.")
    return found


def _full(path: str | Path, record: Record, fields: Sequence[str]) -> tuple[str, ...]:
    """The record's texts, none of which may be blank."""
    for field, value in zip(fields, record.values, strict=True):
        if not value.strip():
            raise Mistake(f"{path}, line {record.line}, has nothing in {field!r}: fill it in, or remove the line.")
    return record.values


def _parallel(path: Path, number: int, line: str) -> Pair:
    columns = [column.strip() for column in line.split("\t")]
    if len(columns) < 2:
        raise Mistake(f"{path}, line {number}, has no tab: write two texts with a tab between them.")
    for side, column in zip(("first", "second"), columns, strict=False):
        if not column:
            raise Mistake(f"{path}, line {number}, has nothing on its {side} side: write two texts with a tab between them.")
    return Pair(columns[0], columns[1], number)


def _aside(line: str, columns: Sequence[str]) -> bool:
    """Whether a line of CoNLL's says something about documents rather than being a word."""
    return columns[0] == "-DOCSTART-" or line.startswith(("# newdoc", "# newpar")) or (line.startswith("# ") and " = " in line)


def _question(path: Path, asked: Any, passage: str, where: str) -> Question:
    answers = []
    for index, answer in enumerate(_held(path, asked, "answers", list, where)):
        place = f"{where}.answers[{index}]"
        said, start = _held(path, answer, "text", str, place), _held(path, answer, "answer_start", int, place)
        if passage[start:start + len(said)] != said:
            raise Mistake(f"{path}: {place} is {said!r}, but at character {start} of its passage there is "
                          f"{passage[start:start + len(said)]!r}: mend answer_start.")
        answers.append(Answer(said, start))
    return Question(str(asked.get("id", where)), _held(path, asked, "question", str, where), passage, tuple(answers))


def _held(path: Path, record: Any, name: str, kind: type, where: str) -> Any:
    if not isinstance(record, dict) or not isinstance(record.get(name), kind):
        kinds = {list: "a list", str: "a text", int: "a whole number"}
        raise Mistake(f"{path}: {where} has no {name!r} that is {kinds[kind]}, which SQuAD's files have there.")
    return record[name]


def _json_lines(path: Path, content: str, fields: Sequence[str], numeric: str) -> Iterator[Record]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise Mistake(f"{path}, line {number}, is not JSON: {error.msg} at column {error.colno}.") from None
        if not isinstance(record, dict):
            example = ", ".join(f'"{field}": "..."' for field in fields)
            raise Mistake(f"{path}, line {number}, is no JSON object: each line must read {{{example}}}.")
        yield Record(tuple(_said(path, number, record, field, field == numeric) for field in fields), number)


def _said(path: Path, number: int, record: dict[str, Any], field: str, numeric: bool) -> str:
    """A field's text; where it may be a number, the digits of that."""
    value = record.get(field)
    if numeric and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        problem = "holds no text in field" if field in record else "has no field"
        raise Mistake(f"{path}, line {number}, {problem} {field!r}: its fields are {_listed(record)}.")
    return value


def _rows(path: Path, content: str, fields: Sequence[str], numeric: str) -> Iterator[Record]:
    csv.field_size_limit(sys.maxsize)  # its default refuses documents above 128 KiB
    # Strict, or a quote that is never closed would swallow the rest of the file.
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    rows = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for field in fields:
            if rows.fieldnames and field not in rows.fieldnames:
                raise Mistake(f"{path}, line 1, has no column {field!r}: its columns are {_listed(rows.fieldnames)}.")
        line = rows.line_num + 1
        for row in rows:
            if None in row:
                raise Mistake(f"{path}, line {line}, has more columns than line 1: put quotes around what holds a {delimiter!r}.")
            for field in fields:
                if row[field] is None:
                    raise Mistake(f"{path}, line {line}, is too short to have a column {field!r}.")
            yield Record(tuple(row[field] for field in fields), line)
            line = rows.line_num + 1
    except csv.Error as error:
        raise Mistake(f"{path}, line {line}, cannot be read as columns: {error}.") from None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
