# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An address that the application's gate asks for, from the host or in a service. Private to strata.compose."""

from __future__ import annotations

import base64
import http.client
import re
import threading
import time
import typing as t
import urllib.error
import urllib.request
from urllib.parse import urljoin, urlsplit, urlunsplit

from ansible_collections.strata.compose.plugins.module_utils._application_gate import (
    has_secrets,
    printable,
    user_and_password,
)
from ansible_collections.strata.compose.plugins.module_utils._application_gate_answer import Answer, judged
from ansible_collections.strata.compose.plugins.module_utils._application_gate_commands import run_in
from ansible_collections.strata.compose.plugins.module_utils._command import CANNOT_START
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._application_gate import Question
    from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
    from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor

REDIRECTS = 5
REDIRECTING = (301, 302, 303, 307, 308)

NO_PROXIES = tuple(f"{name}=" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"))
"""Variables of a container that would lead a question about the application elsewhere, without a value."""

READ = 1 << 14
"""Bytes of an answer that are read."""

SHOWN = 200
"""Characters of an answer that are shown."""

DEFAULT_PORTS = {"http": 80, "https": 443}

Got = tuple[int, str, str]
"""Status, where it redirects to, and the beginning of the body."""

WAYS_OUT = (
    "Install curl in the image, leave service out to ask from the host, or let gate_command run what the image has"
)


def get(question: Question, container: str | None, seconds: float, cli: Cli, redactor: Redactor) -> Answer:
    """Ask once, and follow redirects as long as they stay with the same scheme, host and port."""
    deadline = time.monotonic() + seconds

    def once(url: str) -> Got:
        left = max(0.1, deadline - time.monotonic())
        return _by_curl(question, url, container, left, cli) if container else _in_time(question, url, left)

    try:
        return _followed(question, once, redactor)
    except NoProgram as failure:
        return _by_wget(question, failure.container, seconds, cli)
    except TimeoutError:
        return Answer(f"no answer within {seconds:g} s")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(f"no answer: {printable(_words(error))}")


class NoProgram(Exception):
    """The container has no curl."""

    def __init__(self, container: str) -> None:
        super().__init__(container)
        self.container = container


def _followed(question: Question, once: t.Callable[[str], Got], redactor: Redactor) -> Answer:
    url, statuses = question["url"], []
    for _hop in range(REDIRECTS + 1):
        status, location, body = once(url)
        statuses.append(status)
        target = _target(url, location)
        if status in question["status"] or status not in REDIRECTING or not is_same_origin(url, target):
            break
        url = target
    return judged(statuses, question["status"], redactor.mask(body)[:SHOWN])


def _target(url: str, location: str) -> str:
    """Where a redirect leads, with the userinfo that the address has."""
    target = urlsplit(urljoin(url, location))
    userinfo = urlsplit(url).netloc.rpartition("@")[:2]
    return urlunsplit(target._replace(netloc="".join(userinfo) + target.netloc.rpartition("@")[2], fragment=""))


def is_same_origin(one: str, other: str) -> bool:
    """Scheme, host and port alike (RFC 6454, 4)."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[t.Any, ...]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)


def _in_time(question: Question, url: str, seconds: float) -> Got:
    """From the host, in a thread: neither a name server nor a server that sends byte by byte knows a timeout."""
    found: list[Got | Exception] = []

    def work() -> None:
        try:
            found.append(_from_host(question, url, seconds))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise TimeoutError
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Redirects are answers: which are followed, we decide."""

    def redirect_request(self, *_: t.Any) -> None:
        return None


def _from_host(question: Question, url: str, seconds: float) -> Got:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    headers = {**question["headers"], **_authorization(url)}
    request = urllib.request.Request(_without_userinfo(url), headers=headers)
    try:
        with opener.open(request, timeout=seconds) as response:
            return _got(response)
    except urllib.error.HTTPError as error:
        with error:
            return _got(error)


def _got(response: t.Any) -> Got:
    return response.status, response.headers.get("Location", ""), response.read(READ).decode("utf-8", "replace")


def _authorization(url: str) -> dict[str, str]:
    user, password = user_and_password(url)
    if not user and not password:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def _without_userinfo(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason or type(error).__name__)


def curl_config(url: str, headers: t.Mapping[str, str], seconds: float) -> str:
    """A configuration for ``curl --config -`` (curl(1)): what is secret goes by standard input, never by arguments."""
    settings = [
        *(("url", url), ("max-time", f"{seconds:.1f}"), ("output", "/dev/null"), ("noproxy", "*")),
        ("write-out", "%{http_code} %{redirect_url}"),
        *(("header", f"{name}: {value}" if value else f"{name};") for name, value in headers.items()),
    ]
    lines = [f'{name} = "{_quoted(value)}"' for name, value in settings]
    return "\n".join(["silent", "show-error", "globoff", *lines, ""])


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")


def _by_curl(question: Question, url: str, container: str, seconds: float, cli: Cli) -> Got:
    config = curl_config(url, question["headers"], seconds).encode("latin-1")
    # --disable comes first, or a configuration file of the image has a say (curl(1)).
    rc, output = _run(container, ["curl", "--disable", "--config", "-"], config, seconds, cli)
    if rc in (126, 127) or CANNOT_START.search(output):
        raise NoProgram(container)
    found = re.search(r"^(\d{3}) (\S*)", output)
    if rc == 28:
        raise TimeoutError
    if found and found[1] != "000":
        return int(found[1]), found[2], ""
    raise OSError(output.rpartition("\n")[2] or f"curl ended with exit code {rc}")


def _by_wget(question: Question, container: str, seconds: float, cli: Cli) -> Answer:
    """With what busybox and GNU have in common; both follow redirects on their own, so they get no secrets."""
    if has_secrets(question):
        return Answer(
            f"the container has no curl, and wget would show headers or the user of the address in its arguments. "
            f"{WAYS_OUT}",
            is_final=True,
        )
    argv = ["wget", "-q", "-S", "-O", "/dev/null", "-T", str(max(1, int(seconds))), question["url"]]
    try:
        rc, output = _run(container, argv, None, seconds, cli)
    except TimeoutError:
        return Answer(f"no answer within {seconds:g} s")
    statuses = statuses_by_wget(question["url"], output)
    if statuses:
        return judged(statuses, question["status"])
    if rc in (126, 127) or CANNOT_START.search(output):
        return Answer(f"the container has neither curl nor wget. {WAYS_OUT}", is_final=True)
    last = output.rpartition("\n")[2] or f"wget ended with exit code {rc}"
    return Answer(f"no answer: {printable(last)}")


def statuses_by_wget(url: str, output: str) -> list[int]:
    """The statuses in the headers that ``wget -S`` printed, up to a redirect to another origin."""
    statuses: list[int] = []
    for line in output.splitlines():
        if found := re.match(r"\s+HTTP/[\d.]+ (\d{3})\b", line):
            statuses.append(int(found[1]))
        elif found := re.match(r"\s+location: *(\S+)", line, re.IGNORECASE):
            if not is_same_origin(url, urljoin(url, found[1])):
                break
            url = urljoin(url, found[1])
    return statuses


def _run(container: str, argv: t.Sequence[str], stdin: bytes | None, seconds: float, cli: Cli) -> tuple[int, str]:
    """Run the program; its own time is over before ours, which only ends what does not heed it."""
    try:
        return run_in(container, argv, seconds + 2, cli, stdin=stdin, variables=NO_PROXIES)
    except ComposeFailure as failure:
        if failure.facts.get("error_kind") == "timeout":
            raise TimeoutError from failure
        raise OSError(failure.message) from failure
