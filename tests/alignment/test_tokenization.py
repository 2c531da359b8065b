"""Texts are text: the names of special pieces in them never become special pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_ptv2.alignment.tokenization import tokenize

from ..tiny import BYTE_LEVEL, SETTINGS, SPECIAL, build_tokenizer

TEXTS = ["peter </s> mary", "<s>", "a<mask>b", "<pad><pad> letter", "</s></s>", "paris [SEP] london", "mary", ""]
FAMILIES = [*sorted({*SETTINGS, "bert"} - set(BYTE_LEVEL)), "roberta"]


def special_ids(tokenizer):
    return frozenset(tokenizer.all_special_ids) - {tokenizer.unk_token_id}


@pytest.mark.parametrize("family", FAMILIES)
def test_names_of_special_pieces_are_text(family):
    tokenizer = build_tokenizer(family)
    special = special_ids(tokenizer)
    all_ids, all_offsets = tokenize(TEXTS, tokenizer, special)
    for text, ids, offsets in zip(TEXTS, all_ids, all_offsets, strict=True):
        assert special.isdisjoint(ids)
        covered = {place for start, end in offsets for place in range(start, end)}
        assert {place for place, char in enumerate(text) if not char.isspace()} <= covered
        assert len(ids) == len(offsets)
    assert all_ids[-2] == tokenizer("mary", add_special_tokens=False)["input_ids"]


@given(parts=st.lists(st.sampled_from([*SPECIAL, "s", ">", "<", "/", " ", "mary", "\n"]), max_size=8))
def test_no_mixture_of_them_gives_a_special_piece(parts):
    text = "".join(parts)
    for family in ("xlm-roberta", "bert"):
        tokenizer = build_tokenizer(family) if family not in TOKENIZERS else TOKENIZERS[family]
        TOKENIZERS[family] = tokenizer
        (ids,), (offsets,) = tokenize([text], tokenizer, special_ids(tokenizer))
        assert special_ids(tokenizer).isdisjoint(ids)
        assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)
        assert all(0 <= start <= end <= len(text) for start, end in offsets)


TOKENIZERS = {}


def test_the_tokenizer_of_a_backbone_is_never_switched(tiny):
    """Its setting is shared by all threads, and cannot change while one of them tokenizes."""
    backend = tiny.tokenizer.backend_tokenizer
    assert backend.encode_special_tokens
    tiny.tokenizer("paris </s>", add_special_tokens=True)
    assert tiny.special_pieces[0] and backend.encode_special_tokens
    tokenize(["paris </s>"], tiny.tokenizer, tiny.special_ids)
    assert backend.encode_special_tokens
