# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind compose_files: it reads the source and transfers what the host lacks. Private to strata.compose."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.strata.compose.plugins.module_utils._tree import name
from ansible_collections.strata.compose.plugins.module_utils._tree_diff import LARGEST, text_of
from ansible_collections.strata.compose.plugins.plugin_utils._from_variables import FromVariables
from ansible_collections.strata.compose.plugins.plugin_utils._patterns import ALWAYS
from ansible_collections.strata.compose.plugins.plugin_utils._source import File, Source, read_source, write_archive

Result = dict[str, t.Any]


class BringsFiles(FromVariables):
    """One module call with the manifest; when the host lacks contents, one transfer and a second call."""

    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result: Result = ActionBase.run(self, tmp, task_vars)
        variables = task_vars or {}
        arguments = {**self._from_variables(variables), **self._given()}
        self._require(arguments, variables)
        try:
            source = self._read(arguments)
            result.update(_with_diff(self._bring(arguments, source, variables), source))
        except OSError as error:
            raise AnsibleActionFail(f"{error.filename or 'src'} cannot be read: {error.strerror or error}.") from error
        finally:
            self._loader.cleanup_all_tmp_files()
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _read(self, arguments: dict[str, t.Any]) -> Source:
        checked = ArgumentSpecValidator(self.spec).validate(arguments)
        if checked.error_messages:
            raise AnsibleActionFail("; ".join(checked.error_messages))
        given = str(checked.validated_parameters["src"])
        try:
            folder = str(self._find_needle("files", given))
        except AnsibleError as error:
            raise AnsibleActionFail(f"src {given} was not found on the controller: {error}") from error
        if not os.path.isdir(folder):
            raise AnsibleActionFail(f"src {folder} is not a folder on the controller.")
        patterns = (*ALWAYS, *checked.validated_parameters["exclude"])
        return read_source(os.path.normpath(folder), patterns, self._loader.get_real_file)

    def _bring(self, arguments: dict[str, t.Any], source: Source, variables: dict[str, t.Any]) -> Result:
        manifest = {path: each.told() for path, each in source.items()}
        answer = self._answer({**arguments, "manifest": manifest, "archive": None}, variables)
        if "needed" not in answer:
            return answer
        archive = self._transfer(source, answer["needed"])
        return self._answer({**arguments, "manifest": manifest, "archive": archive}, variables)

    def _transfer(self, source: Source, needed: t.Collection[str]) -> str:
        """Put the archive where the module, also as another user, can read it."""
        folder = self._connection._shell.tmpdir or self._make_tmp_path()
        archive = str(self._connection._shell.join_path(folder, "files.tar.gz"))
        local: str = C.DEFAULT_LOCAL_TMP  # type: ignore[attr-defined]
        with tempfile.NamedTemporaryFile(dir=local) as file:
            write_archive(file, source, needed)
            file.flush()
            self._transfer_file(file.name, archive)
        self._fixup_perms2((folder, archive))
        return archive


def _with_diff(answer: Result, source: Source) -> Result:
    """The answer, with the texts that the host told for diff mode held against those of the source."""
    texts = answer.pop("before", None)
    return answer if texts is None else {**answer, "diff": list(_diff(answer["files"], texts, source))}


def _diff(files: dict[str, list[str]], texts: dict[str, str], source: Source) -> t.Iterator[dict[str, str]]:
    """The paths, and of texts that are replaced the lines."""
    yield {"prepared": "".join(f"{kind}: {name(path)}\n" for kind, paths in files.items() for path in paths)}
    for path, before in sorted(texts.items()):
        after = _text(path, source.get(path))
        if after is not None and after != before:
            yield {"before_header": name(path), "after_header": name(path), "before": before, "after": after}


def _text(path: str, file: t.Any) -> str | None:
    if not isinstance(file, File) or os.path.getsize(file.place) > LARGEST:
        return None
    with open(file.place, "rb") as content:
        return text_of(content.read(), path, file.mode)
