"""The component that runs a backbone and its adapter once for all listeners after it.

It is used instead of spacy-transformers' "transformer" because it (1) saves only the adapter, as safetensors, (2)
batches by padded pieces within and across documents and bounds the memory of a batch of long documents, and (3) leaves
one vector per token on the Doc (`doc.tensor`), whereas the other keeps all hidden states of all pieces.
"""

from collections.abc import Callable, Iterable

from spacy.language import Language
from spacy.pipeline.tok2vec import Tok2Vec
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.types import Floats2d

from ..errors import Errors, FormatError
from ..layers.listener import PTuningListener
from ..serialization.upstream import listen_to
from ..types import Tok2VecModel
from .private_settings import withdraw_downloads
from .requirements import record_requirements
from .safetensors_pipe import SafetensorsPipe


class PTuningTransformer(SafetensorsPipe, Tok2Vec):
    """A backbone with its adapter, shared by listeners (`spacy_ptv2.PTuningListener.v1`).

    vocab (Vocab): The shared vocabulary. model (Tok2VecModel): `spacy_ptv2.Tok2VecPTuning.v1`. name (str): Its name.
    """

    def __init__(self, vocab: Vocab, model: Tok2VecModel, name: str = "ptuning_transformer") -> None:
        super().__init__(vocab, model, name)

    def set_annotations(self, docs: Iterable[Doc], tokvecs: list[Floats2d]) -> None:
        """Leave the vectors on the Docs, where another such component may overwrite them, and with the listeners."""
        docs = list(docs)
        super().set_annotations(docs, tokvecs)
        for listener in self.listeners:
            if isinstance(listener, PTuningListener):
                listener.vectors.give(docs, tokvecs)

    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None) -> None:
        """Load the backbone and initialise the adapter. Neither needs the data."""
        self.model.initialize()
        for listener in self.listeners:
            self._pass_on_width(listener)
        record_requirements(nlp, [self.model])
        withdraw_downloads(nlp)

    def add_listener(self, listener, component_name: str) -> None:  # type: ignore[no-untyped-def]
        """Connect a listener and tell it the width, if that is known."""
        super().add_listener(listener, component_name)
        listen_to(listener, self)
        self._pass_on_width(listener)

    def _pass_on_width(self, listener) -> None:  # type: ignore[no-untyped-def]
        if not self.model.has_dim("nO"):
            return
        width = self.model.get_dim("nO")
        if listener.has_dim("nO") is None:
            listener.set_dim("nO", width)
        elif listener.get_dim("nO") != width:
            raise FormatError(Errors.P642.format(name=self.name, width=width, got=listener.get_dim("nO")))
