"""One default for windows: in options.py, in whatever builds a layer, in shipped configs, docs and benchmarks."""

import pytest
import spacy
from spacy.util import load_config

from benchmarks.lib.annotators import READING
from spacy_ptv2.alignment.windows import WindowLimits, resolve_limits
from spacy_ptv2.architectures import build_tok2vec_ptuning_v1
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.layers.encode_pieces import get_shim
from spacy_ptv2.options import TOKEN_OVERLAP, TOKEN_WINDOW, PromptOptions, WindowOptions
from spacy_ptv2.pipeline.default_models import DEFAULT_TRANSFORMER

from ..conftest import ROOT
from ..test_commands import CONFIGS, TASKS
from ..tiny import build_options

DOC = spacy.blank("en")("Peter opens the Danish office in London . " * 40)
OTHERS = ("reference_ner", "finetune_ner", *TASKS)  # these read as others do, or more than a sentence
READERS = [path for path in CONFIGS if path.stem not in OTHERS]


def limits(options, *, most=512, shift=0, whole_spans=False):
    return resolve_limits(options.length, options.overlap, most=most, n_special=2, shift=shift, whole_spans=whole_spans)


def test_the_default():
    assert limits(WindowOptions()) == WindowLimits(TOKEN_WINDOW, TOKEN_OVERLAP)
    assert (READING["windows.length"], READING["windows.overlap"]) == (TOKEN_WINDOW, TOKEN_OVERLAP)


def test_the_factory_has_it(tiny_folder):
    assert set(DEFAULT_TRANSFORMER["model"]["windows"]) == {"@misc"}
    nlp = spacy.blank("en")
    backbone = {"@misc": "spacy_ptv2.Backbone.v1", "name": str(tiny_folder)}
    nlp.add_pipe("ptuning_transformer", config={"model": {"backbone": backbone}})
    filled = nlp.config["components"]["ptuning_transformer"]["model"]["windows"]
    assert WindowOptions(filled["length"], filled["overlap"]) == WindowOptions()


@pytest.mark.parametrize("path", READERS, ids=lambda path: path.stem)
def test_shipped_configs_have_it(path):
    blocks = []

    def walk(block):
        for key, value in block.items():
            if key == "windows":
                blocks.append((value["length"], value["overlap"]))
            elif isinstance(value, dict):
                walk(value)

    walk(load_config(path))
    assert set(blocks) == {(TOKEN_WINDOW, TOKEN_OVERLAP)}


def test_docs_have_it():
    table = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf8")
    assert f'| `length` ["auto"] | most pieces in a window, special ones included; "auto": {TOKEN_WINDOW},' in table
    assert f'| `overlap` ["auto"] | pieces that neighbouring windows share; "auto": {TOKEN_OVERLAP},' in table
    assert f"windows of {TOKEN_WINDOW} pieces" in (ROOT / "docs" / "guides" / "training.md").read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"most": 64}, (64, 16)),
        ({"most": 512, "shift": 500}, (12, 3)),
        ({"most": 512, "shift": 508}, (4, 1)),
        ({"most": 8192}, (96, 24)),
        ({"most": 8192, "whole_spans": True}, (512, 24)),
        ({"most": 128, "whole_spans": True}, (128, 24)),
    ],
)
def test_it_fits_every_backbone(settings, expected):
    assert limits(WindowOptions(), **settings) == WindowLimits(*expected)


def test_what_is_given_stays():
    assert limits(WindowOptions(32)) == WindowLimits(32, 8)
    assert limits(WindowOptions(None, 64)) == WindowLimits(512, 64)
    assert limits(WindowOptions("auto", 40)) == WindowLimits(96, 40)


@pytest.mark.parametrize("shift", [0, 50])
def test_short_position_tables(tiny_folder, shift):
    """64 positions, and of these 14 behind a prompt."""
    options = build_options(prompt=PromptOptions(length=50, shift_positions=shift > 0), lora_rank=1)
    model = build_tok2vec_ptuning_v1(BackboneSource(str(tiny_folder)), **options)
    model.initialize()
    encoded = model.attrs["windows"].encode([DOC], [get_shim(model.layers[0])])
    assert encoded.windows.lengths.max() == 64 - shift
    assert model.predict([DOC])[0].shape == (len(DOC), 32)
