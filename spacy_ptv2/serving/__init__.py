"""Many tasks over one backbone in one process, for services: `AdapterBank`.

In: texts, each with the name of its task. Out: Docs, annotated by that task's pipeline, whatever the tasks computed in
common passes of the backbone. docs/guides/serving.md tells how to use it, examples/serve is a service over it.
"""

from .bank import AdapterBank
from .info import BankInfo, TaskInfo

__all__ = ["AdapterBank", "BankInfo", "TaskInfo"]
