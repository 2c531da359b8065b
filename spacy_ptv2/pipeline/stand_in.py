"""The factory "transformer" where spacy-transformers, whose it is, is not installed: it says what to install.

Configs of the drop-in name this factory, and spaCy would only say that it does not know it (E002). Nothing is done
where another package has a factory of that name.
"""

from importlib.util import find_spec
from typing import Any, NoReturn

from spacy.language import Language

from ..errors import Errors, PTuningError

NAME = "transformer"


class Unavailable(dict[str, Any]):
    """The default config of a factory that cannot be used. spaCy asks whether there is one before it reads the config.

    RAISES (PTuningError): P216 when asked.
    """

    def __bool__(self) -> NoReturn:
        """Raise, for the config that follows names functions that are missing as well."""
        raise PTuningError(Errors.P216)


def make_unavailable(nlp: Language, name: str) -> NoReturn:
    """Raise what `Unavailable` does.

    RAISES (PTuningError): P216.
    """
    raise PTuningError(Errors.P216)


def register_stand_in() -> None:
    """Register the factory, unless there is one."""
    if find_spec("spacy_transformers") is None and not Language.has_factory(NAME):
        Language.factory(NAME, default_config=Unavailable(), func=make_unavailable)
