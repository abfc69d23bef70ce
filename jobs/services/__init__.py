"""The use cases: what pages, the API, the command line and timers may ask the house to do.

`build_services` makes all of them of one `Workshop`. Each use case carries out the intent of a
named person, changes state and outbox in one transaction, and says no with every reason.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.services.services import Services, build_services

__all__ = ["Services", "build_services"]


def __getattr__(name: str) -> object:
    # Not imported at once: every worker process imports this package too, and would pay one
    # second of processor for a database it never opens.
    if name not in __all__:
        raise AttributeError(name)
    from jobs.services import services

    return {"Services": services.Services, "build_services": services.build_services}[name]
