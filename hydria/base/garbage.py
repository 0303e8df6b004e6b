"""What Python's garbage collector has to look at in a service that runs for long."""

import gc


def spare_what_stays() -> None:
    """Called once, when all is made. Each long list would else have every module and class looked at again."""
    gc.collect()
    gc.freeze()
