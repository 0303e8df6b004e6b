"""The Options of a build from what was typed and from the variables that users of Octavia's script set. Pure.

What is typed comes first, then the variable, then the default of Options.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hydria.base.errors import Invalid
from hydria.image.options import Format, Options

VARIABLES = {
    "output": "AMP_OUTPUTFILENAME",
    "format": "AMP_IMAGETYPE",
    "size": "AMP_IMAGESIZE",
    "architecture": "AMP_ARCH",
    "base": "AMP_BASEOS",
    "release": "AMP_DIB_RELEASE",
    "nftables": "DIB_OCTAVIA_AMP_USE_NFTABLES",
    "sshd": "AMP_ENABLE_SSHD",
    "root_password": "AMP_ROOTPW",
    "pinning": "AMP_ENABLE_CPUPINNING",
    "work_directory": "AMP_WORKING_DIR",
    "cache_directory": "AMP_CACHEDIR",
    "log_file": "AMP_LOGFILE",
    "trace": "AMP_TRACE",
    "elements": "DIB_LOCAL_ELEMENTS",
    "elements_path": "DIB_LOCAL_ELEMENTS_PATH",
}
"""Field of Options → variable. An empty one counts as not set."""
NO_SSHD = "AMP_DISABLE_SSHD"

_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"0", "false", "no", "off"})


def options(typed: Mapping[str, Any], environment: Mapping[str, str]) -> Options:
    """`typed`: field of Options → value, None where it was not typed. Raises Invalid, naming what is to blame."""
    values: dict[str, Any] = {name: value for name, value in typed.items() if value is not None}
    if "sshd" not in values and environment.get(NO_SSHD) and not environment.get(VARIABLES["sshd"]):
        values["sshd"] = not _switch(NO_SSHD, environment[NO_SSHD])
    for name, variable in VARIABLES.items():
        if name not in values and environment.get(variable):
            values[name] = _value(name, variable, environment[variable])
    found = msgspec.structs.replace(Options(), **values)
    return msgspec.structs.replace(found, output=_output(found, given="output" in values))


def _value(name: str, variable: str, text: str) -> Any:
    default = getattr(Options(), name)
    if name == "elements":
        return tuple(text.split())
    if name == "elements_path":
        return tuple(map(Path, filter(None, text.split(":"))))
    if isinstance(default, bool):
        return _switch(variable, text)
    if isinstance(default, Format):
        if text not in list(Format):
            raise Invalid(f"{variable} is {text!r}: image types are {', '.join(Format)}.", field=name)
        return Format(text)
    if isinstance(default, int):
        if not text.isdecimal():
            raise Invalid(f"{variable} is {text!r}: it must be a whole number.", field=name)
        return int(text)
    return Path(text) if isinstance(default, Path) or name in ("cache_directory", "log_file") else text


def _switch(variable: str, text: str) -> bool:
    if text.lower() in _ON | _OFF:
        return text.lower() in _ON
    raise Invalid(f"{variable} is {text!r}: it must be True or False.", field=variable)


def _output(asked: Options, *, given: bool) -> Path:
    """As diskimage-builder: a name without a type gets it."""
    if not given:
        return asked.output.with_suffix(f".{asked.format}")
    type_ = asked.output.suffix.removeprefix(".")
    if type_ == asked.format:
        return asked.output
    if type_ in list(Format):
        raise Invalid(f"Output {asked.output} is named as a {type_} image, and the type asked for is {asked.format}.")
    return asked.output.with_name(f"{asked.output.name}.{asked.format}")
