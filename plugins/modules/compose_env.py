#!/usr/bin/python
# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_env
short_description: Bring a layered Docker Compose environment to a state
version_added: 0.1.0
description:
  - Deploys, stops, starts, restarts, removes, builds or pulls one environment of a Compose project. The environment
    is a base layer, a layer of its own and an env file.
  - It plans first by comparing the resolved layers, the content of every file that they mount, and the images with
    what the engine runs; check mode ends there. It then changes exactly the services that differ.
  - What would fail in the middle is told before anything is changed. Of a missing mount source, its name decides
    nothing. It is an error where the last release had a file there, or where the mount has no C(create_host_path);
    else the engine makes a folder, with a warning where a file may be meant.
  - A one-shot service that has exited with code 0 is done. It is run again only when its definition, its files or its
    image changed since the release that serves. What was recorded tells, so it may be pruned. Going back never runs one
    again that had completed in that release. To run one again, name it in O(services) with O(recreate=always), or
    remove it first with O(state=absent) and O(services).
author:
  - The strata.compose authors (@strata-collections)
extends_documentation_fragment:
  - strata.compose._attributes
  - strata.compose._incoming
  - strata.compose._project
  - strata.compose._external
  - strata.compose._layers
  - strata.compose._resolution
  - strata.compose._data_paths
  - strata.compose._operation
attributes:
  check_mode:
    description: Tells the plan without a writing call to the engine and without a write to the host.
    support: full
  diff_mode:
    description:
      - Shows the changed fields of the resolved configuration for each service, secrets as the beginning of a digest.
    support: full
