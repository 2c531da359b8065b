"""The base of our components: streams in bounded batches, stepping, saving.

It saves the settings as JSON, everything that is trained as one safetensors file, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import srsly
from spacy import util
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.tokens import Doc
from thinc.api import Optimizer

from ..errors import Errors, FormatError
from ..optimizers.parameters import parameters_of_component
from ..optimizers.protocol import introduce, stepping
from ..reading import parse_object
from ..serialization.models import model_from_bytes, model_to_bytes
from ..serialization.tensors import read_file
from .batching import MAX_BUFFERED_TOKENS, batch_by_tokens

MODEL_FILE = "model.safetensors"


class SafetensorsPipe(TrainablePipe):  # type: ignore[misc]  # compiled, without types
    """A trainable component whose model is saved as safetensors.

    A damaged, missing or foreign file is refused with an error of its own (P301-P306) that names the file.
    """

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate a stream in order; a batch ends at `batch_size` Docs or at `MAX_BUFFERED_TOKENS` tokens.

        A batch that fails goes to the error handler, as with spaCy's own components.
        """
        handle_error = self.get_error_handler()
        for docs in batch_by_tokens(stream, batch_size, MAX_BUFFERED_TOKENS):
            try:
                self.set_annotations(docs, self.predict(docs))
            except Exception as error:
                handle_error(self.name, self, docs, error)
            else:
                yield from docs

    def finish_update(self, sgd: Optimizer) -> None:
        """Let the optimizer step; one of ours also learns the names of the tensors."""
        introduce(sgd, self, parameters_of_component)
        with stepping(sgd, self.name) as step:
            super().finish_update(step)

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Return the component's state without the backbone."""
        parts: dict[str, Callable[[], Any]] = {
            "cfg": lambda: srsly.json_dumps(self.cfg),
            "vocab": lambda: self.vocab.to_bytes(exclude=exclude),
            "model": lambda: model_to_bytes(self.model, self.outputs),
        }
        return util.to_bytes(parts, exclude)

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> SafetensorsPipe:
        """Restore what `to_bytes` returned."""
        parts: dict[str, Callable[[Any], Any]] = {
            "cfg": lambda data: self._load_cfg(data, f"the settings of {self.name!r}"),
            "vocab": lambda data: self.vocab.from_bytes(data, exclude=exclude),
            "model": lambda data: self._load_model(data, f"the bytes of {self.name!r}"),
        }
        util.from_bytes(bytes_data, parts, exclude)
        return self

    def to_disk(self, path: Path | str, *, exclude: Iterable[str] = ()) -> None:
        """Write the component's folder: cfg, the vocabulary unless excluded, and the model's safetensors."""
        parts: dict[str, Callable[[Path], Any]] = {
            "cfg": lambda p: srsly.write_json(p, self.cfg),
            "vocab": lambda p: self.vocab.to_disk(p, exclude=exclude),
            MODEL_FILE: lambda p: p.write_bytes(model_to_bytes(self.model, self.outputs)),
        }
        util.to_disk(path, parts, exclude)

    def from_disk(self, path: Path | str, *, exclude: Iterable[str] = ()) -> SafetensorsPipe:
        """Read the component's folder.

        RAISES (FormatError): P301-P306 with the file. RAISES (BackboneError): P101, P105 if the backbone is not there.
        """
        parts: dict[str, Callable[[Path], Any]] = {
            "cfg": lambda p: self._load_cfg(read_file(p), str(p)),
            "vocab": lambda p: self.vocab.from_disk(p, exclude=exclude),
            MODEL_FILE: lambda p: self._load_model(read_file(p), str(p)),
        }
        util.from_disk(path, parts, exclude)
        return self

    def _load_cfg(self, data: bytes, where: str) -> None:
        try:
            cfg = parse_object(data)
        except ValueError as error:
            raise FormatError(Errors.P301.format(path=where, error=error)) from error
        self.check_cfg(cfg, where)
        self.cfg.update(cfg)

    @property
    def outputs(self) -> Sequence[str] | None:
        """What the columns of the model's output stand for, saved with the model; None if they have no names."""
        return None

    def check_cfg(self, cfg: dict[str, Any], where: str) -> None:
        """Refuse settings that this component never saves. where (str): Where they come from, for messages."""

    def _load_model(self, data: bytes, where: str) -> None:
        model_from_bytes(self.model, data, where, self.outputs)
