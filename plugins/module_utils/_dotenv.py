# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Env files, read and written exactly as Compose does. Pure. Private to strata.compose.

The rules are those of compose-go, ``dotenv/parser.go`` for lines and quotes and ``template/template.go`` for ``$``
(https://github.com/compose-spec/compose-go). They are not a shell's: ``$`` is substituted outside of single quotes,
``NAME: value`` is an assignment, and ``#`` starts a comment behind a value only after a space.

Decode files with ``errors="surrogateescape"`` and without newline translation: a carriage return may belong to a value.
"""

from __future__ import annotations

import re
import typing as t
import unicodedata
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

BLANK = "\t\v\f\r \x85\xa0"
SPACE = (
    f"{BLANK}\n\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""Go's unicode.IsSpace, narrower than Python's ``str.isspace``; BLANK is compose-go's own isSpace."""

GAP = re.compile(f"(?:[{SPACE}]+|#[^\n]*)*")
KEY = re.compile(f"(?:export(?=[\t\n\f\r ])[{BLANK}]*)?(?P<name>[^=:\n]*)(?P<end>[=:\n]?)[{BLANK}]*")
PLAIN = re.compile("([^\n]*)")
QUOTED = {quote: re.compile(rf"{quote}([^\\{quote}]*(?:\\.[^\\{quote}]*)*){quote}", re.DOTALL) for quote in "'\""}
ESCAPE = re.compile(r'\\(?:[abcfnrtv$"\\]|0(?P<digits>[0-9]{0,3}))')
OCTAL = re.compile("[0-3][0-7]{2}")
ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "$": "$$", '"': '"', "\\": "\\"}
SUBSTITUTION = re.compile(
    r"\$(?i:(?P<escaped>\$)|(?P<plain>[_a-z][_a-z0-9]*)"
    r"|\{(?:(?P<braced>[_a-z][_a-z0-9]*)(?:\}|(?P<if_empty>:?)(?P<operator>[-+?]))|))"
)
BRACES = re.compile(r"\{.?|\}|\n")
"""As compose-go counts them, which skips the character after a ``{``."""

DEEPEST = 50
"""Defaults within defaults: each is read again by itself."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Variable:
    """An assignment of an env file: its value as Compose reads it, and the line where it begins."""

    name: str
    value: str
    line: int
    undefined: tuple[str, ...] = ()
    """Names that the value substitutes with nothing because nobody defines them; Compose only warns of them."""


def read(
    text: str,
    lookup: t.Mapping[str, str] | None = None,
    source: str = "env file",
    earlier: t.Mapping[str, str] | None = None,
) -> list[Variable]:
    """All assignments in order; of two with the same name the later one counts.

    ``lookup`` beats the file in substitutions and fills a ``NAME`` without value: it is Compose's process environment.
    ``earlier`` are variables of the env files before this one; this file's lines beat them, as since Compose 2.39.
    Raises `ComposeFailure`, with ``source`` and line and never the line's text, for what Compose cannot read.
    """
    known = dict(earlier or {})
    found = []
    for name, template, line in _statements(text, source):
        scope = _Scope(lookup or {}, known, name, f"{source}:{line}")
        value = scope.find(name) if template is None else scope.substituted(template)
        if value is not None:
            known[name] = value
            found.append(Variable(name, value, line, tuple(dict.fromkeys(scope.undefined))))
    return found


def values(
    text: str,
    lookup: t.Mapping[str, str] | None = None,
    source: str = "env file",
    earlier: t.Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The variables that Compose gets out of an env file. Parameters and errors are those of `read`."""
    return {variable.name: variable.value for variable in read(text, lookup, source, earlier)}


def names(text: str, source: str = "env file") -> list[str]:
    """The names that a file declares, with or without a value, such as an example; nothing is substituted."""
    return [name for name, _template, _line in _statements(text, source) if name]


