"""The official client without its start: one process that types many commands, as starting it takes TCG ten seconds.

Each command is a run of the client's own shell, with options and an exit status of its own.
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
    """A process for each user: the client keeps its first login for as long as it runs."""

    def __init__(self, clouds: Path) -> None:
        self._clouds = clouds
        self._shells: dict[str, process.Process] = {}

    def openstack(self, cloud: str, arguments: Sequence[str], *, check: bool = True) -> process.Completed:
        status, out, err = self._ask(cloud, list(arguments))
        if check and status != 0:
            raise process.ProcessFailed(["openstack", *arguments], status, err or out)
        return process.Completed(status, out, err)

    def _ask(self, cloud: str, arguments: Sequence[str]) -> tuple[int, str, str]:
        if cloud not in self._shells:
            environment = {"OS_CLIENT_CONFIG_FILE": str(self._clouds), "OS_CLOUD": cloud}
            argv = [sys.executable, "-c", SHELL]
            self._shells[cloud] = process.start(argv, stdin=process.PIPE, stdout=process.PIPE, environment=environment)
        shell = self._shells[cloud]
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(json.dumps(arguments).encode() + b"\n")
        shell.stdin.flush()
        answer = shell.stdout.readline()
        assert answer, f"the client's shell died at {arguments}"
        status, out, err = json.loads(answer)
        return int(status), out, err

    def close(self) -> None:
        while self._shells:
            _, shell = self._shells.popitem()
            shell.kill()
            shell.communicate()
