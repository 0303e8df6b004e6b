"""`python -m hydria.agent.boot`: what systemd starts in a virtual machine: the config drive's reader, then the agent.

One process for both: a second start of Python and its imports are 1.3 s of the boot where there is no KVM
(docs/design/0041-boot-of-an-amphora.md).
"""

import sys

from hydria.agent import __main__ as agent
from hydria.agent import config_drive


def main() -> int:
    """A drive that cannot be used was told of on the console; what an earlier boot has left may serve."""
    config_drive.main()
    return agent.main(())


if __name__ == "__main__":
    sys.exit(main())
