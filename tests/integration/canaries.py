# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Canaries: random secrets of every awkward kind, the forms in which programs print them, and the search for them.

Nothing here uses the redactor: what it does is what is tested.
"""

from __future__ import annotations

import base64
import json
import random
import re
import shlex
import string
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ALPHANUMERIC = string.ascii_letters + string.digits
SHORTEST = 6
"""Shorter parts of a secret are not searched for: they turn up by chance."""
INTERVAL = 0.01
"""Seconds between two looks at the processes."""

Kind = Callable[[random.Random], str]


def kernel(source: random.Random, length: int = 12) -> str:
    """Random letters and digits, which no encoding but base64 and the like changes: who finds it has found a leak."""
    return "".join(source.choices(ALPHANUMERIC, k=length))


def _encoded(source: random.Random) -> str:
    return base64.b64encode(source.randbytes(31)).decode()


def _pem(source: random.Random) -> str:
    body = base64.b64encode(source.randbytes(144)).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])


KINDS: dict[str, Kind] = {
    "dollars": lambda r: f"{kernel(r)}${kernel(r)}$$pend$",
    "quotes": lambda r: f"it's \"{kernel(r)}\" 'q' {kernel(r)}",
    "lines": lambda r: f"{kernel(r)}\nsecond \"{kernel(r)}\n  third's {kernel(r)}\n",
    "letters beyond ASCII": lambda r: f"Grüße-{kernel(r)}-жñ漢😀-{kernel(r)}é",
    "backslashes": lambda r: f"C:\\{kernel(r)}\\n\\\\{kernel(r)}\\",
    "spaces": lambda r: f"{kernel(r)} with  spaces {kernel(r)}",
    "hashes": lambda r: f"{kernel(r)} #no comment #{kernel(r)}",
    "templates": lambda r: f"{{{{ {kernel(r)} }}}}{{% {kernel(r)} %}}",
    "characters of addresses": lambda r: f"p@{kernel(r)}:/?#[]&=+{kernel(r)};,",
    "base64": _encoded,
    "lines of base64": _pem,
    "JSON": lambda r: json.dumps({"type": "account", "key": f"{kernel(r)}\n{kernel(r)}", "n": 1}),
    "hexadecimal": lambda r: r.randbytes(20).hex(),
    "markup": lambda r: f"<{kernel(r)}&amp;{kernel(r)}>",
    "shell": lambda r: f"`{kernel(r)}`;|&$({kernel(r)})!~*",
    "percents": lambda r: f"%{kernel(r)}%20{kernel(r)}%24",
    "tabs": lambda r: f"{kernel(r)}\t{kernel(r)}",
    "letters": lambda r: kernel(r, 8),
    "pairs": lambda r: f"user={kernel(r)};password={kernel(r)}",
    "commas": lambda r: f"{kernel(r)},[{kernel(r)}],{{{kernel(r)}}}",
}


def canaries(seed: int) -> dict[str, str]:
    """A secret of each kind; the last two hold parts of others, so that a careless mask leaves their rest."""
    source = random.Random(seed)
    made = {kind: make(source) for kind, make in KINDS.items()}
    made["pairs"] = made["letters"] + made["pairs"]
    made["commas"] = made["hexadecimal"][-12:] + made["commas"]
    return made


def forms(secret: str) -> set[str]:
    """A secret and its lines as programs print them."""
    parts = {secret, secret.strip(), *(line.strip() for line in secret.splitlines())}
    return {form for part in parts if len(part) >= SHORTEST for form in _forms(part)}


def _forms(part: str) -> Iterator[str]:
    for each in (part, part.replace("$", "$$")):
        yield each
        for ascii_only in (True, False):
            once = json.dumps(each, ensure_ascii=ascii_only)[1:-1]
            yield from (once, json.dumps(once, ensure_ascii=ascii_only)[1:-1])
        # As Go writes it.
        yield re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(each, ensure_ascii=False)[1:-1])
        yield shlex.quote(each)
        yield each.replace("'", "'\\''")
        yield re.sub(r"([^\w])", r"\\\1", each)
    quoted = [urllib.parse.quote(part, safe=""), urllib.parse.quote(part), urllib.parse.quote_plus(part)]
    yield from (*quoted, *(re.sub("%..", lambda found: found[0].lower(), each) for each in quoted))
    yield from _base64(part.encode())


def _base64(content: bytes) -> Iterator[str]:
    """Wherever the secret begins in what is encoded: without the characters that depend on what is around it."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + content).decode().rstrip("=")
        whole = encoded[(0, 2, 3)[before] : len(encoded) - (1 if (before + len(content)) % 3 else 0)]
        if len(whole) >= SHORTEST:
            yield from (whole, whole.translate(str.maketrans("+/", "-_")))


def needles(secrets: dict[str, str]) -> dict[str, str]:
    """What must not be found, with the kind of the secret: every form, and the random words within."""
    found = {form: kind for kind, secret in secrets.items() for form in forms(secret)}
    words = {
        word: kind
        for kind, secret in secrets.items()
        for word in re.findall(r"[A-Za-z0-9]{8,}", secret)
        if _random(word)
    }
    return {**found, **words}


def _random(word: str) -> bool:
    return any(each.isdigit() for each in word) or sum(each.isupper() for each in word) > 2


def hits(text: str, wanted: dict[str, str]) -> list[str]:
    """What was found, with its surroundings."""
    return [
        f"{kind}: {needle!r} in {text[max(0, text.index(needle) - 120) : text.index(needle) + 120]!r}"
        for needle, kind in wanted.items()
        if needle in text
    ]


def texts_in(value: Any) -> Iterator[str]:
    """All texts of a JSON document, without the escapes of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for each in pair for text in texts_in(each))
    elif isinstance(value, list):
        yield from (text for each in value for text in texts_in(each))


@dataclass
class Watch:
    """Looks at the arguments of all processes of the machine, containers included, as long as the block lasts."""

    seen: set[bytes] = field(default_factory=set)
    processes: set[str] = field(default_factory=set)
    looks: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def text(self) -> str:
        return "\n".join(each.decode("utf-8", "replace").replace("\0", " ") for each in self.seen)

    def _look(self) -> None:
        while not self._over.wait(INTERVAL):
            self.looks += 1
            for folder in Path("/proc").iterdir():
                if folder.name.isdigit():
                    self._note(folder)

    def _note(self, folder: Path) -> None:
        try:
            self.seen.add((folder / "cmdline").read_bytes())
        except (FileNotFoundError, ProcessLookupError):
            return
        self.processes.add(folder.name)
