"""What a family must say about itself to be loaded, saved and verified."""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformer.huggingface.config import Config
from transformer.huggingface.files import Stored
from transformer.huggingface.names import Row


@dataclass(frozen=True)
class Family:
    """One or more of their classes that share a config, a table of names and a way of being called."""

    kind: str  # config.json's model_type
    classes: tuple[str, ...]  # config.json's architectures, the first one saved unless `write` says which
    models: tuple[type, ...]  # our classes
    read: Callable[[Config], Any]  # settings -> our spec; config.values["architectures"] says which class
    write: Callable[[Any], dict[str, Any]]  # our model -> settings
    rows: Sequence[Row]
    call: Callable[[Any, "Call"], Mapping[str, Any]]  # a recorded call -> its outputs, by their names
    prefix: str = ""  # of the base model's names, which some files have and others don't
    copies: Mapping[str, str] = field(default_factory=dict)  # tied: their name of the copy -> of the source
    ignored: tuple[str, ...] = ()  # patterns of arrays that are no weights of this model, as mask buffers
    # settings and arrays of a directory -> what to read, where a file tells more than its config.json
    told: Callable[[dict[str, Any], Mapping[str, Stored]], dict[str, Any]] = lambda settings, there: settings


@dataclass(frozen=True)
class Call:
    """What was asked of a reference model: see transformer/huggingface/verify.py."""

    kind: str
    inputs: Mapping[str, Any]
    kwargs: Mapping[str, Any]
    config: Mapping[str, Any]
    generation: Mapping[str, Any]
