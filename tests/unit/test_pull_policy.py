"""When an image is pulled: what the clock has a say in is never taken for unchanged without a look."""

from __future__ import annotations

import pytest
from ansible_collections.strata.compose.plugins.module_utils._pull_policy import depend_on_time


@pytest.mark.parametrize("policy", ["daily", "weekly", "every_12h", "every_1w2d"])
def test_a_pull_by_age_depends_on_time(policy):
    assert depend_on_time({"services": {"web": {"pull_policy": "missing"}, "api": {"pull_policy": policy}}})


@pytest.mark.parametrize("policy", ["always", "missing", "never", "build", "if_not_present", None])
def test_no_other_pull_does(policy):
    assert not depend_on_time({"services": {"web": {"pull_policy": policy}, "api": {}}})
    assert not depend_on_time({"services": None})
