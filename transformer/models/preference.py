"""A decoder that learns what is preferred, beside the one it was, which judges and stays as it is."""
from typing import Any

from flax import struct


@struct.dataclass
class Preference:
    policy: Any
    reference: Any
