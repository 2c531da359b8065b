"""What of a pipeline becomes a graph: its recognizer of entities, with the adapter and the windows that it reads.

In: a pipeline. Out: a `Recognizer`, or a refusal of what neither the graph nor its reader can do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Ragged

from ..adapters.encoder import AdaptedEncoder
from ..alignment.layouts import DocLayout
from ..backbones.backbone import Backbone
from ..bridge.adapter_shim import AdapterShim
from ..bridge.window_encoding import WindowEncoding
from ..errors import Errors, PTuningError
from ..layers.encode_pieces import get_shim
from ..layers.tok2vec_ptuning import LAYER_NAME
from ..pipeline.ptuning_transformer import PTuningTransformer
from ..pipeline.token_classifier import TokenClassifier
from ..types import Tok2VecModel

# Each is a mean of some of a token's pieces, so it can follow the head, which is linear.
POOLINGS = {"reduce_first": "first", "reduce_last": "last", "reduce_mean": "mean"}
MOST_PARAMETERS = 500_000_000  # of 4 bytes each: a file of ONNX holds 2 GB
HEAD = "with_array(dropout>>linear)"  # what `spacy_ptv2.TokenClassifier.v1` puts on token vectors


@dataclass(frozen=True)
class Recognizer:
    """The part of a pipeline that finds entities.

    nlp (Language): The pipeline.
    head (TokenClassifier): Its only head.
    tok2vec (Tok2VecModel): The layer that the head reads, or that its listener listens to.
    """

    nlp: Language
    head: TokenClassifier
    tok2vec: Tok2VecModel

    @property
    def shim(self) -> AdapterShim:
        """The adapter, for Thinc."""
        return get_shim(self.tok2vec.layers[0])

    @property
    def encoder(self) -> AdaptedEncoder:
        """The adapter over its backbone."""
        return self.shim.encoder

    @property
    def backbone(self) -> Backbone:
        """The frozen backbone."""
        return self.shim.backbone

    @property
    def windows(self) -> WindowEncoding:
        """How Docs become windows."""
        windows: WindowEncoding = self.tok2vec.attrs["windows"]
        return windows

    @property
    def pooling(self) -> Model[Ragged, Floats2d]:
        """From the pieces of a token to its vector."""
        return self.tok2vec.layers[1]

    def scores(self, docs: Sequence[Doc]) -> Floats2d:
        """Return the scores of all tags for the tokens of all Docs, computed in torch. Shape: (n_tokens, n_tags)"""
        docs = list(docs)
        with _in_torch(self.encoder):
            vectors = self.tok2vec.predict(docs)
        scores: Floats2d = self.head.model.ops.xp.concatenate(self.head.model.layers[1].predict(vectors))
        return scores


@contextmanager
def _in_torch(encoder: AdaptedEncoder) -> Iterator[None]:
    """Let no other engine run the backbone inside this context."""
    before = encoder.runtime
    encoder.runtime = replace(before, engine="torch")
    try:
        yield
    finally:
        encoder.runtime = before


def find_recognizer(nlp: Language) -> Recognizer:
    """Return the recognizer of a pipeline that has nothing else.

    RAISES (PTuningError): P871 if it has, or if a setting has no counterpart in the graph.
    """
    heads = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, TokenClassifier)]
    if len(heads) != 1 or not heads[0].labels:
        got = f"{len(heads)} trained token classifiers" if len(heads) != 1 else "a token classifier without labels"
        raise _refusal(got, "one that has been trained", "Train one, or exclude the others when loading.")
    (head,) = heads
    tok2vec = head.model.get_ref("tok2vec")
    upstream = next((pipe for _, pipe in nlp.pipeline if tok2vec in getattr(pipe, "listeners", ())), None)
    others = [name for name, pipe in nlp.pipeline if pipe is not head and pipe is not upstream]
    if others:
        expected = "a ptuning_transformer and a token_classifier alone"
        advice = 'Save a pipeline without it: spacy.load(PIPELINE, exclude=["..."]).to_disk(FOLDER).'
        raise _refusal(f"the component {others[0]!r}", expected, advice)
    if isinstance(upstream, PTuningTransformer):
        tok2vec = upstream.model
    if tok2vec.name != LAYER_NAME:
        raise _refusal(f"the layer {tok2vec.name!r}", "spacy_ptv2.Tok2VecPTuning.v1", "Train with that one.")
    found = Recognizer(nlp, head, tok2vec)
    for problem in _problems(found):
        raise _refusal(*problem)
    return found


def _problems(found: Recognizer) -> Iterator[tuple[str, str, str]]:
    """Yield what cannot be exported: what there is, what is expected, and what to do."""
    again = "Train it anew so."
    layers = found.head.model.layers
    if len(layers) != 2 or layers[1].name != HEAD:
        yield f"the head {found.head.model.name!r}", "spacy_ptv2.TokenClassifier.v1", again
    if found.pooling.name not in POOLINGS:
        yield f"the pooling {found.pooling.name!r}", f"one of {', '.join(POOLINGS)}", again
    windows = found.windows
    if windows.layout != DocLayout() or windows.rows != "tokens":
        yield f"the layout {windows.layout!r} with a row for each of its {windows.rows}", "windows over Docs", again
    if found.head.cfg["confidence"] != "product":
        setting = f"the confidence {found.head.cfg['confidence']!r}"
        yield setting, "'product'", f"Set components.{found.head.name}.confidence to it when loading."
    backbone: Any = found.backbone
    kind = f"{backbone.source.quantization or backbone.precision} on {backbone.device.type}"
    if kind != "float32 on cpu":
        yield f"a backbone in {kind}", "float32 on cpu", "Load it so: backbone.dtype is a setting of the config."
    if backbone.n_parameters > MOST_PARAMETERS:
        got, expected = f"a backbone of {backbone.n_parameters:,} parameters", f"at most {MOST_PARAMETERS:,}"
        yield got, expected, "Train it over a smaller one: a file of ONNX holds 2 GB."


def _refusal(got: str, expected: str, advice: str) -> PTuningError:
    return PTuningError(Errors.P871.format(got=got, expected=expected, advice=advice))
