"""The component that runs a prompt-tuned backbone once for every component behind it.

Used instead of spacy-transformers' "transformer" because it (1) saves the prompt alone, as safetensors, (2) batches by
padded pieces within and across documents and bounds what a batch of long documents holds at a time, and (3) leaves one
vector per token on the Doc (`doc.tensor`) where that one keeps all states of all pieces.
"""

from collections.abc import Callable, Iterable, Iterator

from spacy.language import Language
from spacy.pipeline.tok2vec import Tok2Vec
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from ..errors import Errors, FormatError
from ..packaging.requirements import record_requirements
from ..types import Tok2VecModel
from .safetensors_pipe import SafetensorsPipe

# Tokens whose vectors one pass of `pipe` holds. At a width of 768 floats this is 100 MB.
MAX_BUFFERED_TOKENS = 32_768


class PTuningTransformer(SafetensorsPipe, Tok2Vec):
    """A prompt-tuned transformer, shared by listeners (`spacy_ptv2.PTuningListener.v1`).

    vocab (Vocab): The shared vocabulary. model (Tok2VecModel): `spacy_ptv2.Tok2VecPTuning.v1`. name (str): Its name.
    """

    def __init__(self, vocab: Vocab, model: Tok2VecModel, name: str = "ptuning_transformer") -> None:
        super().__init__(vocab, model, name)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate a stream in order; a batch ends at `batch_size` Docs or at `MAX_BUFFERED_TOKENS` tokens."""
        for docs in batch_by_tokens(stream, batch_size, MAX_BUFFERED_TOKENS):
            self.set_annotations(docs, self.predict(docs))
            yield from docs

    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None) -> None:
        """Load the backbone and start the prompt. Neither looks at the data."""
        self.model.initialize()
        for listener in self.listeners:
            self._pass_on_width(listener)
        record_requirements(nlp, [self.model])

    def add_listener(self, listener, component_name: str) -> None:  # type: ignore[no-untyped-def]
        """Connect a listener and tell it the width, where that is known."""
        super().add_listener(listener, component_name)
        self._pass_on_width(listener)

    def _pass_on_width(self, listener) -> None:  # type: ignore[no-untyped-def]
        if not self.model.has_dim("nO"):
            return
        width = self.model.get_dim("nO")
        if listener.has_dim("nO") is None:
            listener.set_dim("nO", width)
        elif listener.get_dim("nO") != width:
            raise FormatError(Errors.P642.format(name=self.name, width=width, got=listener.get_dim("nO")))


def batch_by_tokens(stream: Iterable[Doc], max_docs: int, max_tokens: int) -> Iterator[list[Doc]]:
    """Group a stream into lists of at most `max_docs` Docs and `max_tokens` tokens; a longer Doc stands alone."""
    batch: list[Doc] = []
    n_tokens = 0
    for doc in stream:
        if batch and (len(batch) >= max_docs or n_tokens + len(doc) > max_tokens):
            yield batch
            batch, n_tokens = [], 0
        batch.append(doc)
        n_tokens += len(doc)
    if batch:
        yield batch
