"""How an amphora boots: the root file system's label and the kernel's command line. Each stands here only."""

ROOT_LABEL = "amphora-root"

COMMAND_LINE = (
    f"root=LABEL={ROOT_LABEL} rw console=tty0 console=ttyS0,115200 quiet mitigations=off net.ifnames=0 "
    "random.trust_cpu=on"
)

PINNING = "isolcpus=managed_irq,1-N irqaffinity=0 rcu_nocbs=1-N"
"""All CPUs but the first are left to HAProxy: N is the last one, whatever the flavor (Linux, kernel-parameters.txt).

Without `domain`: isolated from load balancing, HAProxy's threads would all stay on one of them.
"""


def command_line(*, pinning: bool) -> str:
    return f"{COMMAND_LINE} {PINNING}" if pinning else COMMAND_LINE
