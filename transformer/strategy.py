"""Which way to a text is meant by what was given, and what in it does not go together.

A number that is not given is generation_config.json's where that has it.
"""
import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transformer.decoding import Beams, Contrastive, Draft, Greedy, Lookup, Sample, Speculative
from transformer.huggingface.generate import EARLY
from transformer.mistakes import Mistake

SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical", "epsilon", "eta")
BEAMS = ("beams", "length_penalty", "early")
# What each strategy goes by. The first that takes all that is given is meant, if none is named.
STRATEGIES = {
    "greedy": (), "sample": SAMPLING, "beam": BEAMS, "diverse": (*BEAMS, "groups", "diversity"), "contrastive": ("top_k", "alpha"),
    "nucleus": SAMPLING, "lookup": ("ngram", "ahead", *SAMPLING), "speculative": ("draft", "ahead", *SAMPLING)}
LIKELIEST = 50  # among so many a file chooses, as transformers does, if it asks for sampling or contrast and does not say
SINGLE = ("greedy", "contrastive", "lookup", "speculative")  # give one text a prompt
# What generation_config.json calls it, and the value that says it is off.
THEIRS = {
    "temperature": ("temperature", None), "top_k": ("top_k", 0), "top_p": ("top_p", 1.0), "min_p": ("min_p", 0.0),
    "typical": ("typical_p", 1.0), "epsilon": ("epsilon_cutoff", 0.0), "eta": ("eta_cutoff", 0.0), "beams": ("num_beams", 1),
    "length_penalty": ("length_penalty", None), "early": ("early_stopping", None), "groups": ("num_beam_groups", 1),
    "diversity": ("diversity_penalty", 0.0), "alpha": ("penalty_alpha", 0.0)}


@dataclasses.dataclass(frozen=True)
class Search:
    """The knobs of how to search."""

    strategy: str | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical: float | None = None
    epsilon: float | None = None
    eta: float | None = None
    beams: int | None = None
    length_penalty: float | None = None
    early: str | None = None
    groups: int | None = None
    diversity: float | None = None
    alpha: float | None = None
    ngram: int | None = None
    ahead: int | None = None
    draft: Path | None = None

    def given(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None and name != "strategy"}


def named(search: Search, settings: Mapping[str, Any]) -> str:
    """The strategy that is meant: named, the first that takes all that is given, or the settings'."""
    given = search.given()
    if search.strategy is None:
        if not given:
            return _of_settings(settings)
        fitting = [name for name, takes in STRATEGIES.items() if given.keys() <= set(takes)]
        if not fitting:
            raise Mistake(f"{_said(given)} belong to no one strategy: "
                          + "; ".join(f"{_said([knob])} is for {', '.join(_takers(knob))}" for knob in given))
        return fitting[0]
    if search.strategy not in STRATEGIES:
        near = difflib.get_close_matches(search.strategy, STRATEGIES, 1)
        raise Mistake(f"no strategy {search.strategy!r}{f' (did you mean {near[0]}?)' if near else ''}; there are {', '.join(STRATEGIES)}")
    foreign = [name for name in given if name not in STRATEGIES[search.strategy]]
    if foreign:
        raise Mistake(f"{_said(foreign)} says nothing to --strategy {search.strategy}, which takes "
                      f"{_said(STRATEGIES[search.strategy]) or 'no knobs'}: leave it out, or choose {' or '.join(_takers(foreign[0]))}")
    return search.strategy


def _of_settings(settings: Mapping[str, Any]) -> str:
    """What generation_config.json asks for, by the rules of transformers."""
    beams, drawn = settings.get("num_beams") or 1, settings.get("do_sample")
    if beams > 1 and drawn:
        raise Mistake(f"generation_config.json asks for beams that are drawn (num_beams {beams} with do_sample), which there are not: "
                      f"choose --strategy beam or sample")
    if beams > 1:
        return "diverse" if (settings.get("num_beam_groups") or 1) > 1 else "beam"
    contrastive = settings.get("penalty_alpha") and (settings.get("top_k", LIKELIEST) or 0) > 1
    return "sample" if drawn else "contrastive" if contrastive else "greedy"


def strategy(name: str, search: Search, settings: Mapping[str, Any], count: int, draft: Any = None) -> Any:
    """The search of this name, for so many texts a prompt."""
    if count < 1:
        raise Mistake(f"--count {count} texts were asked for; it must be at least 1")
    if count > 1 and name in SINGLE:
        raise Mistake(f"{name} gives one text for a prompt, not {count}: choose --strategy sample or beam")
    values = {**_theirs(STRATEGIES[name], settings), **search.given()}
    if name in ("sample", "nucleus"):
        return _sample(name, values, settings, count)
    if name in ("beam", "diverse"):
        beams = values.setdefault("beams", max(4, count))
        if name == "diverse":
            values = {"groups": beams, "diversity": 0.5, **values}
        return Beams(count=count, **values)
    if name == "contrastive":
        return Contrastive(values.get("top_k", LIKELIEST if settings.get("penalty_alpha") else 4), values.get("alpha", 0.6))
    if name == "greedy":
        return Greedy()
    if name == "speculative" and draft is None:
        raise Mistake("speculative decoding guesses with a smaller model: give one, as in --draft DIR")
    chooses = any(knob in search.given() for knob in SAMPLING) or settings.get("do_sample")
    pick = _sample(name, {knob: values[knob] for knob in SAMPLING if knob in values}, settings, 1) if chooses else Greedy()
    return Speculative(Lookup(values.get("ngram", 2)) if name == "lookup" else Draft(draft), pick, values.get("ahead", 4))


def _sample(name: str, values: dict[str, Any], settings: Mapping[str, Any], count: int) -> Sample:
    if settings.get("do_sample") and "top_k" not in settings:
        values = {"top_k": LIKELIEST, **values}
    return Sample(count=count, **({"top_p": 0.9} if name == "nucleus" else {}) | values)


def _theirs(knobs: tuple[str, ...], settings: Mapping[str, Any]) -> dict[str, Any]:
    found = {knob: settings.get(THEIRS[knob][0]) for knob in knobs if knob in THEIRS}
    found = {knob: value for knob, value in found.items() if value is not None and value != THEIRS[knob][1]}
    return {knob: EARLY[value] if knob == "early" else value for knob, value in found.items()}


def _said(knobs: Iterable[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in knobs)


def _takers(knob: str) -> list[str]:
    return [name for name, takes in STRATEGIES.items() if knob in takes]
