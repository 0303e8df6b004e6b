"""What the Compute API's handlers ask for: `context`, `compute`, `version`, `body` and path parameters."""

from litestar.di import NamedDependency
from litestar.params import FromPath, RawBody

from hydria.cloud.compute.service import Compute
from hydria.cloud.context import Context

Caller = NamedDependency[Context]
Service = NamedDependency[Compute]
Minor = NamedDependency[int]
"""N of microversion 2.N."""
Id = FromPath[str]
Body = RawBody