def substituted(template: str, variables: t.Mapping[str, str], place: str) -> str:
    """A text of a Compose file with the values of its variables; raises `ComposeFailure` as Compose fails on it."""
    return _Scope(variables, {}, place, place).substituted(template)


def as_texts(variables: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Variables as an env file and a process hold them. Raises `ComposeFailure` naming all that are null or nested."""
    kinds = {name: _unfit(value) for name, value in variables.items()}
    unfit = [f"{name} is {kind}" for name, kind in sorted(kinds.items()) if kind]
    if unfit:
        raise ComposeFailure(
            f"A variable holds a string, a number or a boolean, but {', '.join(unfit)}. Give '' for an empty value, "
            f"leave a variable out to have it undefined, and turn a structure into text (the filter to_json does)."
        )
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in variables.items()}


def _unfit(value: t.Any) -> str | None:
    if isinstance(value, (str, int, float)):
        return None
    return {type(None): "null", dict: "a mapping", list: "a list"}.get(type(value), "a structure")


def write(variables: t.Mapping[str, str], header: str = "") -> str:
    """The text of an env file, in the given order, that Compose 2.20 and later reads back bit for bit.

    ``header`` becomes comment lines at the top. Raises `ComposeFailure` naming the variable, and never its value, for
    a name that Compose cannot read and for a value that no process can receive.
    """
    comments = [f"# {line}".rstrip() for line in header.splitlines()]
    assignments = [f"{_checked(name)}={_quoted(name, value)}" for name, value in variables.items()]
    return "".join(f"{line}\n" for line in (*comments, *assignments))


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ComposeFailure(
            f"{name!r} cannot be the name of a variable in an env file: use letters, digits, '_', '.' and '-', "
            f"and do not begin with a digit, '.' or '-'."
        )
    return name


def _quoted(name: str, value: str) -> str:
    r"""A value in single quotes, where nothing is special; in double quotes if it has one or ends in a backslash.

    An escaped quote in single quotes, ``\'``, is read so only since Compose 2.24.
    """
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        kind = "a NUL character" if "\0" in value else "bytes that are not UTF-8"
        raise ComposeFailure(
            f"The value of {name} contains {kind}, which Compose cannot hand to a container: "
            f"encode it (the filter b64encode does) or deliver it as a file."
        )
    if "'" in value or value.endswith("\\"):
        return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'
    return f"'{value}'"


def _statements(text: str, source: str) -> t.Iterator[tuple[str, str | None, int]]:
    """Name, template of the value (None for a ``NAME`` without one) and line of every statement."""
    text = text.removeprefix("\ufeff")  # editors put it there
    position, line, counted = _match(GAP, text, 0).end(), 1, 0
    while position < len(text):
        line, counted = line + text.count("\n", counted, position), position
        key = _match(KEY, text, position)
        name = _name_in(key, f"{source}:{line}")
        value = _value_at(key.end(), text, f"{source}:{line}") if key["end"] in ("=", ":") else None
        yield name, _template(value) if value else None, line
        position = _match(GAP, text, value.end() if value else key.end()).end()


def _match(pattern: re.Pattern[str], text: str, position: int) -> re.Match[str]:
    return t.cast("re.Match[str]", pattern.match(text, position))


def _name_in(key: re.Match[str], place: str) -> str:
    strange = next((char for char in key["name"] if not _fits_a_name(char)), None)
    if strange:
        raise ComposeFailure(
            f"{place}: the character {strange} cannot stand in a name, and a name is due here. Put a value with quotes "
            f'or several lines in double quotes, with a backslash before each ", $ and backslash.'
        )
    name = key["name"].rstrip(SPACE)
    # Compose 2.26 dies of a nameless variable ("setenv: invalid argument"), 2.40 drops it, and no engine accepts one; a
    # NAME without value at the very end is read as the value of a nameless variable
    if " " in name or not key["end"] or not (name or key["end"] == "\n"):
        raise ComposeFailure(
            f"{place}: this is not an assignment. Write NAME='value', with no blank in the name; "
            f"a NAME alone, whose value comes from outside, needs a line break behind it."
        )
    return name


def _fits_a_name(char: str) -> bool:
    return char in BLANK or char in "_.-[]" or unicodedata.category(char)[0] in "LN"


def _value_at(position: int, text: str, place: str) -> re.Match[str]:
    quote = text[position : position + 1]
    value = QUOTED.get(quote, PLAIN).match(text, position)
    if not value:
        raise ComposeFailure(f"{place}: the value begins with {quote} and this quote is never closed.")
    return value


def _template(value: re.Match[str]) -> str:
    """The value without quotes and escapes, its ``$`` still to be substituted."""
    quote = value[0][:1]
    if quote not in QUOTED:
        return value[1].partition(" #")[0].rstrip(SPACE)
    inner = re.sub(r"(?s)\\(.)", lambda pair: quote if pair[1] == quote else pair[0], value[1])
    return inner.replace("$", "$$") if quote == "'" else ESCAPE.sub(_unescaped, inner)


def _unescaped(escape: re.Match[str]) -> str:
    digits = escape["digits"]
    if digits is None:
        return ESCAPED.get(escape[0][1], escape[0])
    return chr(int(digits, 8)) if OCTAL.fullmatch(digits) else f"\\{digits}"


@dataclass
class _Scope:
    """What a value's substitutions can see."""

    lookup: t.Mapping[str, str]
    known: t.Mapping[str, str]
    name: str
    place: str
    undefined: list[str] = field(default_factory=list)

    def find(self, name: str) -> str | None:
        return self.lookup.get(name, self.known.get(name))

    def substituted(self, template: str, depth: int = 0) -> str:
        pieces, position = [], 0
        while match := SUBSTITUTION.search(template, position):
            replacement, end = self._replacement(match, depth)
            pieces += [template[position : match.start()], replacement]
            position = end
        return "".join((*pieces, template[position:]))

    def _replacement(self, match: re.Match[str], depth: int) -> tuple[str, int]:
        """What stands for a substitution, and where it ends."""
        if match["escaped"]:
            return "$", match.end()
        end = _end_of_argument(match) if match["operator"] else match.end()
        name = match["plain"] or match["braced"]
        if depth > DEEPEST:
            raise ComposeFailure(f"{self.place}: {self.name} has more than {DEEPEST} defaults within each other.")
        if not name or not end:
            raise ComposeFailure(
                f"{self.place}: Compose cannot substitute what follows a $ in the value of {self.name}. Put it in "
                f"single quotes if it is meant as it stands."
            )
        if not match["operator"]:
            return self._plain(name), end
        return self._with_argument(match, match.string[match.end() : end - 1], depth), end

    def _plain(self, name: str) -> str:
        value = self.find(name)
        if value is None:
            self.undefined.append(name)
        return value or ""

    def _with_argument(self, match: re.Match[str], argument: str, depth: int) -> str:
        """An argument that is not used is not looked at, as since Compose 5.1.2; older ones fail on errors in it."""
        name, operator = match["braced"], match["operator"]
        value = self.find(name)
        unset = not value if match["if_empty"] else value is None
        if operator == "?" and unset:
            raise ComposeFailure(
                f"{self.place}: {self.name} requires the variable {name}: {argument or 'it is not set.'}"
            )
        uses_argument = {"-": unset, "+": not unset, "?": False}[operator]
        return self.substituted(argument, depth + 1) if uses_argument else value or ""


def _end_of_argument(match: re.Match[str]) -> int:
    """Where the first ``${...}`` ends: at its own brace, else at the last one of the line; 0 where there is none."""
    depth, last = 0, 0
    for brace in BRACES.finditer(match.string, match.start()):
        if brace.group() == "\n":
            break
        depth += -1 if brace.group() == "}" else 1
        last = brace.end() if brace.group().endswith("}") else last
        if not depth:
            break
    return last
