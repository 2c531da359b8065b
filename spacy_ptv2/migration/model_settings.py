"""Takes the settings of another package's model, each to its place in a block of `spacy_ptv2.Tok2VecPTuning.v1`."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import Errors, PTuningError
from .blocks import NOTHING, VARIABLE, function_of
from .foreign import PLAIN_SPANS
from .work import Work

OUR_BLOCKS = ("backbone", "adapter", "windows", "runtime")
ONLY_TENSOR = "Only doc.tensor is set, one vector for each token; there is no doc._.trf_data."


def take_model_settings(work: Work, file: str) -> None:
    """Take all settings of a model block.

    file (str): The shipped config that the windows are from.
    RAISES (PTuningError): P761 without a name, P210 for code from a model folder.
    """
    before, after = function_of(work.old), function_of(work.new)
    why = "The backbone is frozen. Prompts and LoRA in it are trained, about 1 % of its size."
    work.report.changed(work.where, before or NOTHING, after, why)
    _take_our_blocks(work)
    _take_name(work)
    _take_spans(work, file)
    for name in ("tokenizer_config", "transformer_config"):
        _take_hf_config(work, name)
    _take_precision(work)
    if "pooling" in work.old:
        work.new["pooling"] = work.take("pooling")
    take_grad_factor(work)
    work.end()


def take_grad_factor(work: Work) -> None:
    """Take the factor on gradients, which changes nothing if it is 1."""
    factor = work.take("grad_factor")
    if factor is not NOTHING and work.value(factor) != 1.0:
        work.report.lost(work.setting("grad_factor"), factor, "All heads train the adapter alike.")


def _take_our_blocks(work: Work) -> None:
    """Keep what a drop-in says already."""
    for name in OUR_BLOCKS:
        block = work.take(name)
        if isinstance(block, dict):
            work.new[name].update(block)


def _take_name(work: Work) -> None:
    """Take the name; a variable without a value will be given on the command line."""
    name = work.take("name")
    value = work.value(name)
    is_open = isinstance(name, str) and VARIABLE.search(name) is not None and (value is None or value is NOTHING)
    if not is_open and not (isinstance(value, str) and value):
        got = "nothing" if name is NOTHING else repr(name)
        raise PTuningError(Errors.P761.format(setting=work.setting("name"), got=got))
    work.new["backbone"]["name"] = name
    why = "The same backbone, now looked up on this machine alone."
    work.report.changed(work.setting("name"), name, f"backbone.name = {name}", why)


def _take_spans(work: Work, file: str) -> None:
    for name in ("get_spans", "with_spans"):
        spans = work.take(name)
        if spans is NOTHING or spans is None:
            continue
        if not PLAIN_SPANS.fullmatch(function_of(work.value(spans)) or ""):
            work.report.lost(work.setting(name), spans, "Documents are cut by length alone.")
            continue
        windows = ", ".join(f"{key} = {work.new['windows'][key]}" for key in ("length", "overlap"))
        why = f"Windows count pieces, not words. The sizes are those of {file}."
        work.report.changed(work.setting(name), spans, f"windows: {windows}", why)


def _take_hf_config(work: Work, name: str) -> None:
    """Take the settings for one of transformers' own classes."""
    value = work.value(work.take(name))
    settings = dict(value) if isinstance(value, Mapping) else {}
    if settings.pop("trust_remote_code", False):
        raise PTuningError(Errors.P210.format(where=work.setting(name)))
    revision, fast = settings.pop("revision", None), settings.pop("use_fast", None)
    if revision is not None:
        work.new["backbone"]["revision"] = revision
        work.report.changed(work.setting(name, "revision"), revision, f"backbone.revision = {revision}", "The same.")
    if fast is not None:
        work.report.dropped(work.setting(name, "use_fast"), fast, "The fast tokenizer is always used.")
    why = "The backbone's own files determine it." if name == "tokenizer_config" else ONLY_TENSOR
    for setting, asked in settings.items():
        work.report.lost(work.setting(name, setting), asked, why)


def _take_precision(work: Work) -> None:
    given, scaler = work.take("mixed_precision"), work.take("grad_scaler_config")
    if given is not NOTHING and given is not None:
        runtime = work.new["runtime"]
        if work.value(given) is not False:
            runtime["mixed_precision"] = given
        after = f"runtime.mixed_precision = {runtime['mixed_precision']}"
        why = "In bfloat16; auto: where the hardware is faster in it."
        work.report.changed(work.setting("mixed_precision"), given, after, why)
    if scaler is not NOTHING and scaler:
        why = "bfloat16 needs no scaling of gradients."
        work.report.dropped(work.setting("grad_scaler_config"), scaler, why)
