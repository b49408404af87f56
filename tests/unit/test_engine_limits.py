"""What of a service an engine does not have, by what it tells of itself."""

import pytest
from ansible_collections.strata.compose.plugins.module_utils._engine_limits import limits

INFO = {
    "ServerVersion": "24.0.7",
    "Runtimes": {"runc": {}, "nvidia": {}},
    "Plugins": {"Log": ["json-file", "loki:latest"]},
}
FINE = (
    {},
    {"runtime": "nvidia"},
    {"runtime": "io.containerd.kata.v2"},
    {"logging": {"driver": "none"}},
    {"logging": {"driver": "loki"}},
    {"logging": {"driver": "loki:latest"}},
    {"logging": {"options": {"max-size": "1m"}}},
)


@pytest.mark.parametrize("definition", FINE)
def test_nothing_is_said_of_what_the_engine_has(definition):
    assert list(limits("web", definition, INFO)) == []


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"runtime": "gvisor"}, "no runtime gvisor, it has nvidia, runc"),
        ({"logging": {"driver": "splunk"}}, "no logging driver splunk, it has json-file, loki, none"),
        ({"healthcheck": {"start_interval": "1s"}}, "needs Docker Engine 25, and this is 24.0.7"),
    ],
)
def test_what_the_engine_does_not_have(definition, expected):
    (told,) = limits("web", definition, INFO)
    assert told.startswith("service web: ") and expected in told
    assert list(limits("web", definition, {})) == [], "an engine that does not tell is not doubted"


def test_later_engines_have_start_intervals():
    assert not list(limits("web", {"healthcheck": {"start_interval": "1s"}}, {**INFO, "ServerVersion": "28.5.1"}))
