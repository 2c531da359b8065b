"""Many tasks over one backbone in one process, for services: `AdapterBank`.

In: texts, each with the name of its task. Out: Docs, annotated as by that task's pipeline alone; tasks share passes of
the backbone. docs/guides/serving.md explains how to use it, and examples/serve is a service built on it.
"""

from .bank import AdapterBank
from .gathering import RequestQueue
from .info import BankInfo, BankStatus, StoreUse, TaskInfo, TaskStatus

__all__ = ["AdapterBank", "BankInfo", "BankStatus", "RequestQueue", "StoreUse", "TaskInfo", "TaskStatus"]
