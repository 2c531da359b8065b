"""Names of tensors that are the same in every process: those of the saved file.

Thinc hands a tensor over under a key that is valid in one process only: (number of the layer or shim, "W"). Here its
name consists of its component, the index of its layer in there and its own name: "ner/3.W" is the tensor "3.W" in the
file `ner/model.safetensors`. Code that knows a component or a pipeline introduces it (`protocol.introduce`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from thinc.api import Model
from thinc.types import FloatsXd

from .tensors import Key

if TYPE_CHECKING:
    from spacy.language import Language

OTHERS = "others"  # instead of the component, for tensors that were not introduced


class Parameter(NamedTuple):
    """A trained tensor: its name, and its array, which training changes in place."""

    name: str
    weights: FloatsXd


Parameters = Mapping[Key, Parameter]


@runtime_checkable
class HasTensors(Protocol):
    """A shim that lists what it trains. id (int): Its number in Thinc."""

    id: int

    def trained_arrays(self) -> Mapping[str, FloatsXd]:
        """Return the trained arrays by the names under which the shim hands them over."""


def parameters_of(component: str, model: object) -> dict[Key, Parameter]:
    """Return the trained tensors of a component that exist so far. model (object): None unless it is a `Model`."""
    found: dict[Key, Parameter] = {}
    for index, node in enumerate(model.walk() if isinstance(model, Model) else ()):
        own: dict[Key, FloatsXd] = {(node.id, n): node.get_param(n) for n in node.param_names if node.has_param(n)}
        for shim in node.shims:
            if isinstance(shim, HasTensors):
                own.update({(shim.id, name): array for name, array in shim.trained_arrays().items()})
        found.update({key: Parameter(f"{component}/{index}.{key[1]}", array) for key, array in own.items()})
    return found


def parameters_of_component(component: Any) -> dict[Key, Parameter]:
    """Return the trained tensors of a component, under its own name."""
    return parameters_of(component.name, component.model)


def parameters_of_pipeline(nlp: Language) -> dict[Key, Parameter]:
    """Return the trained tensors of all components of a pipeline, including disabled ones."""
    found: dict[Key, Parameter] = {}
    for name, component in nlp.components:
        for key, parameter in parameters_of(name, getattr(component, "model", None)).items():
            found.setdefault(key, parameter)
    return found


class ParameterNames:
    """The names of an optimizer's tensors.

    A tensor keeps its first name. One that was not introduced is numbered by order of appearance, which is the same in
    every run of a program. If a name is taken, as when two copies of a pipeline train, a number is appended:
    "ner/3.W#2".
    """

    def __init__(self) -> None:
        self._owners: WeakKeyDictionary[Any, Callable[[Any], Parameters]] = WeakKeyDictionary()
        self._names: dict[Key, str] = {}
        self._keys: dict[str, Key] = {}
        self._others: dict[int, int] = {}

    def introduce(self, owner: Any, parameters: Callable[[Any], Parameters]) -> None:
        """Record a component or a pipeline. parameters (Callable): Returns its tensors; called when needed."""
        self._owners.setdefault(owner, parameters)

    def __getitem__(self, key: Key) -> str:
        """Return a tensor's name."""
        if key not in self._names:
            self.known()
        if key not in self._names:
            number = self._others.setdefault(key[0], len(self._others))
            self._add(key, f"{OTHERS}/{number}.{key[1]}")
        return self._names[key]

    def key(self, name: str) -> Key:
        """Return the key of a tensor. RAISES (KeyError): If no tensor has that name."""
        return self._keys[name]

    def known(self) -> dict[str, FloatsXd]:
        """Return the arrays of all introduced tensors, by their names."""
        arrays = {}
        for owner, parameters in list(self._owners.items()):
            for key, parameter in parameters(owner).items():
                if key not in self._names:
                    self._add(key, parameter.name)
                arrays[self._names[key]] = parameter.weights
        return arrays

    def _add(self, key: Key, name: str) -> None:
        free, number = name, 2
        while free in self._keys:
            free, number = f"{name}#{number}", number + 1
        self._names[key], self._keys[free] = free, key
