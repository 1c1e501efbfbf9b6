"""The signature of the Taobao Open Platform (document 101617; exact rules in vendors.md A3).

Every parameter except `sign` takes part, as the raw text before any encoding, sorted by the bytes of its name.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Literal, get_args

SignMethod = Literal["md5", "hmac", "hmac-sha256"]
SIGN_METHODS: tuple[SignMethod, ...] = get_args(SignMethod)


def canonical(parameters: Mapping[str, str]) -> str:
    """What is signed: names and values in a row. A parameter whose name or value is blank takes no part.

    (One vendor SDK drops those, another signs the bare name; who sends none is right with both.)
    """
    taken = [name for name, value in parameters.items() if name != "sign" and name.strip() and value.strip()]
    return "".join(name + parameters[name] for name in sorted(taken, key=lambda name: name.encode()))


def sign(parameters: Mapping[str, str], secret: str, method: SignMethod) -> str:
    """The value of `sign`: 32 or 64 hexadecimal digits in upper case."""
    text, key = canonical(parameters).encode(), secret.encode()
    if method == "md5":
        # The vendor's algorithm, still the only one that some apps accept; it protects no secret of ours.
        return hashlib.md5(key + text + key, usedforsecurity=False).hexdigest().upper()
    return hmac.new(key, text, hashlib.md5 if method == "hmac" else hashlib.sha256).hexdigest().upper()
