# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken for an environment, and that the result says so."""

from __future__ import annotations

import subprocess

import pytest

from .conftest import IMAGE, Environment

SLEEP = {"image": IMAGE, "init": True, "command": "sleep 1d"}


def web(**definition: object) -> dict[str, object]:
    return {"services": {"web": {**SLEEP, **definition}}}


def environment_of(environment: Environment) -> list[str]:
    """What the engine says that the container's process got."""
    found: list[str] = environment.container("web").attrs["Config"]["Env"]
    return found


def test_folder_of_the_layers_has_the_env_file_and_the_result_says_what_was_taken(environment: Environment) -> None:
    environment.write("docker/docker-compose.yml", {"name": "elsewhere", **web(environment={"A": "${A}"})})
    environment.write("docker/docker-compose.override.yml", web(environment={"B": "1"}))
    environment.write("docker/.env", "A=found\nCOMPOSE_PROFILES=of-nobody\n")
    outcome = environment.deploy()
    assert "A=found" in environment_of(environment)
    assert "B=1" not in environment_of(environment)
    sources, folder = outcome.result["sources"], f"{environment.folder}/docker"
    assert [each["path"] for each in sources["layers"]] == [f"{folder}/docker-compose.yml"]
    assert [each["path"] for each in sources["env_files"]] == [f"{folder}/.env"]
    left_out = {each.get("path") or each["name"] for each in sources["left_out"]}
    assert left_out == {f"{folder}/docker-compose.override.yml", "elsewhere", "of-nobody"}
    assert any("project_name to elsewhere" in str(each) for each in outcome.result["warnings"])

    again = environment.deploy(include_override=True)
    assert again.actions == {("web", "recreate")}
    assert "B=1" in environment_of(environment)
    assert "warnings" not in again.result


def test_misspelt_environment_is_refused_and_a_preview_uses_the_files_of_another(environment: Environment) -> None:
    environment.write("compose.yml", web(environment={"A": "${A}"}))
    environment.write("compose.test.yml", web(environment={"B": "test"}))
    environment.write(".env.test", "A=lent\nCOMPOSE_PROJECT_NAME=of-test\n")
    environment.name = "pr-17"
    refused = environment.run()
    assert refused.failed
    assert "test (.env.test, compose.test.yml)" in refused.message
    assert "layers_of=test" in refused.message
    assert environment.containers() == []
    environment.deploy(layers_of="test")
    assert {"A=lent", "B=test"} <= set(environment_of(environment))


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("compose_env_info", {"gather": ["config"]}),
        ("compose_exec", {"service": "web", "argv": ["true"]}),
        ("compose_init", {"profile": "init"}),
    ],
)
def test_all_modules_mean_the_same_environment(
    environment: Environment, module: str, options: dict[str, object]
) -> None:
    environment.write("docker/compose.test.yml", web(environment={"A": "${A}", "B": "${B}"}))
    environment.write("docker/compose.override.yml", web(environment={"C": "1"}))
    environment.name = "pr-17"
    environment.variables = {
        "layers_of": "test",
        "base_directory": ".",
        "include_override": True,
        "variables": {"A": "1"},
        "blank_variables": ["B"],
    }
    environment.deploy()
    assert {"A=1", "B=", "C=1"} <= set(environment_of(environment))
    outcome = environment.run(module, **options)
    assert not outcome.failed, outcome.message
    assert outcome.result["project"] == environment.project


@pytest.mark.parametrize("module", ["postgres_env", "postgres_backup", "postgres_restore", "postgres_migrate"])
def test_modules_of_databases_mean_the_same_environment(environment: Environment, module: str) -> None:
    """They find the project by its name, and fail on what is not there: a Postgres."""
    environment.write("compose.test.yml", web())
    environment.write(".env.test", "COMPOSE_PROJECT_NAME=of-test\n")
    environment.name = "pr-17"
    resolves = {
        "base_directory": ".",
        "include_override": True,
        "blank_variables": ["B"],
        "compose_variables": {"A": 1},
    }
    own = resolves if module == "postgres_env" else {}
    outcome = environment.run(module, "--check", layers_of="test", service="db", database="shop", **own)
    assert outcome.failed
    assert "of-test" not in outcome.message


def test_paths_start_at_the_base_directory_and_plain_compose_recreates_nothing(environment: Environment) -> None:
    environment.write("docker/compose.yml", web(volumes=["./content:/content:ro"]))
    environment.write("content/page", "root")
    environment.deploy(base_directory=".")
    assert environment.inside("web", "cat", "/content/page") == "root"
    before = environment.ids()
    folder = environment.folder
    words = ["--project-directory", str(folder), "-p", environment.project, "-f", f"{folder}/docker/compose.yml"]
    subprocess.run(["docker", "compose", *words, "up", "-d"], check=True, capture_output=True)
    assert environment.ids() == before
    refused = environment.run(base_directory="gone")
    assert f"base_directory {folder}/gone is not a folder" in refused.message


