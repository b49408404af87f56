"""Which steps an init phase has and what they depend on: profiles, other commands of services, several files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.conftest import Environment, service
from tests.integration.test_compose_init import (
    init,
    named,
    one_offs,
    outcomes,
    project,
    runs,
    state_of,
    step,
    succeed,
    write,
)

__all__ = ["project"]

OPTIONAL = {"depends_on": {"postgres": {"condition": "service_started", "required": False}}}
REQUIRED = {"depends_on": {"postgres": {"condition": "service_started"}}}


@pytest.mark.parametrize(
    ("depends", "options", "servers"),
    [
        (OPTIONAL, {}, set()),
        (OPTIONAL, {"profiles": ["local"]}, {"postgres"}),
        (OPTIONAL, {"steps": ["migrate"]}, set()),
        (REQUIRED, {"profiles": ["local"]}, {"postgres"}),
    ],
)
def test_dependency_of_a_step_obeys_profiles(
    project: Environment, depends: dict[str, Any], options: dict[str, Any], servers: set[str]
) -> None:
    write(project, {"migrate": step(**depends)}, postgres=service(profiles=["local"]))
    succeed(project, stable_for=1, **options)
    assert set(project.ids()) == servers
    assert runs(project) == ["migrate"]
    profiles = options.get("profiles")
    assert project.deploy(profiles=profiles).actions == {("web", "create")}
    assert set(project.ids()) == servers | {"web"}
    assert not succeed(project, stable_for=1, **options).changed


def test_required_dependency_whose_profile_is_off_is_a_problem_before_anything_starts(project: Environment) -> None:
    write(project, {"seed": step(), "migrate": step(**REQUIRED)}, postgres=service(profiles=["local"]))
    for modes in ((), ("--check",)):
        outcome = init(project, *modes)
        assert outcome.failed
        assert "init step migrate depends on service postgres, whose profile local is off" in outcome.message
        assert "compose_env_profiles" in outcome.message
    assert project.ids() == {}
    assert runs(project) == []
    assert outcomes(succeed(project, profiles=["local"], stable_for=1))["migrate"] == "succeeded"


def test_profile_that_is_switched_on_makes_the_step_due_for_its_database(project: Environment) -> None:
    layers = {"web": service(), "postgres": service(profiles=["local"], volumes=["data:/data"])}
    layers.update(named({"migrate": step(**OPTIONAL)}))
    project.write("compose.yml", {"services": layers, "volumes": {"data": None}})
    succeed(project)
    succeed(project, profiles=["local"], stable_for=1)
    assert runs(project) == ["migrate", "migrate"]
    assert not succeed(project).changed, "the managed database has been migrated before"


def test_service_that_does_not_resolve_and_is_off_is_no_matter_of_the_phase(project: Environment) -> None:
    write(project, {"migrate": step(**OPTIONAL)}, postgres=service(profiles=["local"], env_file=["missing.env"]))
    succeed(project)
    assert runs(project) == ["migrate"]
    assert init(project, profiles=["local"]).failed


def server(**keys: Any) -> dict[str, Any]:
    """A service as applications have them, of which a second container would clash with the first."""
    return service(
        **{
            "container_name": keys.pop("named"),
            "ports": ["127.0.0.1:0:80"],
            "labels": {"traefik.enable": "true"},
            "healthcheck": {"test": ["CMD", "false"], "interval": "1s", "retries": 1, "start_period": "600s"},
            "entrypoint": ["/bin/sh", "/entry.sh"],
            "volumes": ["./entry.sh:/entry.sh:ro", "./runs:/runs"],
            "tty": True,
            "stdin_open": True,
            "restart": "always",
            **keys,
        }
    )


def write_application(project: Environment, **keys: Any) -> None:
    project.write("entry.sh", 'echo "entry: $*" >> /runs/log; exec "$@"\n')
    web = server(named=f"{project.project}-www", command=["sleep", "3600"], **keys)
    project.write("compose.yml", {"services": {"web": web}, "networks": {"default": None}})


def log(project: Environment) -> list[str]:
    return (project.folder / "runs" / "log").read_text().splitlines()


def test_service_migrates_with_another_command_while_it_runs(project: Environment) -> None:
    block = f"10.{100 + int(project.folder.name[1:3], 16) % 100}.{int(project.folder.name[3:5], 16)}"
    write_application(project, networks={"default": {"ipv4_address": f"{block}.9"}})
    project.write("compose.dev.yml", {"networks": {"default": {"ipam": {"config": [{"subnet": f"{block}.0/24"}]}}}})
    project.deploy(wait=False)
    before = project.ids()
    steps = [
        {
            "name": "migrate",
            "service": "web",
            "command": ["sh", "-c", "read answer; echo did $0 >> /runs/log", "manage.py"],
        },
        {"service": "web", "command": "sh -c 'echo \"second $HOME\" >> /runs/log'"},
    ]
    first = succeed(project, steps=steps, timeout=30)
    assert outcomes(first) == {"migrate": "succeeded", "web": "succeeded"}
    assert first.actions == {("migrate", "init"), ("web", "init")}
    done = [line for line in log(project) if not line.startswith("entry: sleep")]
    assert done[1] == "did manage.py"
    assert done[2].startswith("entry: sh -c")
    assert done[3] == "second /root"
    assert project.ids() == before
    assert not succeed(project, steps=steps).changed
    steps[1]["command"] = "true"
    assert outcomes(succeed(project, steps=steps)) == {"migrate": "done before", "web": "succeeded"}


def test_container_of_another_command_serves_nothing(project: Environment) -> None:
    write_application(project)
    project.deploy(wait=False)
    steps = [{"name": "migrate", "service": "web", "command": ["false"]}]
    outcome = init(project, steps=steps)
    assert "✘ migrate (exit 1, " in outcome.message
    (kept,) = one_offs(project)
    assert kept.name == f"{project.project}-migrate-init"
    assert "traefik.enable" not in kept.labels
    assert not kept.attrs["HostConfig"]["PortBindings"]
    assert "web" not in (kept.attrs["NetworkSettings"]["Networks"][f"{project.project}_default"]["Aliases"] or [])
    assert not kept.attrs["Config"]["OpenStdin"]


def test_deployment_needs_the_proof_of_other_commands_too(project: Environment) -> None:
    write_application(project, healthcheck={"test": ["CMD", "true"], "interval": "1s"})
    steps = [{"name": "migrate", "service": "web", "command": ["true"]}]
    succeed(project, steps=steps)
    assert project.ids() == {}, "what is no dependency is not started"
    project.deploy()
    write_application(project, healthcheck={"test": ["CMD", "true"], "interval": "1s"}, environment={"V": "2"})
    refused = project.run()
    assert refused.result["error_kind"] == "init_missing"
    assert "init step migrate" in refused.message
    succeed(project, steps=steps)
    assert project.deploy().actions == {("web", "recreate")}


def test_word_of_another_host_holds_for_other_commands(project: Environment) -> None:
    write_application(project)
    steps = [{"name": "migrate", "service": "web", "command": ["true"]}]
    proof = succeed(project, steps=steps).result["proof"]
    other = project.on_another_host()
    assert succeed(other, proven=proof, steps=steps).actions == {("migrate", "prove")}
    steps[0]["command"] = ["echo"]
    assert "ran on" in init(other, proven=proof, steps=steps).message


def test_step_that_is_nothing_is_refused(project: Environment) -> None:
    write_application(project)
    for wrong, message in ((["web", {"command": "a"}], "names no service"), ([5], "neither the name of a service")):
        assert message in init(project, steps=wrong).message
    assert project.ids() == {}


def test_steps_of_several_files_and_a_ledger_of_the_version_before(project: Environment) -> None:
    """A project of another shape: two databases, and what migrates them in files of their own."""
    others = {f"worker-{number}": service() for number in range(8)}
    databases = {"orders": service(volumes=["orders:/data"]), "events": service(volumes=["events:/data"])}
    project.write(
        "compose.yml",
        {"services": {"web": service(), **databases, **others}, "volumes": {"orders": None, "events": None}},
    )
    for name in databases:
        own = {key: value for key, value in step().items() if key != "profiles"}
        needs = {"depends_on": {name: {"condition": "service_started"}}}
        project.write(f"deploy/init-{name}.yml", {"services": named({f"migrate-{name}": {**own, **needs}})})
    files = ["deploy/init-orders.yml", "deploy/init-events.yml"]
    succeed(project, file=files[0], stable_for=1)
    assert set(project.ids()) == {"orders"}
    ledger = json.loads((state_of(project) / "init.json").read_text())
    assert ledger["selection"] == {"profile": "init", "steps": None, "file": files[0]}
    succeed(project, file=files, stable_for=1)
    assert runs(project) == ["migrate-orders", "migrate-events"]
    assert set(project.ids()) == {"orders", "events"}
    before = project.ids()
    project.deploy()
    assert {name: project.ids()[name] for name in before} == before
    assert len(project.ids()) == 11
    missing = init(project, file=[*files, "deploy/no.yml"])
    assert "deploy/no.yml" in missing.message
    assert "Nothing was run" in missing.message


def test_done_step_is_no_server_of_one_that_is_due(project: Environment) -> None:
    after = {"depends_on": {"create": {"condition": "service_completed_successfully"}}}
    write(project, {"create": step(), "migrate": step(**after)})
    succeed(project)
    write(project, {"create": step(), "migrate": step(**after, environment={"V": "2"})})
    succeed(project)
    assert runs(project) == ["create", "migrate", "migrate"]
    assert project.ids() == {}


def test_server_that_is_created_leaves_one_that_runs_with_a_pending_change_alone(project: Environment) -> None:
    write(project, {}, database=service())
    project.deploy()
    before = project.ids()
    cache = service(depends_on=["database"])
    migrate = step(depends_on=["cache"])
    write(project, {"migrate": migrate}, database=service(environment={"V": "2"}), cache=cache)
    succeed(project, stable_for=1)
    assert {name: project.ids()[name] for name in before} == before
    assert project.deploy().actions == {("database", "recreate")}


def test_steps_come_from_inventory_variables(project: Environment) -> None:
    write_application(project)
    variables = {
        "compose_init_steps": [{"name": "migrate", "service": "web", "command": ["true"]}],
        "compose_env_profiles": [],
    }
    outcome = project.adhoc("compose_init", "-e", json.dumps(variables))
    assert outcome.actions == {("migrate", "init")}, outcome.printed
