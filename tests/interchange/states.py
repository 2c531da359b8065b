"""The hidden states of one text, here and there, and what the commands print."""

import torch
from typer.testing import CliRunner

from spacy_ptv2.adapters.batches import PieceBatch, Reading
from spacy_ptv2.adapters.joint_pass import read_batches
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.cli import app
from spacy_ptv2.serialization.models import adapter_shims

TEXT = "peter works in a garden at paris and john opens the office"


def pieces(folder):
    """Two rows of ids, the second padded, and their mask."""
    tokenizer = backbone_in(folder).tokenizer
    ids = tokenizer(TEXT)["input_ids"]
    short = ids[:4] + ids[-1:]
    pad = len(ids) - len(short)
    rows = torch.tensor([ids, short + [tokenizer.pad_token_id] * pad])
    return rows, torch.tensor([[1] * len(ids), [1] * len(short) + [0] * pad])


def backbone_in(folder):
    return get_backbone(BackboneSource(str(folder)))


def shim_of(nlp):
    (shim,) = adapter_shims(nlp.get_pipe("transformer").model)
    return shim


def states_here(nlp, ids, mask):
    """The states of all real pieces, by our own encoder."""
    wanted = mask.flatten().nonzero().squeeze(1)
    encoder = shim_of(nlp).encoder.eval()
    with torch.no_grad():
        reading = Reading(torch.arange(len(ids)), wanted)
        return read_batches([encoder], [PieceBatch(ids, mask, torch.zeros_like(ids), [reading])])[0]


def states_there(model, ids, mask):
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()]


def run(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())
