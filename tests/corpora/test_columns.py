"""What is a comment, an index, a word, a tag, a part of speech: decided by content, or said by the user."""

import warnings

import pytest

from spacy_ptv2.corpora.conll import read_conll
from spacy_ptv2.corpora.files import read_file
from spacy_ptv2.corpora.options import build_file_options
from spacy_ptv2.errors import CorpusError


def read(folder, text, *, word=None, tag=None, name="corpus.txt"):
    """The documents of a text, and what was found."""
    path = folder / name
    path.write_text(text, encoding="utf8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_file(path, build_file_options(columns={"word": word, "tag": tag}), None)


def words(documents):
    return [" ".join(sentence.words) for document in documents for sentence in document.sentences]


def only(documents):
    ((sentence,),) = (document.sentences for document in documents)
    return sentence


@pytest.mark.parametrize("separator", ["\t", " "])
def test_hashes_are_words_where_they_have_a_tag(tmp_path, separator):
    text = "#news_O\n@anna_B-PER\n#_O\n1_O\n\n#_O\n#oslo_B-LOC\n\n#late_O\n".replace("_", separator)
    documents, _ = read(tmp_path, text)
    assert words(documents) == ["#news @anna # 1", "# #oslo", "#late"]
    assert words(read(tmp_path, "#news_O\n#_B-PER\n".replace("_", separator))[0]) == ["#news #"]


@pytest.mark.parametrize(
    "comment",
    [
        "# a comment",
        "# sent_id = 1",
        "# text = Anna O",
        "#text = B-PER O",
        "#",
        "##",
        "#\thttp://no.example/ [2010]",
        "# newpar",
        "#id 17 b",
        "# text = #oslo\tO",
        "###",
    ],
)
@pytest.mark.parametrize("layout", ["{}\tNNP\tO", "{} NNP B-NP O", "{} O"])
def test_comments_are_read_over(tmp_path, comment, layout):
    lines = [comment, *(layout.format(word) for word in ("Anna", "#", "Oslo")), "", comment, layout.format("#b")]
    documents, _ = read(tmp_path, "\n".join(lines))
    assert words(documents) == ["Anna # Oslo", "#b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#oslo LOC\nis O\n", r"P002.*:1.*'LOC'"),
        ("is O\n# X\n", r"P002.*:2.*'X'"),
        ("is\tO\n#oslo\tB-\n", r"P002.*:2.*'B-'"),
        ("is NN O\n#oslo O\n", r"P001.*:2.*3 columns.*got 2"),
        ("is O\n#oslo\n", r"P003.*:2"),
        ("#oslo\nis O\n", r"P003.*:1"),
        ("is O\n#\nbig O\n", r"P003.*:2"),
    ],
)
def test_a_hashtag_with_a_wrong_tag_is_no_comment(tmp_path, text, message):
    with pytest.raises(CorpusError, match=message):
        read(tmp_path, text)


def test_comments_mark_documents(tmp_path):
    text = "# newdoc id = a\n# sent_id = 1\nA\tO\n\n# sent_id = 2\nB\tO\n\n# newdoc\n# newpar\nC\tO\n"
    documents, _ = read(tmp_path, text)
    assert [len(document.sentences) for document in documents] == [2, 1]
    documents, _ = read(tmp_path, "###MEDLINE:1\n\nA\tO\n\nB\tO\n\n###MEDLINE:2\n\nC\tO\n")
    assert [len(document.sentences) for document in documents] == [2, 1]


def test_an_index_counts_in_each_sentence(tmp_path):
    documents, layout = read(tmp_path, "0 Anna B-PER\n1 7 O\n\n0 8 O\n")
    assert words(documents) == ["Anna 7", "8"]
    assert "word in column 2" in layout
    many = "1 Anna O\n2 Berg O\n\n" * 10 + "1 Anna O\n3 Berg O\n"
    assert words(read(tmp_path, many)[0]) == ["Anna Berg"] * 11  # one mistake does not make words of numbers
    assert words(read(tmp_path, "1 O\n2 O\n\n1 O\n")[0]) == ["1 2", "1"]  # there is no other column
    assert words(read(tmp_path, "1 CD O\n2 CD O\n\n2 CD O\n")[0]) == ["1 2", "2"]  # does not begin again
    assert words(read(tmp_path, "1 Anna B-PER\n2 7 O\n\n-DOCSTART- -X- O\n\n1 8 O\n")[0]) == ["Anna 7", "8"]


