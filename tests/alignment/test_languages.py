"""Texts of several languages, by tokenizers trained here: the pieces of a Doc are those of its running text."""

from types import SimpleNamespace
from unicodedata import combining

import pytest
import spacy
from spacy.tokens import Doc
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from spacy_ptv2.adapters.build import drops_case
from spacy_ptv2.alignment.pieces import piece_docs

from ..tiny import build_tokenizer

SAMPLES = [
    "Peter Hansen opens the Danish office in London, and nobody reads it twice.",
    "Die Straße führt über Köln nach Müllheim; die „Süddeutsche Zeitung“ schrieb darüber.",
    "L'Assemblée nationale s'est réunie à Nîmes : qu'en pense-t-on à l’Élysée ?",
    "Väinö Mäkeläinen työskentelee Helsingin yliopistossa ja asuu Äänekoskella.",
    "Москва и Россия. Η Αθήνα και η Ελλάδα.",
    "我在北京大学学习。他住在上海。東京都に住んでいます。ฉันเรียนที่กรุงเทพมหานคร",
]
RUNNING = [
    *SAMPLES,
    "Peter opens\nthe  Danish\toffice in\r\n\r\n London .",
    " \n Peter  \n ",
    "\u00a0the\u00a0office\u2003in London",
    "Die Straße\n  nach Ko\u0308ln, L'Assemble\u0301e\n\nVäinö\t\tMäkeläinen",
    "我在北京大学学习。 他住在上海。\n東京都",
]
# Whether the first word gets a space too, and whether offsets leave the space out.
BYTE_LEVEL = {"modernbert": (False, True), "gpt2": (False, False), "roberta": (True, True), "spaces": (True, False)}
SPACE = "Ġ"


def byte_level(kind):
    prefix, trim = BYTE_LEVEL[kind]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC() if kind == "modernbert" else None
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        SAMPLES * 5, trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False)
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@pytest.fixture(scope="module", params=BYTE_LEVEL)
def kind_and_tokenizer(request):
    return request.param, byte_level(request.param)


def pieces_of(doc, tokenizer):
    """The ids of a Doc, and the pieces of each token that is no space."""
    pieces = piece_docs([doc], tokenizer, with_word_shapes=False)
    strings = tokenizer.convert_ids_to_tokens(pieces.ids.tolist())
    bounds = zip(pieces.first, pieces.last, pieces.pieces_per_token, strict=True)
    return pieces.ids.tolist(), [strings[a : b + 1] for a, b, n in bounds if n]


@pytest.mark.parametrize("lang", ["en", "de", "fr", "fi", "zh", "xx"])
def test_pieces_are_those_of_running_text(kind_and_tokenizer, lang):
    """Leading spaces included, across line breaks, tabs and double spaces, whatever the words of the Doc."""
    _, tokenizer = kind_and_tokenizer
    nlp = spacy.blank(lang)
    for text in RUNNING:
        doc = nlp(text)
        ids, _ = pieces_of(doc, tokenizer)
        assert ids == tokenizer(text, add_special_tokens=False)["input_ids"]
        if doc.text == text:  # as words with and without spaces, which a corpus has, it is the same text
            words, spaces = [token.text for token in doc], [bool(token.whitespace_) for token in doc]
            assert pieces_of(Doc(nlp.vocab, words=words, spaces=spaces), tokenizer)[0] == ids


def test_each_word_has_its_own_pieces(kind_and_tokenizer):
    kind, tokenizer = kind_and_tokenizer
    for text in RUNNING[:-1]:  # in Chinese a piece may be longer than a word
        doc = spacy.blank("xx")(text)
        words = [token.text for token in doc if not token.is_space]
        found = [tokenizer.convert_tokens_to_string(own).strip() for own in pieces_of(doc, tokenizer)[1]]
        normal = tokenizer.backend_tokenizer.normalizer
        wanted = [normal.normalize_str(word) if normal else word for word in words]
        assert all(word in own for word, own in zip(wanted, found, strict=True))
    _, own = pieces_of(spacy.blank("en")("Peter opens the\noffice  in"), tokenizer)
    strings = ["".join(pieces) for pieces in own]
    first = SPACE if BYTE_LEVEL[kind][0] else ""
    assert strings == [f"{first}Peter", f"{SPACE}opens", f"{SPACE}the", "office", f"{SPACE}in"]


@pytest.mark.parametrize("spaces", [False, True])
def test_text_without_spaces(kind_and_tokenizer, spaces):
    """Words of Japanese and Thai, as their tokenizers would give them; some pieces belong to two of them."""
    _, tokenizer = kind_and_tokenizer
    for words in (
        ["東京", "都", "に", "住ん", "で", "い", "ます", "。"],
        ["ฉัน", "เรียน", "ที่", "กรุงเทพมหานคร"],
        list("北京大学"),
    ):
        doc = Doc(spacy.blank("xx").vocab, words=words, spaces=[spaces] * len(words))
        ids, own = pieces_of(doc, tokenizer)
        assert ids == tokenizer(doc.text, add_special_tokens=False)["input_ids"]
        text = [tokenizer.convert_tokens_to_string(pieces) for pieces in own]
        assert len(own) == len(words) and all(
            word in got or "\ufffd" in got for word, got in zip(words, text, strict=True)
        )


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC"])
def test_combining_characters_stay_with_their_word(form):
    tokenizer = build_tokenizer("xlm-roberta")
    tokenizer.backend_tokenizer.normalizer = getattr(normalizers, form)()
    words = ["Cafe\u0301", "ﬁne", "n\u0303andu\u0301", "น้ำใจ", "e\u0301", "①"]
    for spaces in ([True] * 6, [False] * 6):
        doc = Doc(spacy.blank("xx").vocab, words=words, spaces=spaces)
        pieces = piece_docs([doc], tokenizer, with_word_shapes=False)
        offsets = tokenizer(doc.text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        for token, a, b in zip(doc, pieces.first, pieces.last, strict=True):
            start, end = token.idx, token.idx + len(token)
            assert all(offsets[i][0] < end and offsets[i][1] > start for i in range(a, b + 1))
            covered = {place for i in range(a, b + 1) for place in range(*offsets[i])}
            assert {place for place in range(start, end) if not combining(doc.text[place])} <= covered


def word_piece(samples, *, lowercase):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(samples * 5, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")


LATIN = ["PARIS paris", "Die Straße"]
CYRILLIC = ["МОСКВА москва", "Россия и Москва"]


@pytest.mark.parametrize(
    ("tokenizer", "drops"),
    [
        (word_piece(LATIN, lowercase=True), True),
        (word_piece(LATIN, lowercase=False), False),
        (word_piece(CYRILLIC, lowercase=True), True),
        (word_piece(CYRILLIC, lowercase=False), False),
        (word_piece(["ΑΘΗΝΑ αθηνα"], lowercase=False), False),
        (word_piece(["我在北京大学学习"], lowercase=False), False),
        (byte_level("modernbert"), False),
        (byte_level("roberta"), False),
        (build_tokenizer("xlm-roberta"), False),
        (build_tokenizer("bert"), True),
    ],
)
def test_word_shapes_are_for_tokenizers_that_drop_case(tokenizer, drops):
    """Of a script that a tokenizer does not know, upper and lower case are alike too, but as unknown pieces."""
    assert drops_case(SimpleNamespace(tokenizer=tokenizer)) is drops
