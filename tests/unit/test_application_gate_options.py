# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the application is asked, read from options, told, and judged: the table is cases/application_gate.yml."""

from __future__ import annotations

import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _application_gate as gate
from ansible_collections.strata.compose.plugins.module_utils import _application_gate_urls as urls
from ansible_collections.strata.compose.plugins.module_utils._application_gate_answer import judged
from ansible_collections.strata.compose.plugins.module_utils._application_gate_options import DEFAULTS, gate_of
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

from tests.unit.tables import each, table

CASES = table("application_gate")


def whole(questions):
    """Questions with their defaults."""
    return tuple({**DEFAULTS[gate.option_of(one)], **one} for one in questions)


@each(CASES["read"])
def test_read(case):
    assert gate_of(case, whole(case.get("last", []))) == whole(case["read"])


@each(CASES["refused"])
def test_refused(case):
    with pytest.raises(ComposeFailure) as refused:
        gate_of(case, ())
    message = refused.value.message
    assert case["says"] in message
    option = "gate_url" if "gate_url" in case else "gate_command"
    assert f"{option}=[] asks nothing. Nothing was changed." in message
    assert "secret-of-ours" not in message


@each(CASES["secrets"])
def test_secrets(case):
    question = {**DEFAULTS["gate_url"], **case["question"]}
    assert set(gate.secrets_of_gate([question])) - {""} == set(case["learned"])
    assert gate.bare(question["url"]) == case["bare"]
    told = gate.told(question)
    assert [secret for secret in case["learned"] if secret in told] == []


@each(CASES["wget"])
def test_statuses_by_wget(case):
    assert urls.statuses_by_wget("http://a/", case["output"]) == case["statuses"]


@each(CASES["judged"])
def test_judged(case):
    assert judged(case["statuses"], case["wanted"]).passes is case["passes"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://a/", "http://A:80/b", True),
        ("https://a/", "https://a:443/", True),
        ("http://a/", "https://a/", False),
        ("http://a/", "http://a:8080/", False),
        ("http://u@a/", "http://a/", True),
        ("http://a/", "http://a.b/", False),
    ],
)
def test_origin(one, other, same):
    assert urls.is_same_origin(one, other) is same


def test_change_is_told_in_words():
    old, new = whole([{"url": "http://a/"}]), whole([{"url": "http://a/"}, {"argv": ["smoke"]}])
    assert gate.change(old, old) == ""
    assert gate.change(old, new) == "the application is asked otherwise: gate_command smoke (from the host)"
    assert gate.change(new, old) == "the application is asked less"
    assert gate.change(new, ()) == "the application is asked nothing any more"


def test_control_characters_are_escaped():
    assert gate.printable("a\x1b[1m\nb\u202eé") == "a\\x1b[1m\\nb\\u202eé"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_reads_the_configuration_as_it_is_meant():
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers))
            self.send_response(302)
            self.send_header("Location", "/there")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Not into the output of the tests."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        here = f"127.0.0.1:{server.server_port}"
        config = urls.curl_config(f"http://u:p%22w@{here}/a?b=[1]", {"X-A": 'q"\\\té', "X-Empty": ""}, 5)
        argv = ["curl", "--disable", "--config", "-"]
        done = subprocess.run(argv, input=config.encode("latin-1"), capture_output=True, check=True)
    ((path, headers),) = asked
    assert done.stdout.startswith(b"302 http://")
    assert done.stdout.endswith(f"{here}/there".encode())
    assert path == "/a?b=[1]"
    assert headers["Authorization"] == "Basic dTpwInc="
    assert (headers["X-A"], headers["X-Empty"]) == ('q"\\\té', "")
