"""Every family there is, found by the class that config.json names."""
from collections.abc import Mapping
from typing import Any

from transformer.huggingface import bert, distilbert, gpt, llama, modernbert, seq2seq, vision, whisper
from transformer.huggingface.family import Family
from transformer.mistakes import Mistake

FAMILIES: tuple[Family, ...] = (
    *gpt.FAMILIES, *llama.FAMILIES, *bert.FAMILIES, *distilbert.FAMILIES, *modernbert.FAMILIES, *vision.FAMILIES,
    *seq2seq.FAMILIES, *whisper.FAMILIES)


def of(config: Mapping[str, Any]) -> Family:
    """The family of a config.json: by its class, or without one by its kind."""
    kind, classes = config.get("model_type"), config.get("architectures") or []
    if not isinstance(classes, list):
        raise Mistake(f"config.json: architectures is {classes!r}, and should be a list with the name of a class")
    alike = [family for family in FAMILIES if kind in (None, family.kind)]
    for family in alike:
        if not classes or classes[0] in family.classes:
            return family
    known = sorted({name for family in alike or FAMILIES for name in family.classes})
    raise Mistake(f"config.json asks for {classes[0] if classes else 'no class'} of the kind {kind!r}, which is not "
                  f"supported; there {'is' if len(known) == 1 else 'are'} {', '.join(known)}")
