"""Word lists of languages that are written without spaces become text without spaces."""

import pytest
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from spacy_ptv2.cli.convert import convert
from spacy_ptv2.corpora.props import read_props
from spacy_ptv2.corpora.spacing import is_unspaced, spaces_between

ZH = "我 O\n在 O\n北 B-ORG\n京 I-ORG\n大 I-ORG\n学 I-ORG\n。 O\n"
CHARACTERS = "用 O\ni B-MISC\nP I-MISC\nh I-MISC\no I-MISC\nn I-MISC\ne I-MISC\n2 O\n0 O\n年 O\n"
JA = "東京 B-LOC\n都 I-LOC\nに O\n住ん O\nで O\nい O\nます O\n。 O\n"
TH = "ฉัน O\nเรียน O\nที่ O\nกรุงเทพมหานคร B-LOC\n"
MIXED = "他 O\n用 O\nNew B-ORG\nYork I-ORG\nTimes I-ORG\n的 O\n网站 O\n看看 O\n"
KO = "나는 O\n서울 B-LOC\n에 O\n산다 O\n"
EN = "The O\nword O\n漢字 B-MISC\nmeans O\nit O\n"


@pytest.mark.parametrize(
    ("file", "text", "entity"),
    [
        (ZH, "我在北京大学。", "北京大学"),
        (ZH + "\n" + CHARACTERS, "用iPhone20年", "iPhone"),
        (JA, "東京都に住んでいます。", "東京都"),
        (TH, "ฉันเรียนที่กรุงเทพมหานคร", "กรุงเทพมหานคร"),
        (MIXED, "他用New York Times的网站看看", "New York Times"),
        (KO, "나는 서울 에 산다", "서울"),
        (EN, "The word 漢字 means it", "漢字"),
    ],
)
def test_words_as_they_are_written(tmp_path, file, text, entity):
    (tmp_path / "words.conll").write_text(file, encoding="utf8")
    convert(tmp_path / "words.conll", tmp_path / "docs.spacy")
    docs = list(DocBin().from_disk(tmp_path / "docs.spacy").get_docs(Vocab()))
    assert docs[-1].text.strip() == text and [span.text for span in docs[-1].ents] == [entity]


def test_roles_too(tmp_path):
    (tmp_path / "roles.props").write_text("他 - (A0*)\n住 住 (V*)\n在 - (A1*\n上海 - *)\n", encoding="utf8")
    (doc,) = read_props(tmp_path / "roles.props", Vocab())
    assert doc.text == "他住在上海"


def test_what_has_no_letters_decides_nothing():
    assert not is_unspaced([]) and not is_unspaced([".", "2008", "。"])
    assert spaces_between([]) == [] and spaces_between(["a", "漢"]) == [False, False]
    assert spaces_between(["ab", "cd"]) == [True, False]