options:
  state:
    description:
      - V(present) creates, recreates and starts what differs from the layers, then waits until it is up for good.
      - V(absent) removes containers and networks. It needs the engine's labels only, so it works when O(project_dir)
        is gone. What a container of another project uses is kept, with a warning. The history stays, but a deployment
        that fails afterwards goes back to no release before it.
      - V(started) starts existing containers as they are, with those of what O(services) depend on. V(stopped) stops
        them and keeps them.
      - V(restarted) applies pending changes as V(present) does, and restarts the services that were not started by
        that.
      - V(built) builds the images of services that have a C(build) section. V(pulled) pulls the others, but
        not those whose C(pull_policy) is C(never) or C(build). Neither touches containers.
      - V(rolled_back) brings back the release that the current one replaced, or O(release). It needs no registry. A
        release keeps no files that its services mount, so its containers get those that are there now. Put the old
        ones back first where they matter.
      - When an environment is degraded (RV(state)), nothing goes back on its own any more. V(present) and V(restarted)
        go forward to what the layers say, and their own gate decides. V(rolled_back) tries the last good release once
        more, or goes to O(release). V(started) starts what is there and judges that. V(stopped) and V(absent) need no
        release that works, also after a deployment that was cut off.
    type: str
    choices: [present, absent, started, stopped, restarted, built, pulled, rolled_back]
    default: present
  build:
    description:
      - V(missing) builds an image that is not on the host, or whose C(build) section changed since the last release.
      - V(always) builds on every run, so that changed sources are seen; the containers change only if the image does.
        No plan can tell that before, so check mode shows the build and what may follow with C(certain=false).
      - V(never) fails when an image would have to be built.
    type: str
    choices: [missing, always, never]
    default: missing
  no_cache:
    description:
      - Builds every step of an image anew. Set it with O(build=always) or O(state=built) when a step fetches something
        that has changed since, such as packages. It asks for no build by itself.
    type: bool
    default: false
  pull:
    description:
      - V(missing) pulls an image that is not on the host. V(always) asks the registry on every run, for tags that move.
        V(never) fails when an image is not on the host.
      - With V(missing), C(pull_policy) of a service decides for it. C(never) fails when the image is not on the host,
        before anything is changed. C(always) asks the registry on every run. C(daily), C(weekly) and C(every_<n>)
        ask it when the image got its tag on this host that long ago. An engine may not count a pull that found nothing
        new, and the registry is then asked on every run until there is. C(build) builds on every run. V(always) and
        V(never) win over C(pull_policy).
      - What a service with a C(build) section has is built and never pulled.
      - Before anything is pulled, twice the compressed size of the layers that are not on the host is compared with
        what is free on the engine's disk. Too little is an error with both figures. It is checked where all of it can
        be learnt. That takes an engine on the same host that keeps images itself, the plugin Buildx, and a registry
        with TLS or on a loopback address.
    type: str
    choices: [missing, always, never]
    default: missing
  recreate:
    description:
      - V(auto) recreates the services that changed, V(always) all of them, V(never) none. The last leaves a change
        pending. A container whose removal was cut off, which the engine never starts again, is replaced with each.
    type: str
    choices: [auto, always, never]
    default: auto
  remove_orphans:
    description:
      - Remove containers of services that are no longer in the layers or whose profile is off. Only when O(services)
        is not set.
    type: bool
    default: true
  scale:
    description:
      - Number of containers by service, over what the layers say. Services that are not named get the number of the
        layers. It holds for this run, so give it each time, as by C(compose_env_scale), or write C(deploy.replicas)
        into a layer.
    type: dict
  timeout:
    description:
      - Seconds that a container gets to stop before it is killed. By default its own C(stop_grace_period).
    type: int
  wait:
    description:
      - Wait until the services pass the gate. They pass when they are healthy or, without a health check, have run for
        O(stable_for) seconds without a restart. Set it to V(false) to return when they are started.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds that all services together have to pass the gate. Choose more than the slowest takes to get healthy, for
        a release that has not passed by then is taken back.
    type: int
    default: 120
  stable_for:
    description:
      - Seconds that a service without a health check must run without a restart. Choose more than a broken one takes
        to die.
      - A service that ran on in the last release and exits with code 0 before the gate ends has failed, unless another
        service awaits its completion. In its first release, one without a restart policy of V(always) or
        V(unless-stopped), ports and health check counts as a one-shot service when it exits with code 0.
      - A service that dies or becomes unhealthy after it passed fails the deployment as long as the gate still waits
        for another service. Once all have passed, the gate ends, and nothing that happens later is seen by it.
      - A service with a health check passes when two checks in a row have succeeded, of which the second is run at once
        if the engine has not run it when all others have passed. A check that then fails is watched for two more of the
        engine's checks, at most 20 seconds. A second failure after a success is health flapping and fails the
        deployment, whatever C(retries) allows. One that fails only minutes later cannot be caught.
    type: int
    default: 10
  gate_url:
    description:
      - What the application itself has to answer before a release counts as good. Use it for what no health check sees,
        such as the way through the proxy. It is asked last, when all services have passed, in the rest of
        O(wait_timeout), and at least once. An answer that does not pass is a failure like any other of the gate, and
        the last good release comes back.
      - A URL, or a mapping with C(url) and what is to differ from the defaults, or a list of both, asked in turn.
      - C(status) is the status that passes, or a list. By default any from 200 to 399 does.
      - C(timeout) are the seconds of one try, by default 10. C(retries) is how often it is tried again, a second apart,
        by default 10.
      - C(headers) is a mapping of headers to send.
      - C(service) names a service in whose container it is asked, with the C(curl) that it has, or with C(wget) where
        no secret is sent. By default the managed host asks. It is left out, with a warning, when that service stands
        still and is not to be started.
      - Redirects are followed as long as scheme, host and port stay the same. One that leads elsewhere is the answer,
        and so is one whose status is asked for by C(status). No proxy is used. C(wget) follows all redirects, but what
        another server says does not count.
      - The values of headers and the user and password of a URL are secrets. No result, diff, message or argument of a
        process shows them. What C(Host), C(User-Agent), C(Content-Type), C(Cache-Control) and the C(Accept) headers say
        is no secret, so it is not looked for in other texts.
      - It is stored with the release and asked wherever that release is to serve. Going back, V(rolled_back) and
        recovery after a kill ask what the release that comes back was asked. When the option is not set, the gate of
        the last release stays. V([]) drops it. If nothing else is to be done, a changed gate is tried and recorded, and
        one that fails is not.
      - V(started), V(stopped) and V(rolled_back) do not heed the option itself. With O(services), V(started) asks from
        the host only if no other service stands still. Check mode never asks, nor does O(wait=false).
    type: raw
  gate_command:
    description:
      - As O(gate_url), with a command that has to end well. Use it for what no URL tells, such as a smoke test, or
        where O(gate_url) is too plain, such as with a certificate of one's own.
      - A text, which is split into words; a list of words, which is always B(one) command; a mapping with C(argv) and
        what is to differ from the defaults; or a list of such mappings, run in turn.
      - C(rc) is the exit code that passes, or a list, by default 0. C(timeout) are the seconds of one try, by default
        30, after which the command and all that it started are killed. C(retries) is how often it is tried again, a
        second apart, by default 0.
      - It is run without a shell, by the managed host as the user of the task, in C(/), or in a container of
        C(service). What it prints is shown when it fails. Its words are seen in lists of processes, so no secret is to
        be among them.
    type: raw
  volumes:
    description:
      - With O(state=absent), remove the project's volumes too. Their data is lost, so O(confirm) is needed.
    type: bool
    default: false
  images:
    description:
      - With O(state=absent), which images to remove too. V(none) keeps them all, so that the next deployment need not
        get them again. V(local) removes those that Compose named itself for want of an C(image) key, V(all) also those
        with one.
    type: str
    choices: [none, local, all]
    default: none
  confirm:
    description:
      - The name of the environment whose data may be lost. Needed for O(volumes).
    type: str
  release:
    description:
      - With O(state=rolled_back), the number of the release to go back to. By default the one that the current release
        replaced; one that a roll back has left, or that failed, is only gone to when its number is given. In a degraded
        environment it is the current release, which is tried once more.
    type: int
  keep_releases:
    description:
      - Number of releases to go back to that stay on the host with their images, the current one counted. Older ones
        are removed, with what only they need. As many failed ones stay in the history besides.
    type: int
    default: 5
  require_init:
    description:
      - Refuse to change services while the init phase of the environment has not succeeded for what is about to be
        deployed. It concerns environments in which M(strata.compose.compose_init) has run once, so that a release never
        serves without its migrations. A roll back is never refused.
      - Steps that live on a service which keeps its data in memory (C(tmpfs)) run once more within each operation that
        starts that service, before what needs it is started and judged. They are among the RV(actions), as V(init), in
        check mode too. With V(false) they do not run.
    type: bool
    default: true
  revision:
    description:
      - Source revision that is deployed, such as a Git commit. It is told with the release, so that a number in the
        history can be traced to a source.
    type: str
