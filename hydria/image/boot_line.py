"""How an amphora boots: the root file system's label and the kernel's command line. Each stands here only."""

ROOT_LABEL = "amphora-root"

COMMAND_LINE = f"root=LABEL={ROOT_LABEL} rw console=tty0 console=ttyS0,115200 quiet net.ifnames=0 cryptomgr.notests"
"""cryptomgr.notests: 0.4 s of self-tests, without KVM, of ciphers that nothing here uses (HAProxy has OpenSSL's).
Mitigations of CPU faults stay on: HAProxy's workers must not read the agent's keys.
"""

PINNING = "isolcpus=managed_irq,1-N irqaffinity=0 rcu_nocbs=1-N"
"""All CPUs but the first are left to HAProxy: N is the last one, whatever the flavor (Linux, kernel-parameters.txt).

Without `domain`: isolated from load balancing, HAProxy's threads would all stay on one of them. Without nohz_full: it
makes each system call dearer, and HAProxy makes many.
"""


def command_line(*, pinning: bool) -> str:
    return f"{COMMAND_LINE} {PINNING}" if pinning else COMMAND_LINE
