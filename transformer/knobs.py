"""The command line from signatures: the keyword arguments of a function are its knobs, and a wrong one is refused in a sentence."""
import difflib
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformer.mistakes import Mistake

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
SAYS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Path: "a path"}


def knobs_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword arguments that have a default. One that ends in `_`, as `from_` must, is a knob without it."""
    return {name: p for name, p in inspect.signature(function, eval_str=True).parameters.items() if p.default is not p.empty}


def parse(arguments: Sequence[str], *functions: Callable[..., Any]) -> list[dict[str, Any]]:
    """Reads `--knob value`, `--knob=value` and `--flag`; one dict of what was given for each function."""
    known = [knobs_of(function) for function in functions]
    given: list[dict[str, Any]] = [{} for _ in functions]
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, text = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        name = next((f"{name}_" for knobs in known if f"{name}_" in knobs), name)
        owner = next((index for index, knobs in enumerate(known) if name in knobs), None)
        if not word.startswith("--") or owner is None:
            raise Mistake(_unknown(word, name, [knob for knobs in known for knob in knobs]))
        choices = _choices(known[owner][name])
        kind = str if choices else _kind(known[owner][name])
        if kind not in SAYS:
            raise Mistake(f"knob {name} cannot be given in words: it is a {kind.__name__}; give it from Python")
        if kind is bool and not equals and not (rest and rest[0].lower() in WORDS):
            text = "true"
        elif not equals:
            if not rest or rest[0].startswith("--"):
                raise Mistake(f"knob {name} wants {SAYS[kind]} after it, as in --{name.rstrip('_')} {known[owner][name].default}")
            text = rest.pop(0)
        if choices and text not in choices:
            raise Mistake(f"knob {name} is one of {', '.join(choices)}, not {text!r}")
        given[owner][name] = _read(name, text, kind)
    return given


def fitted(given: Mapping[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
    """The same knobs, all known to the function, and paths as paths again where they were read from a file."""
    known = knobs_of(function)
    for name in given:
        if name not in known:
            raise Mistake(_unknown(name, name, list(known)))
    return {name: Path(value) if isinstance(value, str) and _kind(known[name]) is Path else value for name, value in given.items()}


def _choices(parameter: inspect.Parameter) -> tuple[str, ...]:
    """The texts that a knob annotated as a Literal can be."""
    return typing.get_args(parameter.annotation) if typing.get_origin(parameter.annotation) is typing.Literal else ()


def _kind(parameter: inspect.Parameter) -> type:
    kind = parameter.annotation if parameter.annotation is not parameter.empty else type(parameter.default)
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    return kind


def _read(name: str, text: str, kind: type) -> Any:
    try:
        return WORDS[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise Mistake(f"knob {name} takes {SAYS[kind]}, not {text!r}") from None


def _unknown(word: str, name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    guess = f" (did you mean --{near[0]}?)" if near else ""
    return f"no knob {word!r}{guess}; there are {', '.join(sorted(name.rstrip('_') for name in names))}"