def test_variables_win_for_their_run_and_are_part_of_the_release(environment: Environment) -> None:
    environment.write("compose.yml", web(environment={"LEVEL": "${LEVEL}", "KEY": "${API_TOKEN}"}))
    environment.write(".env.dev", "LEVEL=low\nAPI_TOKEN=token-of-file\n")
    given = {"LEVEL": 7, "API_TOKEN": "token-of-run"}
    outcome = environment.deploy(variables=given)
    assert {"LEVEL=7", "KEY=token-of-run"} <= set(environment_of(environment))
    assert "token-of-run" not in outcome.printed
    assert outcome.result["sources"]["variables"]["LEVEL"] == "7"
    assert not environment.deploy(variables=given).changed
    info = environment.run("compose_env_info", gather=["releases", "drift"]).result
    assert info["drift"] == []
    assert info["releases"][0]["sources"]["variables"]["LEVEL"] == "7"
    assert info["sources"]["variables"]["LEVEL"] == "7"
    plan = environment.plan()
    assert plan.actions == {("web", "recreate")}
    environment.deploy()
    assert "LEVEL=low" in environment_of(environment)
    environment.deploy(state="rolled_back")
    assert "LEVEL=7" in environment_of(environment)
    assert "project_name" in environment.run(variables={"COMPOSE_PROJECT_NAME": "other"}).message


def test_env_file_beats_the_session_whatever_the_name(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("LANG", "LC_ALL", "HOME", "USER", "HTTP_PROXY", "PATH", "DOCKER_CONTEXT", "TMPDIR")
    for name in ("LANG", "LC_ALL", "USER", "HTTP_PROXY", "TMPDIR"):
        monkeypatch.setenv(name, "C" if name in ("LANG", "LC_ALL") else "/tmp")
    environment.write("compose.yml", web(environment={f"X_{name}": f"${{{name}}}" for name in (*names, "DATA")}))
    values = {name: f"of-file-{name.lower()}" for name in names}
    environment.write(".env.dev", "".join(f"{name}={value}\n" for name, value in values.items()) + "DATA=${HOME}/x\n")
    environment.deploy()
    found = dict(each.partition("=")[::2] for each in environment_of(environment))
    assert {name: found[f"X_{name}"] for name in names} == values
    assert found["X_DATA"] == "of-file-home/x"
    assert not environment.deploy().changed


def test_profile_of_no_service_is_an_error_only_as_an_option(environment: Environment) -> None:
    environment.write("compose.yml", web())
    environment.write(".env.dev", "COMPOSE_PROFILES=errors-only\n")
    environment.deploy()
    assert "unknown profile: no-such" in environment.run(profiles=["no-such"]).message


def test_all_undefined_variables_have_places_also_when_compose_fails_on_them(environment: Environment) -> None:
    environment.write("compose.yml", web(volumes=["${UPLOAD}:/data"], ports=["${PORT}:80"], image="${IMG}"))
    many = web(environment={f"V{number}": f"${{V{number}}}" for number in range(135)})
    environment.write("compose.dev.yml", many)
    environment.write(".env.dev", "A=pa$word\n")
    outcome = environment.run()
    assert outcome.failed
    assert {"UPLOAD", "PORT", "IMG", "word"} <= set(outcome.result["undefined"])
    assert len(outcome.result["undefined"]) == 139
    assert outcome.result["undefined_places"]["word"] == [f"{environment.folder}/.env.dev:1 in the value of A"]
    assert len(outcome.message) < 3000
    assert "single quotes" in outcome.message

    environment.write("compose.yml", web())
    environment.write(".env.dev", "A='pa$word'\n")
    environment.deploy(blank_variables=["V*"])
    assert "V7=" in environment_of(environment)


def test_warnings_of_compose_reach_the_result_also_when_nothing_changes(environment: Environment) -> None:
    harmless = (
        f'version: "3"\nservices:\n  web: {{image: {IMAGE}, init: true, command: sleep 1d, volumes: ["data:/a"]}}\n'
    )
    environment.write("compose.yml", harmless + "volumes: {data: }\n")
    assert "warnings" not in environment.deploy().result
    outside = environment.engine.volumes.create(f"{environment.project}-outside")
    environment.write("compose.yml", harmless + f"volumes: {{data: {{external: {{name: {outside.name}}}}}}}\n")
    try:
        for _run in range(2):
            assert "external.name" in str(environment.deploy().result["warnings"])
    finally:
        environment.deploy(state="absent")
        outside.remove()


def test_secret_from_a_variable_is_that_of_the_env_file(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "C")
    environment.write("compose.yml", {**web(secrets=["s"]), "secrets": {"s": {"environment": "LANG"}}})
    environment.write(".env.dev", "LANG=of-file\n")
    environment.deploy()
    assert environment.inside("web", "cat", "/run/secrets/s") == "of-file"


def test_variables_of_the_run_are_told_apart_from_those_of_files(environment: Environment) -> None:
    environment.write("compose.yml", web(environment={"A": "${A}", "LANG": "${LANG}"}))
    environment.write(".env.dev", "A=1\nLANG=de\n")
    rows = environment.run("compose_env_info", gather=["variables"], variables={"A": "2"}).result["variables"]
    origins = {row["name"]: (row["value"], row["origin"]) for row in rows}
    assert origins["A"] == ("2", "option variables")
    assert origins["LANG"] == ("de", f"{environment.folder}/.env.dev:2")
