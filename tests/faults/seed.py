"""The seed of all that is left to chance."""

from __future__ import annotations

import os
import random

SEED = os.environ.setdefault("FAULTS_SEED", str(random.SystemRandom().randrange(10**6)))
"""Chosen where the run begins, so that all its processes agree; FAULTS_SEED=... repeats a run."""