seealso:
  - module: strata.compose.compose_env_info
  - module: strata.compose.compose_exec
  - module: strata.compose.compose_init
"""

EXAMPLES = r"""
- name: Deploy the environment that the inventory names for this host
  strata.compose.compose_env:
    project_dir: /opt/shop
    environment: prod

- name: Apply pending changes and restart the rest of the application
  strata.compose.compose_env:
    project_dir: /opt/shop
    environment: prod
    state: restarted
    services: [api, app]

- name: Deploy, and go back unless the application answers through the proxy and passes its smoke test
  strata.compose.compose_env:
    project_dir: /opt/shop
    environment: prod
    gate_url:
      - http://localhost:8080/health
      - url: http://localhost:8080/orders
        status: [200, 204]
        timeout: 5
        headers:
          X-Probe: deployment
    gate_command:
      argv: [python, -m, shop.smoke]
      service: api

- name: Run three containers of the API
  strata.compose.compose_env:
    project_dir: /opt/shop
    environment: prod
    scale:
      api: 3

- name: Remove the test environment with its data
  strata.compose.compose_env:
    project_dir: /opt/shop
    environment: test
    state: absent
    volumes: true
    confirm: test
"""

RETURN = r"""
sources:
  description:
    - What was taken and why, as C(project_name), C(layers), C(env_files), C(profiles) and C(base_directory), each with
      C(path) or C(name) and C(why); the C(variables) of the option, secrets as the beginning of their digest; and in
      C(left_out) what was near and not taken, such as C(compose.override.yml) or the top-level C(name) of a layer.
    - For a roll back it is that of the release that it goes to.
  returned: when layers are resolved, and roll backs
  type: dict
undefined_places:
  description: The places where each of them is used, by its name.
  returned: failure because of undefined variables
  type: dict
project:
  description: Compose's project name.
  returned: success, and failure of the switch
  type: str
  sample: shop-prod
environment:
  description: The environment.
  returned: success, and failure of the switch
  type: str
  sample: prod
release:
  description: Number of the release that the host runs, V(none) before the first and after O(state=absent).
  returned: success
  type: int
  sample: 7
actions:
  description:
    - What changed, found by comparing the engine before and after; in check mode, what the plan says.
    - On failure, what is not as it was before. That includes containers that were replaced or restarted and serve
      again, and networks, volumes and images that stay. C(changed) is V(true) where there is any.
  returned: success, and failure after the preflight
  type: list
  elements: dict
  contains:
    service:
      description: The service, or V(gate) where O(gate_url) or O(gate_command) ask something else than before.
      type: str
    action:
      description: One of build, pull, create, recreate, start, restart, unpause, connect, stop, remove, init, change.
      type: str
    reason:
      description: Why.
      type: str
    certain:
      description:
        - V(false) in check mode where only the run itself shows whether it happens, for O(build=always), O(pull=always)
          or C(pull_policy) get an image again that may turn out to be the one that is here. The actions on containers
          that would follow are in the plan too. Absent from all others.
        - A plan of nothing else is not C(changed), and says so in a warning.
      type: bool
  sample:
    - service: api
      action: recreate
      reason: environment.LOG_LEVEL changed
