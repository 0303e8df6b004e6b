"""The official client without its start: one process that types many commands, as starting it takes TCG ten seconds.

Each command is a run of the client's own shell, with new options, a new login and an exit status.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hydria.base import process

SHELL = """
import contextlib, io, json, sys
from openstackclient import shell
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = shell.main(json.loads(line))
        except SystemExit as ended:
            status = ended.code
    print(json.dumps([status or 0, out.getvalue(), err.getvalue()]), file=sys.__stdout__, flush=True)
"""


class Typist:
    def __init__(self, clouds: Path) -> None:
        self._clouds = clouds
        self._shell: process.Process | None = None

    def openstack(self, cloud: str, arguments: Sequence[str], *, check: bool = True) -> process.Completed:
        status, out, err = self._ask(["--os-cloud", cloud, *arguments])
        if check and status != 0:
            raise process.ProcessFailed(["openstack", *arguments], status, err or out)
        return process.Completed(status, out, err)

    def _ask(self, arguments: Sequence[str]) -> tuple[int, str, str]:
        if self._shell is None:
            argv = [sys.executable, "-c", SHELL]
            environment = {"OS_CLIENT_CONFIG_FILE": str(self._clouds)}
            self._shell = process.start(argv, stdin=process.PIPE, stdout=process.PIPE, environment=environment)
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(json.dumps(arguments).encode() + b"\n")
        self._shell.stdin.flush()
        answer = self._shell.stdout.readline()
        assert answer, f"the client's shell died at {arguments}"
        status, out, err = json.loads(answer)
        return int(status), out, err

    def close(self) -> None:
        if self._shell is not None:
            self._shell.kill()
            self._shell.communicate()
            self._shell = None
