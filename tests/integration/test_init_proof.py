"""No deployment without the proof that its init phase succeeded, and the history tells of it."""

from __future__ import annotations

from tests.integration.conftest import Environment, service
from tests.integration.test_compose_init import project, step, succeed, write

__all__ = ["project"]


def test_deployment_is_refused_without_the_proof(project: Environment) -> None:
    write(project, {"migrate": step()})
    succeed(project)
    project.deploy()
    write(project, {"migrate": step(environment={"V": "2"})}, web=service(environment={"V": "2"}))
    before = project.ids()
    for refused in (project.run(), project.plan(), project.run(state="restarted")):
        assert refused.failed
        assert refused.result["error_kind"] == "init_missing"
        assert "init step migrate" in refused.message
    assert project.ids() == before
    succeed(project)
    assert project.deploy().actions == {("web", "recreate")}
    (newest, *_others) = project.run("compose_env_info", gather=["releases"]).result["releases"]
    assert [(each["service"], each["exit_code"]) for each in newest["init"]] == [("migrate", 0)]
    write(project, {"migrate": step(environment={"V": "3"})}, web=service(environment={"V": "3"}))
    assert project.deploy(require_init=False).actions == {("web", "recreate")}
    assert project.deploy(state="rolled_back").changed, "a way back is never refused"