services:
  description: The services as they are now.
  returned: success, and failure of the switch
  type: list
  elements: dict
  contains:
    service:
      description: The service.
      type: str
    state:
      description: State of its containers; of several, the worst.
      type: str
    health:
      description: Health of its containers, empty without a health check.
      type: str
    image:
      description: Name of its image.
      type: str
    ports:
      description: Its published ports.
      type: list
      elements: str
    containers:
      description: Each container with id, name, state, health, exit code, restarts and image id.
      type: list
      elements: dict
failed_services:
  description:
    - The containers that did not pass the gate, each with C(service), C(container), C(cause), C(state), C(health),
      C(exit_code), C(health_output), and the last lines that it wrote as C(log).
  returned: failure of the gate
  type: list
  elements: dict
failed_gate:
  description:
    - What the application answered that did not pass, with C(option), C(asked), C(got), C(expected), C(tries), the
      beginning of an answer or the end of what a command printed as C(output), and the last lines of the service in
      which it was asked as C(log).
  returned: failure of O(gate_url) or O(gate_command)
  type: dict
state:
  description:
    - What a switch that failed has left. With V(rolled_back) the last good release serves again. With V(failed) there
      was none to go back to, and the containers are kept for a look at them. With V(degraded) going back failed too;
      nothing goes back on its own any more, and the message has the ways out. With V(unrecorded) the new release passed
      the gate and serves, but could not be written down, which the next operation does.
  returned: failure of the switch
  type: str
  sample: rolled_back
rolled_back_to:
  description: Number of the release that serves again.
  returned: failure of the switch, with RV(state) V(rolled_back)
  type: int
  sample: 6
failed_services_of_roll_back:
  description: The containers that did not pass the gate on the way back, as RV(failed_services).
  returned: failure of the switch, with RV(state) V(degraded)
  type: list
  elements: dict
settled:
  description:
    - What an operation before this one had left half done when it was cut off, and how that was brought to an end
      before this one began.
  returned: when there was something to settle, and the module did not fail
  type: str
  sample: >-
    The switch to release 7 that alice began at 2026-11-21T08:00:04Z was cut off; release 6 serves again.
problems:
  description: All that stands in the way, such as missing files and images, taken host ports or too little disk space.
  returned: failure of the checks before the first change
  type: list
  elements: str
undefined:
  description: Names of the variables that the layers use and nothing defines. The message has file and line of each.
  returned: failure, when there are some
  type: list
  elements: str
inputs:
  description:
    - What the plan was made from, by name, each with a digest that only this host can make. So values can be compared
      and not be guessed.
  returned: success, in check mode and with O(state=present) and its like
  type: dict
  sample:
    service web: 6c1ff09d7d9e3ad7f85cb9e2ae7b12a5a2a2f1b1d1b9c0e4f4a5b6c7d8e9fa0b
error_kind:
  description:
    - V(locked) when another operation is at work on the project, V(cancelled) after SIGTERM or SIGINT, V(timeout) when
      a call of the Docker CLI took longer than O(command_timeout), or the engine did not answer a question in time.
    - V(init_missing) when the init phase has not succeeded for what is about to be deployed, see O(require_init).
  returned: failure of one of these kinds
  type: str
  sample: locked
lock:
  description: Who is at work on the project, with C(operation), C(actor), C(started) and C(pid).
  returned: failure, when O(lock_wait) is over
  type: dict
rc:
  description: Exit code of a command of the Docker CLI that failed.
  returned: failure of such a command
  type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.strata.compose.plugins.module_utils._errors import options_of
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_ENV
from ansible_collections.strata.compose.plugins.module_utils._unchanged import exit_if_unchanged


def main() -> None:
    module = AnsibleModule(argument_spec=COMPOSE_ENV, supports_check_mode=True)
    options = options_of(module)
    exit_if_unchanged(module, options)
    _perform(module, options)


def _perform(module: AnsibleModule, options: dict[str, t.Any]) -> None:
    # Imported here, for a run that changes nothing has ended by now, and half of its time would be this.
    from ansible_collections.strata.compose.plugins.module_utils._errors import told_as_module_result
    from ansible_collections.strata.compose.plugins.module_utils._operations import run
    from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
    from ansible_collections.strata.compose.plugins.module_utils._states import performer
    from ansible_collections.strata.compose.plugins.module_utils._unchanged import keeping

    redactor = Redactor()
    with told_as_module_result(module, redactor, keep=keeping(options, module._diff)) as tell:
        tell(run(options, redactor, module.check_mode, module._diff, performer(options["state"])))


if __name__ == "__main__":
    main()