def test_multiword_tokens_and_empty_nodes_are_no_words(tmp_path):
    lines = ["1-2\tdel\t_", "1\tde\tO", "2\tel\tO", "2.1\tx\t_", "3\tOle\tB-PER"]
    documents, _ = read(tmp_path, "# text = del Ole\n" + "\n".join(lines) + "\n\n1\tOle\tB-PER\n")
    assert words(documents) == ["de el Ole", "Ole"]
    assert documents[0].sentences[0].entities == ((2, 3, "PER"),)


SEVERAL = "Anna x B-PER NNP O\nBerg y I-PER NNP O\n, , O , B-GEO\n"


@pytest.mark.parametrize(("word", "tag"), [(2, 3), ("2", "-3"), (-4, "+3")])
def test_columns_by_number(tmp_path, word, tag):
    sentence = only(read(tmp_path, SEVERAL, word=word, tag=tag)[0])
    assert sentence.words == ("x", "y", ",")
    assert sentence.entities == ((0, 2, "PER"),)
    assert only(read(tmp_path, SEVERAL, tag=-1)[0]).entities == ((2, 3, "GEO"),)


def test_columns_by_name(tmp_path):
    header = "Form Lemma Fine Coarse Other\n"
    documents, layout = read(tmp_path, header + SEVERAL, word="form", tag="other")
    assert only(documents).entities == ((2, 3, "GEO"),)
    assert layout.startswith("columns: word in column 1 (Form), tag in 5 (Other)")
    text = (header + SEVERAL).replace(", , O ,", ". . O .").replace(" ", ",")
    documents, _ = read(tmp_path, text, word="Lemma", tag="FINE", name="x.csv")
    assert only(documents).words == ("x", "y", ".")


@pytest.mark.parametrize("column", [0, 6, -6, "ner", "99"])
def test_a_column_that_is_not_there(tmp_path, column):
    with pytest.raises(CorpusError, match=f"P009.*corpus.txt.*{column}.*1 to 5.*no header"):
        read(tmp_path, SEVERAL, word=column)
    with pytest.raises(CorpusError, match="P009.*named word, a, b, c, ner"):
        read(tmp_path, "word a b c ner\n" + SEVERAL, word="words")


def test_of_several_tag_columns_the_first_is_taken_and_said(tmp_path):
    with pytest.warns(UserWarning, match=r"PW22.*columns 3, 5.*Column 3"):
        (document,) = read_conll(write(tmp_path, SEVERAL))
    assert document.sentences[0].entities == ((0, 2, "PER"),)


def write(folder, text):
    path = folder / "corpus.txt"
    path.write_text(text, encoding="utf8")
    return path


def test_a_named_tag_column_is_no_matter_of_choice(tmp_path):
    documents, layout = read(tmp_path, "word a ner b c\n" + SEVERAL)
    assert "tag in 3 (ner)" in layout
    assert only(documents).entities == ((0, 2, "PER"),)


def test_chunks_are_entities_only_where_nothing_else_is(tmp_path):
    text = "Anna NNP B-NP B-PER\nBerg NNP I-NP I-PER\nruns VBZ B-VP O\n"
    assert only(read(tmp_path, text)[0]).entities == ((0, 2, "PER"),)
    chunks = "\n".join(line.rpartition(" ")[0] for line in text.splitlines())
    assert only(read(tmp_path, chunks)[0]).entities == ((0, 2, "NP"), (2, 3, "VP"))
    with pytest.raises(CorpusError, match=r"P002.*:3.*'Q'"):  # a wrong tag does not make the chunks the entities
        read(tmp_path, text.replace("VP O", "VP Q"))


