"""What a handler may ask for in its signature, by the parameter names that app.create_app provides."""

from litestar.di import NamedDependency
from litestar.params import FromPath

from hydria.cloud.context import Context
from hydria.cloud.identity.service import Identity
from hydria.cloud.image.service import Images
from hydria.cloud.key_manager.service import KeyManager
from hydria.cloud.network.service import Network

Caller = NamedDependency[Context]
"""`context`: who calls. Asking for it makes a login necessary."""

IdentityService = NamedDependency[Identity]
ImageService = NamedDependency[Images]
KeyManagerService = NamedDependency[KeyManager]
NetworkService = NamedDependency[Network]
Minor = NamedDependency[int]
"""`version`: N of a microversion, where the service has them."""

PathText = FromPath[str]
