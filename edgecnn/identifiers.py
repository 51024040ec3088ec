"""Names that a network can have as the prefix of C functions, macros and files."""

from __future__ import annotations

import re

MAX_LENGTH = 48

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_KEYWORDS = (
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register restrict return short signed sizeof static struct switch typedef "
    "union unsigned void volatile while bool catch class constexpr delete explicit export false "
    "friend mutable namespace new nullptr operator private protected public template this throw "
    "true try typename using virtual"
)
# NAME.h would hide these headers from everything that is compiled with the folder in its path.
_HEADERS = (
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal "
    "stdarg stdbool stddef stdint stdio stdlib string tgmath time wchar wctype"
)
# Names of devices, which Windows lets no file have, whatever its extension.
_DEVICES = "aux con nul prn null"
_RESERVED = frozenset(f"{_KEYWORDS} {_HEADERS} {_DEVICES}".split())


def problem(name: str) -> str | None:
    """Say why a network cannot have a name, or None where it can.

    >>> problem("digits"), problem("int")
    (None, 'it is a C keyword, a standard header or a file name that systems reserve')
    """
    if not _IDENTIFIER.match(name) or len(name) > MAX_LENGTH:
        return (
            f"it takes up to {MAX_LENGTH} letters, digits and underscores, beginning with a letter"
        )
    if name.lower().startswith("edgecnn"):
        return "names that begin with 'edgecnn' are those of the kernels"
    if name.lower() in _RESERVED:
        return "it is a C keyword, a standard header or a file name that systems reserve"
    return None


def network_name(text: str) -> str:
    """A usable name made from the name of a file, a class or a factory.

    >>> network_name("My net.v2"), network_name("2-stage"), network_name("int")
    ('my_net_v2', 'net_2_stage', 'net_int')
    """
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").lower()[:MAX_LENGTH]
    if problem(name) is None:
        return name
    return f"net_{name}".rstrip("_")[:MAX_LENGTH]