@pytest.mark.parametrize(
    ("second", "is_pos"),
    [
        (("NNP", "VBZ", "NN|SYM", "."), True),
        (("PROPN", "VERB", "NOUN", "PUNCT"), True),
        (("NE", "VVFIN", "NN", "$."), True),
        (("_", "_", "_", "_"), False),
        (("anna", "run", "home", "."), False),
        (("Xxxx", "xxxx", "xxxx", "."), False),
        (("NNP", "VBZ", "NN", "run"), False),
        (("0.1", "0.2", "0.3", "0.4"), False),
        (("True", "False", "False", "False"), False),
    ],
)
@pytest.mark.parametrize("layout", ["{} {} O", "{} {} B-NP O", "{} {} _ _ O"])
def test_parts_of_speech_only_where_they_are(tmp_path, second, is_pos, layout):
    rows = [layout.format(word, pos) for word, pos in zip(("Anna", "runs", "home", "."), second, strict=True)]
    assert only(read(tmp_path, "\n".join(rows))[0]).tags == (second if is_pos else ())


def test_a_line_without_a_word_is_left_out_and_said(tmp_path):
    path = write(tmp_path, "Anna\tB-PER\n\tI-PER\nBerg\tI-PER\n \tO\n\n\tO\n\nOslo\tB-LOC\n")
    with pytest.warns(UserWarning, match=r"PW21.*3 lines.*line 2"):
        documents = read_conll(path)
    assert words(documents) == ["Anna Berg", "Oslo"]
    assert documents[0].sentences[0].entities == ((0, 2, "PER"),)


def test_white_space_is_inside_entities_and_never_at_their_edge(tmp_path):
    lines = ["\u00a0\tB-PER", "Anna\tI-PER", "\u2028\tI-PER", "Berg\tI-PER", "\u00a0\tI-PER", "\u3000\tB-LOC", "x y\tO"]
    sentence = only(read(tmp_path, "\n".join(lines))[0])
    assert len(sentence.words) == 7
    assert sentence.entities == ((1, 4, "PER"),)


def test_the_language_is_no_part_of_a_word_if_all_have_it(tmp_path):
    text = "zh-min-nan:Anna\tB-PER\nzh-min-nan::\tO\n\nzh-min-nan:en:x\tO\n"
    assert words(read(tmp_path, text)[0]) == ["Anna :", "en:x"]
    assert words(read(tmp_path, "en:Anna\tB-PER\nat\tO\n")[0]) == ["en:Anna at"]
    assert words(read(tmp_path, "en:Anna\tB-PER\nde:Berg\tO\n")[0]) == ["en:Anna de:Berg"]


def test_tabs_that_align_and_tabs_that_are_columns(tmp_path):
    assert words(read(tmp_path, "Anna\t\tB-PER\nAnna-Lena\tI-PER\n")[0]) == ["Anna Anna-Lena"]
    assert words(read(tmp_path, "x\t\tO\nAnna\t\tB-PER\n")[0]) == ["x Anna"]


@pytest.mark.parametrize(
    "text", ["Anna\tB-PER\tsure\nat\tO\t\n", "at\tO\t\nAnna\tB-PER\tsure\nat\tO\n", "Anna\tB-PER\nat\tO\t\t\nat\tO\n"]
)
def test_the_last_columns_may_be_empty(tmp_path, text):
    documents, _ = read(tmp_path, text)
    assert only(documents).words[:2] in (("Anna", "at"), ("at", "Anna"))
    assert len(only(documents).entities) == 1


def test_a_pipe_is_a_word_too(tmp_path):
    documents, _ = read(tmp_path, "Anna|NNP|B-PER ||SYM|O\n\n.|.|O\n")
    assert words(documents) == ["Anna |", "."]


def test_a_header_alone_is_no_corpus(tmp_path):
    with pytest.raises(CorpusError, match="P004"):
        read_conll(write(tmp_path, "word\ttag\n"))
