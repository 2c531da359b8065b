"""The shim between Thinc and torch: trains and saves an adapter, never the backbone.

Thinc's own PyTorchShim is not used because it (1) saves every weight of the module, pickled, (2) deep-copies the
module, hence the backbone, (3) never finds parameter averages, which it looks up under string keys while the optimizer
stores tuples (thinc 8.3.14), and (4) knows mixed precision on CUDA only, with a gradient scaler that bfloat16 does not
need.
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
from ..optimizers.tensors import Blocks, Key
from ..options import AdapterOptions, NormalStart, PromptOptions, RuntimeOptions
from ..serialization.header import check_adapter, read_header
from ..serialization.tensors import dump_tensors, load_tensors
from .gradients_due import GradientsDue
from .precomputed import PieceHiddenStates, Precomputed
from .training_pass import TrainingPass, predict_jointly


class AdapterShim(Shim):
    """Holds an `AdaptedEncoder` for a Thinc model; empty until it is initialised or loaded.

    source (BackboneSource): Which backbone.
    adapter (AdapterOptions): What is trained inside it.
    runtime (RuntimeOptions): How it runs.
    """

    def __init__(self, source: BackboneSource, adapter: AdapterOptions, runtime: RuntimeOptions) -> None:
        super().__init__(model=None)
        self.source = source
        self.adapter = adapter
        self.runtime = runtime
        self.predicted: Precomputed[PieceHiddenStates] = Precomputed()  # what was computed together with other prompts
        self.begun: Precomputed[tuple[int, PieceHiddenStates]] = (
            Precomputed()
        )  # in training: a Doc's place, the whole batch
        self._due = GradientsDue()
        self.loaded_record: Recorded | None = None  # what the file said that the prompt was read from

    @property
    def is_initialized(self) -> bool:
        """Whether the backbone is loaded and the trainable tensors exist."""
        return self._model is not None

    @property
    def encoder(self) -> AdaptedEncoder:
        """The torch module.

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
        """What is saved about the backbone: what is known here, completed by what a loaded file said about the same."""
        here, saved = self.backbone.recorded, self.loaded_record
        if saved is None or saved.fingerprint != here.fingerprint:
            return here
        return Recorded(here.fingerprint, saved.revision or here.revision, here.requirement or saved.requirement)

    def initialize(self) -> None:
        """Load the backbone and start what is trained: anew if it was before, as `nlp.initialize` promises."""
        found = None if self._model is None else self.backbone
        self._build(found or get_backbone(self.source, device=get_torch_default_device()), self.adapter)
        if self.encoder.hidden_state_cache is not None and self.encoder.first_layer == 0:
            warnings.warn(Warnings.PW06, stacklevel=2)

    def predict(self, windows: WindowBatches) -> Floats2d:
        """Return the wanted states of all windows, in float32. Shape: (n_wanted, hidden_width)"""
        (states,) = predict_jointly([self.encoder], windows)
        return states

    def begin_update(self, windows: WindowBatches) -> tuple[Floats2d, Callable[[Floats2d], None]]:
        """Return the wanted states and a callback that adds to the gradients of the trainable tensors."""
        step = TrainingPass([self], windows)
        return step.states[0], lambda d_states: step.backprop(0, d_states)

    def begin_pass(self, step: TrainingPass) -> None:
        """Hear that a training pass begins: what belongs to earlier steps comes first."""
        self.hand_over()
        self._due.begin(step)

    def finish_update(self, optimizer: Optimizer) -> None:
        """Let the optimizer step each trainable tensor, under the key (shim id, name), once its gradient is there."""
        self._due.finish(optimizer, self.id)
        if self._due.are_to_come:
            self._due.postpone(optimizer, self.end_step)
        else:
            self._step(optimizer)

    def end_step(self) -> None:
        """Give an optimizer whose step ends what there is by now."""
        self._due.end_pass()
        self.hand_over()

    def hand_over(self) -> None:
        """Give an optimizer that waits for gradients those that there are."""
        optimizer = self._due.take_optimizer()
        if optimizer is not None:
            self._step(optimizer)

    def _step(self, optimizer: Optimizer) -> None:
        with stepping(optimizer, "the prompt", self._blocks()) as step_one:
            for name, parameter in self.encoder.named_parameters():
                if parameter.grad is None:
                    continue
                weights, gradient = (cast(FloatsXd, torch2xp(tensor)) for tensor in (parameter.data, parameter.grad))
                updated, _ = step_one((self.id, name), weights, gradient)
                parameter.data = xp2torch(updated, device=parameter.device)
                parameter.grad = torch.zeros_like(parameter)  # the old one is still that of `nlp.rehearse`

    def trained_arrays(self) -> dict[str, FloatsXd]:
        """Return what trains, by the names under which it is handed over; see `optimizers.parameters.HasTensors`."""
        if self._model is None:
            return {}
        return {name: cast(FloatsXd, torch2xp(tensor.data)) for name, tensor in self.encoder.named_parameters()}

    def _blocks(self) -> dict[Key, Blocks]:
        """Return what matrices trained tensors are made of: the keys, and the values, of each head of a layer."""
        row_counts = self.encoder.prompt.row_counts
        return {(self.id, f"prompt.{n}"): Blocks(rows, self.backbone.n_key_heads) for n, rows in row_counts.items()}

    @contextmanager
    def use_params(self, params: dict[Any, Any]) -> Iterator[None]:
        """Swap in averaged parameters, which the optimizer keeps under (shim id, name)."""
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
        """Move the trainable tensors to "cpu" or "gpu", onto the backbone that is there; that of others stays."""
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
        """Load what `to_bytes` gave: find the backbone, verify that it is the same, restore the tensors."""
        self.withdraw_download()
        if data:
            tensors, header = load_tensors(data, "the prompt of the pipeline")
            self.import_state({name: torch.from_numpy(array.copy()) for name, array in tensors.items()}, header)
        return self

    def withdraw_download(self) -> None:
        """Let nothing be fetched, whatever a config that came with a file says."""
        self.source = replace(self.source, allow_download=False)

    def header(self) -> dict[str, Any]:
        """Return what identifies and shapes the saved prompt, as JSON values."""
        encoder, recorded = self.encoder, self.recorded
        revision = recorded.revision or self.source.revision
        private = {"path": None, "allow_download": False}  # what holds for this machine and its user is not saved
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
        """Return the tensors that are saved: the module's own, with the prompt folded."""
        encoder = self.encoder
        state = {f"prompt.{name}": tensor for name, tensor in encoder.prompt.fold().state_dict().items()}
        rest = {name: tensor for name, tensor in encoder.state_dict().items() if not name.startswith("prompt.")}
        return {name: tensor.detach() for name, tensor in {**state, **rest}.items()}

    def import_state(self, state: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
        """Build the encoder on the backbone named in the header and take over its tensors.

        RAISES (BackboneError): If the backbone is missing (P101) or another one (P105).
        RAISES (FormatError): P304, P305 if the header or the tensors do not fit the config.
        """
        where = "the saved prompt"
        recorded, layout = read_header(header, where)
        if self._model is None or self.backbone.fingerprint != recorded.fingerprint:
            # Neither random numbers nor the states of words are needed for what is replaced in a moment.
            configured = self.adapter.prompt or PromptOptions()
            nothing = replace(configured, length=0, layers=[], start=NormalStart(), mlp_width=None)
            backbone = get_backbone(self.source, recorded, device=get_torch_default_device())
            self._build(backbone, replace(self.adapter, prompt=nothing))
        self.loaded_record = recorded
        check_adapter(state, layout, self.backbone, where)
        width = self.backbone.key_width
        with torch.device("meta"):  # the loaded tensors themselves become its parameters: there is no second copy
            prompt = FlatPrompt(layers=layout.layers, lengths=layout.lengths, width=width)
            prompt.drop_like(self.encoder.prompt)
            self.encoder.prompt = prompt
            self.encoder.lora = build_lora(self.backbone, layout.layers, layout.lora_rank)
        if self.encoder.word_shape is not None:
            self.encoder.place_word_shape(layout.word_shape_layer, N_WORD_SHAPES)
        device = self.backbone.device
        try:
            self.encoder.load_state_dict({n: t.to(device) for n, t in state.items()}, strict=True, assign=True)
        except RuntimeError as error:
            details = " ".join(str(error).split())
            raise FormatError(Errors.P305.format(path=where, details=details)) from error

    def set_prompt(self, prompt: FlatPrompt) -> None:
        """Put another prompt, of any layers and lengths, in the place of the present one, with its dropout."""
        prompt.drop_like(self.encoder.prompt)
        self.encoder.prompt = prompt.to(self.backbone.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> AdapterShim:
        """Copy the trainable tensors under a new id; the backbone stays the same object."""
        copied = AdapterShim(self.source, self.adapter, self.runtime)
        copied._model = copy.deepcopy(self._model, memo)
        copied.loaded_record = self.loaded_record
        return copied

    def _build(self, backbone: Backbone, adapter: AdapterOptions) -> None:
        self._model = build_encoder(backbone, adapter, self.runtime, n_word_shapes=N_WORD_SHAPES)

    def _names(self) -> list[str]:
        return [name for name, _ in self.encoder.named_parameters()]

    def _set_parameters(self, values: dict[str, torch.Tensor]) -> None:
        for name, parameter in self.encoder.named_parameters():
            if name in values:
                parameter.data = values[name].to(parameter.device)
