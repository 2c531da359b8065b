"""The shim between Thinc and torch: trains and saves an adapter, never the backbone.

Thinc's own PyTorchShim is not used because it (1) saves every weight of the module, pickled, (2) deep-copies the module
and with it the backbone, (3) never finds parameter averages, because it looks them up by string while the optimizer
stores them under tuples (thinc 8.3.14), and (4) supports mixed precision on CUDA only, with a gradient scaler that
bfloat16 does not need.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, cast

import torch
from thinc.api import Optimizer, get_torch_default_device, torch2xp, xp2torch
from thinc.shims import Shim
from thinc.types import Floats2d, FloatsXd

from ..adapters.batches import WindowBatches
from ..adapters.build import build_encoder, build_lora
from ..adapters.encoder import AdaptedEncoder
from ..adapters.prompt import FlatPrompt
from ..alignment.word_shape import N_WORD_SHAPES
from ..backbones.backbone import Backbone
from ..backbones.registry import get_backbone, on_device
from ..backbones.source import BackboneSource, Recorded
from ..errors import Errors, FormatError, PTuningError, Warnings
from ..optimizers.protocol import stepping
from ..optimizers.tensors import Blocks, Contents, Key, LowRank
from ..options import AdapterOptions, NormalStart, PromptOptions, RuntimeOptions
from ..serialization.header import check_adapter, read_header
from ..serialization.tensors import dump_tensors, load_tensors
from .gradients_due import GradientsDue
from .precomputed import PieceHiddenStates, Precomputed
from .training_pass import TrainingPass, predict_jointly


class AdapterShim(Shim):
    """Holds an `AdaptedEncoder` for a Thinc model. Empty until it is initialised or loaded.

    source (BackboneSource): The backbone.
    adapter (AdapterOptions): What is trained inside the backbone.
    runtime (RuntimeOptions): How the backbone runs.
    n_word_shapes (int): The classes of pieces that may have a trained vector; see `alignment/word_shape.py`.
    """

    def __init__(
        self,
        source: BackboneSource,
        adapter: AdapterOptions,
        runtime: RuntimeOptions,
        *,
        n_word_shapes: int = N_WORD_SHAPES,
    ) -> None:
        super().__init__(model=None)
        self.n_word_shapes = n_word_shapes
        self.source = source
        self.adapter = adapter
        self.runtime = runtime
        self.predicted: Precomputed[PieceHiddenStates] = Precomputed()  # computed in one pass with other adapters
        self.begun: Precomputed[tuple[int, PieceHiddenStates]] = (
            Precomputed()
        )  # the same in training: a Doc's index in its batch, and the whole batch
        self._due = GradientsDue()
        self.loaded_record: Recorded | None = None  # what the loaded file recorded about the backbone

    @property
    def is_initialized(self) -> bool:
        """Whether the backbone is loaded and the trainable tensors exist."""
        return self._model is not None

    @property
    def encoder(self) -> AdaptedEncoder:
        """The torch module that holds the backbone and its adapter.

        RAISES (PTuningError): P205 before initialisation.
        """
        if self._model is None:
            raise PTuningError(Errors.P205)
        return self._model  # type: ignore[no-any-return]

    @property
    def backbone(self) -> Backbone:
        """The shared, frozen backbone."""
        return self.encoder.backbone

    @property
    def recorded(self) -> Recorded:
        """What is saved about the backbone: what is known here, completed by what a loaded file recorded."""
        here, saved = self.backbone.recorded, self.loaded_record
        if saved is None or saved.fingerprint != here.fingerprint:
            return here
        return Recorded(here.fingerprint, saved.revision or here.revision, here.requirement or saved.requirement)

    def initialize(self) -> None:
        """Load the backbone and initialise the adapter, again if it was before, as `nlp.initialize` promises."""
        found = None if self._model is None else self.backbone
        self._build(found or get_backbone(self.source, device=get_torch_default_device()), self.adapter)
        if self.encoder.hidden_state_cache is not None and self.encoder.first_layer == 0:
            warnings.warn(Warnings.PW06, stacklevel=2)

    def predict(self, windows: WindowBatches) -> Floats2d:
        """Return the wanted hidden states of all windows, in float32. Shape: (n_wanted, hidden_width)"""
        (states,) = predict_jointly([self.encoder], windows)
        return states

    def begin_update(self, windows: WindowBatches) -> tuple[Floats2d, Callable[[Floats2d], None]]:
        """Return the wanted hidden states and a callback that adds to the gradients of the trainable tensors."""
        step = TrainingPass([self], windows)
        return step.states[0], lambda d_states: step.backprop(0, d_states)

    def begin_pass(self, step: TrainingPass) -> None:
        """Note that a training pass begins. Gradients of earlier steps are handed over first."""
        self.hand_over()
        self._due.begin(step)

    def finish_update(self, optimizer: Optimizer) -> None:
        """Let the optimizer step each trainable tensor under the key (shim id, name), once its gradient exists."""
        self._due.finish(optimizer, self.id)
        if self._due.are_to_come:
            self._due.postpone(optimizer, self.end_step)
        else:
            self._step(optimizer)

    def end_step(self) -> None:
        """End the step of an optimizer that waits: it gets the gradients that have come so far."""
        self._due.end_pass()
        self.hand_over()

    def hand_over(self) -> None:
        """Hand the present gradients to the optimizer that waits for them, if one does."""
        optimizer = self._due.take_optimizer()
        if optimizer is not None:
            self._step(optimizer)

    def _step(self, optimizer: Optimizer) -> None:
        with stepping(optimizer, "the adapter", self._contents()) as step_one:
            for name, parameter in self.encoder.named_parameters():
                if parameter.grad is None:
                    continue
                weights, gradient = (cast(FloatsXd, torch2xp(tensor)) for tensor in (parameter.data, parameter.grad))
                updated, _ = step_one((self.id, name), weights, gradient)
                parameter.data = xp2torch(updated, device=parameter.device)
                parameter.grad = torch.zeros_like(parameter)  # a new tensor: `nlp.rehearse` still holds the old one

    def trained_arrays(self) -> dict[str, FloatsXd]:
        """Return what trains, by the names that the optimizer gets; see `optimizers.parameters.HasTensors`."""
        if self._model is None:
            return {}
        return {name: cast(FloatsXd, torch2xp(tensor.data)) for name, tensor in self.encoder.named_parameters()}

    def _contents(self) -> dict[Key, Contents]:
        """Return the matrices in the trained tensors: keys, and values, of each head of a layer, and LoRA's A and B."""
        row_counts = self.encoder.prompt.row_counts
        prompt = {f"prompt.{name}": Blocks(rows, self.backbone.n_key_heads) for name, rows in row_counts.items()}
        contents: dict[str, Contents] = {**prompt, "lora.weights": LowRank(self.backbone.linear_widths[0])}
        return {(self.id, name): of_tensor for name, of_tensor in contents.items()}

    @contextmanager
    def use_params(self, params: dict[Any, Any]) -> Iterator[None]:
        """Swap in averaged parameters, which the optimizer stores under (shim id, name)."""
        averages = (
            {} if self._model is None else {n: params[self.id, n] for n in self._names() if (self.id, n) in params}
        )
        if not averages:
            yield
            return
        backup = {name: parameter.data for name, parameter in self.encoder.named_parameters() if name in averages}
        self._set_parameters({name: xp2torch(array).clone() for name, array in averages.items()})
        try:
            yield
        finally:
            self._set_parameters(backup)

    def to_device(self, device_type: str, device_id: int) -> None:
        """Move the trainable tensors to "cpu" or "gpu", and use the backbone there. Other shims keep theirs."""
        device = torch.device("cpu" if device_type == "cpu" else f"cuda:{device_id}")
        if self._model is not None:
            self.encoder.to(device)
            self.encoder.backbone = on_device(self.backbone, device)

    def to_bytes(self) -> bytes:
        """Return the trainable tensors as safetensors, the prompt folded to flat keys and values."""
        if self._model is None:
            return b""
        return dump_tensors({n: t.cpu().numpy() for n, t in self.export_state().items()}, self.header())

    def from_bytes(self, data: bytes) -> AdapterShim:
        """Load what `to_bytes` returned: find the backbone, verify that it is the same, restore the tensors."""
        self.withdraw_download()
        if data:
            tensors, header = load_tensors(data, "the adapter of the pipeline")
            self.import_state({name: torch.from_numpy(array.copy()) for name, array in tensors.items()}, header)
        return self

    def withdraw_download(self) -> None:
        """Forbid downloads, whatever the config that came with a file says."""
        self.source = replace(self.source, allow_download=False)

    def header(self) -> dict[str, Any]:
        """Return the backbone's identity and the adapter's layout for the saved file, as JSON values."""
        encoder, recorded = self.encoder, self.recorded
        revision = recorded.revision or self.source.revision
        private = {"path": None, "allow_download": False}  # settings of this machine and its user are not saved
        return {
            "backbone": {**asdict(self.source), **private, **asdict(recorded), "revision": revision},
            "adapter": {
                "layers": list(encoder.prompt.layers),
                "lengths": list(encoder.prompt.lengths),
                "word_shape_layer": encoder.word_shape_layer,
                "lora_rank": 0 if encoder.lora is None else encoder.lora.rank,
            },
        }

    def export_state(self) -> dict[str, torch.Tensor]:
        """Return the tensors to save: those of the module, with the prompt folded."""
        encoder = self.encoder
        state = {f"prompt.{name}": tensor for name, tensor in encoder.prompt.fold().state_dict().items()}
        rest = {name: tensor for name, tensor in encoder.state_dict().items() if not name.startswith("prompt.")}
        return {name: tensor.detach() for name, tensor in {**state, **rest}.items()}

    def import_state(self, state: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
        """Build the encoder on the backbone that the header describes, and load saved tensors into it.

        RAISES (BackboneError): P101 if the backbone is missing, P105 if it is a different one.
        RAISES (FormatError): P304, P305 if the header or the tensors do not fit the config.
        """
        where = "the saved adapter"
        recorded, layout = read_header(header, where)
        if self._model is None or self.backbone.fingerprint != recorded.fingerprint:
            # An empty prompt: it is replaced below, so it needs neither random numbers nor hidden states of words.
            configured = self.adapter.prompt or PromptOptions()
            nothing = replace(configured, length=0, layers=[], start=NormalStart(), mlp_width=None)
            backbone = get_backbone(self.source, recorded, device=get_torch_default_device())
            self._build(backbone, replace(self.adapter, prompt=nothing))
        self.loaded_record = recorded
        check_adapter(state, layout, self.backbone, where)
        width = self.backbone.key_width
        with torch.device("meta"):  # the loaded tensors themselves become the parameters, without a second copy
            prompt = FlatPrompt(layers=layout.layers, lengths=layout.lengths, width=width)
            prompt.drop_like(self.encoder.prompt)
            self.encoder.prompt = prompt
            self.encoder.lora = build_lora(self.backbone, layout.layers, layout.lora_rank)
        if self.encoder.word_shape is not None:
            self.encoder.place_word_shape(layout.word_shape_layer, self.n_word_shapes)
        device = self.backbone.device
        try:
            self.encoder.load_state_dict({n: t.to(device) for n, t in state.items()}, strict=True, assign=True)
        except RuntimeError as error:
            details = " ".join(str(error).split())
            raise FormatError(Errors.P305.format(path=where, details=details)) from error
        self.encoder.load_weights()

    def set_prompt(self, prompt: FlatPrompt) -> None:
        """Replace the prompt with one of any layers and lengths. The dropout settings stay."""
        prompt.drop_like(self.encoder.prompt)
        self.encoder.prompt = prompt.to(self.backbone.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> AdapterShim:
        """Copy the trainable tensors under a new id. The backbone stays the same object."""
        copied = AdapterShim(self.source, self.adapter, self.runtime, n_word_shapes=self.n_word_shapes)
        copied._model = copy.deepcopy(self._model, memo)
        copied.loaded_record = self.loaded_record
        return copied

    def _build(self, backbone: Backbone, adapter: AdapterOptions) -> None:
        self._model = build_encoder(backbone, adapter, self.runtime, n_word_shapes=self.n_word_shapes)

    def _names(self) -> list[str]:
        return [name for name, _ in self.encoder.named_parameters()]

    def _set_parameters(self, values: dict[str, torch.Tensor]) -> None:
        for name, parameter in self.encoder.named_parameters():
            if name in values:
                parameter.data = values[name].to(parameter.device)
