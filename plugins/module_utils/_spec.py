# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument specs of all modules: read by the modules and by the actions that fill unset options.

Private to strata.compose.
"""

from __future__ import annotations

import typing as t

Spec = dict[str, dict[str, t.Any]]

STATES = ("present", "absent", "started", "stopped", "restarted", "built", "pulled", "rolled_back")
GATHER = ("services", "processes", "logs", "config", "images", "variables", "releases", "drift", "lock", "backups")

ENVIRONMENT: Spec = {
    "project_dir": {"type": "path", "required": True},
    "environment": {"type": "str", "required": True},
    "project_name": {"type": "str"},
    "files": {"type": "list", "elements": "path"},
    "env_files": {"type": "list", "elements": "path"},
    "profiles": {"type": "list", "elements": "str"},
    "services": {"type": "list", "elements": "str"},
    "external": {"type": "str", "choices": ["require", "create"], "default": "require"},
    "layers_of": {"type": "str"},
    "include_override": {"type": "bool", "default": False},
    "base_directory": {"type": "path"},
    "variables": {"type": "dict", "no_log": True},
    "blank_variables": {"type": "list", "elements": "str"},
    "data_paths": {"type": "list", "elements": "str"},
    "docker_host": {"type": "str"},
    "state_dir": {"type": "path"},
    "command_timeout": {"type": "int", "default": 1800},
}

INCOMING: Spec = {"incoming": {"type": "raw", "no_log": True}}
"""What is still on the controller. The action turns the mapping of the task into text for the module."""

LAYERS = ("files", "profiles", "services")
"""Options that say what of the layers is meant."""
RESOLUTION = (*LAYERS, "external", "include_override", "base_directory", "variables", "blank_variables")
"""Options of modules that resolve the layers; all others have a say in which environment it is."""

OWNERSHIP: Spec = {
    "project_moved_from": {"type": "path"},
    "environment_renamed_from": {"type": "str"},
    "adopt_from": {"type": "path"},
}
"""Options of what changes a project, which belongs to one project directory and one environment."""

COMPOSE_ENV: Spec = {
    **ENVIRONMENT,
    **OWNERSHIP,
    **INCOMING,
    "state": {"type": "str", "choices": list(STATES), "default": "present"},
    "build": {"type": "str", "choices": ["missing", "always", "never"], "default": "missing"},
    "no_cache": {"type": "bool", "default": False},
    "pull": {"type": "str", "choices": ["missing", "always", "never"], "default": "missing"},
    "recreate": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
    "remove_orphans": {"type": "bool", "default": True},
    "scale": {"type": "dict"},
    "timeout": {"type": "int"},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 120},
    "stable_for": {"type": "int", "default": 10},
    "gate_url": {"type": "raw", "no_log": True},
    "gate_command": {"type": "raw", "no_log": True},
    "volumes": {"type": "bool", "default": False},
    "images": {"type": "str", "choices": ["none", "local", "all"], "default": "none"},
    "confirm": {"type": "str"},
    "release": {"type": "int"},
    "keep_releases": {"type": "int", "default": 5},
    "require_init": {"type": "bool", "default": True},
    "lock_wait": {"type": "int", "default": 0},
    "actor": {"type": "str"},
    "revision": {"type": "str"},
}

COMPOSE_INIT: Spec = {
    **{name: option for name, option in ENVIRONMENT.items() if name != "services"},
    **OWNERSHIP,
    **INCOMING,
    "state": {"type": "str", "choices": ["present", "assume"], "default": "present"},
    "confirm": {"type": "str"},
    "profile": {"type": "str", "default": "init"},
    "steps": {"type": "list", "elements": "raw"},
    "file": {"type": "list", "elements": "path"},
    "run": {"type": "str", "choices": ["once", "always"], "default": "once"},
    "parallel": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 900},
    "build": COMPOSE_ENV["build"],
    "pull": COMPOSE_ENV["pull"],
    "wait_timeout": COMPOSE_ENV["wait_timeout"],
    "stable_for": COMPOSE_ENV["stable_for"],
    "proven": {"type": "dict"},
    "lock_wait": COMPOSE_ENV["lock_wait"],
    "actor": COMPOSE_ENV["actor"],
}

COMPOSE_ENV_INFO: Spec = {
    **{name: option for name, option in ENVIRONMENT.items() if name != "external"},
    "gather": {"type": "list", "elements": "str", "choices": list(GATHER), "default": ["services"]},
    "tail": {"type": "int", "default": 100},
    "since": {"type": "str"},
}

COMPOSE_EXEC: Spec = {
    **{name: option for name, option in ENVIRONMENT.items() if name not in ("services", "external", "data_paths")},
    "service": {"type": "str", "required": True},
    "index": {"type": "int"},
    "argv": {"type": "list", "elements": "str"},
    "command": {"type": "str"},
    "user": {"type": "str"},
    "workdir": {"type": "str"},
    "env": {"type": "dict", "no_log": True},
    "stdin": {"type": "str", "no_log": True},
    "stdin_base64": {"type": "str", "no_log": True},
    "stdin_file": {"type": "path"},
    "one_off": {"type": "bool", "default": False},
    "creates": {"type": "str"},
    "removes": {"type": "str"},
    "ok_rc": {"type": "list", "elements": "int", "default": [0]},
    "changed_rc": {"type": "list", "elements": "int"},
    "read_only": {"type": "bool", "default": False},
    "detach": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 600},
    "max_output": {"type": "int", "default": 65536},
}

POSTGRES: Spec = {
    **{name: option for name, option in ENVIRONMENT.items() if name not in (*RESOLUTION, "data_paths")},
    **OWNERSHIP,
    "service": {"type": "str", "default": "postgres"},
    "dedicated": {"type": "bool", "default": False},
    "database": {"type": "str", "required": True},
    "lock_wait": COMPOSE_ENV["lock_wait"],
    "actor": COMPOSE_ENV["actor"],
}

POSTGRES_ENV: Spec = {
    **POSTGRES,
    **INCOMING,
    "state": {"type": "str", "choices": ["present", "prepared", "absent"], "default": "present"},
    **{name: ENVIRONMENT[name] for name in RESOLUTION if name not in ("services", "variables")},
    "compose_variables": ENVIRONMENT["variables"],
    "owner": {"type": "str"},
    "role": {"type": "str"},
    "readonly_role": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "readonly_password": {"type": "str", "no_log": True},
    "password_mismatch": {"type": "str", "choices": ["fail", "replace"], "default": "fail", "no_log": False},
    "extensions": {"type": "list", "elements": "str", "default": []},
    "settings": {"type": "dict", "default": {}},
    "variables": {"type": "dict", "default": {"url": "DATABASE_URL"}},
    "consumer": {"type": "str", "choices": ["inside", "outside"], "default": "inside"},
    "host": {"type": "str"},
    "url_scheme": {"type": "str", "default": "postgresql"},
    "url_parameters": {"type": "dict", "default": {}},
    "reveal": {"type": "bool", "default": False},
    "image": {"type": "str", "default": "postgres:17"},
    "port": {"type": "str"},
    "volume": {"type": "str"},
    "shm_size": {"type": "str", "default": "256mb"},
    "wait_timeout": COMPOSE_ENV["wait_timeout"],
    "confirm": {"type": "str"},
    "backup": {"type": "bool", "default": True},
    "backup_dir": {"type": "path"},
}

POSTGRES_MIGRATE: Spec = {
    **POSTGRES,
    **INCOMING,
    "directory": {"type": "path", "default": "migrations"},
    "state": {"type": "str", "choices": ["up", "down"], "default": "up"},
    "steps": {"type": "int"},
    "to": {"type": "str"},
    "role": {"type": "str"},
    "out_of_order": {"type": "str", "choices": ["refuse", "allow"], "default": "refuse"},
    "modified": {"type": "str", "choices": ["fail", "warn", "accept"], "default": "fail"},
    "lock_timeout": {"type": "int", "default": 60},
    "statement_timeout": {"type": "int", "default": 0},
    "confirm": {"type": "str"},
}

POSTGRES_BACKUP: Spec = {
    **POSTGRES,
    "state": {"type": "str", "choices": ["present", "verified", "scheduled", "unscheduled"], "default": "present"},
    "schedule": {"type": "str"},
    "schedule_verify": {"type": "bool", "default": False},
    "backup_dir": {"type": "path"},
    "backup": {"type": "str", "default": "latest"},
    "assertions": {"type": "list", "elements": "str", "default": []},
    "keep_last": {"type": "int", "default": 7},
    "keep_daily": {"type": "int", "default": 7},
    "keep_weekly": {"type": "int", "default": 4},
    "keep_monthly": {"type": "int", "default": 6},
    "timeout": {"type": "int", "default": 21600},
    "time_limit": {"type": "int", "default": 28800},
    "fetch": {"type": "bool", "default": False},
    "fetch_dir": {"type": "path"},
    "fetch_limit": {"type": "bytes", "default": "100G"},
}

POSTGRES_RESTORE: Spec = {
    **POSTGRES,
    "state": {"type": "str", "choices": ["restored", "swapped_back"], "default": "restored"},
    "backup_dir": POSTGRES_BACKUP["backup_dir"],
    "backup": POSTGRES_BACKUP["backup"],
    "from_environment": {"type": "str"},
    "from_database": {"type": "str"},
    "masking": {"type": "list", "elements": "path", "default": []},
    "assertions": POSTGRES_BACKUP["assertions"],
    "replace": {"type": "bool", "default": False},
    "confirm": {"type": "str"},
    "keep_old": {"type": "str", "default": "24h"},
    "timeout": POSTGRES_BACKUP["timeout"],
}

COMPOSE_ENV_FILE: Spec = {
    **INCOMING,
    "project_dir": ENVIRONMENT["project_dir"],
    "environment": ENVIRONMENT["environment"],
    "state_dir": ENVIRONMENT["state_dir"],
    "path": {"type": "path"},
    "variables": {"type": "dict", "no_log": True},
    "secrets": {"type": "dict", "no_log": True},
    "secrets_folder": {"type": "path", "default": "secrets", "no_log": False},
    "secrets_in_memory": {"type": "bool", "default": False, "no_log": False},
    "secrets_state": {"type": "str", "choices": ["present", "absent"], "default": "present", "no_log": False},
    "secrets_mode": {"type": "str", "default": "0400", "no_log": False},
    "secrets_owner": {"type": "str", "no_log": False},
    "example": {"type": "path"},
    "check_example": {"type": "bool", "default": True},
    "owner": {"type": "str"},
    "group": {"type": "str"},
}

COMPOSE_FILES: Spec = {
    "project_dir": ENVIRONMENT["project_dir"],
    "src": {"type": "path", "required": True},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "delete": {"type": "bool", "default": True},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "state_dir": ENVIRONMENT["state_dir"],
    "manifest": {"type": "dict"},
    "archive": {"type": "path"},
}
