"""Tag schemes: each is found by its letters and where it writes them, and read to the entities that were written."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.training import iob_to_biluo

from spacy_ptv2.corpora.schemes import ALIASES, LETTERED, SCHEMES, find_scheme, read_tags
from spacy_ptv2.errors import CorpusError


def read(*sentences, forced=None):
    def place(sentence, token):
        return f"file:{sentence}.{token}"

    entities, scheme = read_tags([tags.split() for tags in sentences], "file", place, forced and find_scheme(forced))
    return entities, scheme.name if scheme else None


def write(scheme, length, entities):
    """Tags of a sentence as the scheme's definition says, written out letter by letter."""
    tags = ["O"] * length
    for i, (start, end, label) in enumerate(entities):
        letters = (
            [scheme.single] if end - start == 1 else [scheme.first, *scheme.middle * (end - start - 2), scheme.last]
        )
        if scheme.after and i and entities[i - 1][1:] == (start, label):
            letters[0] = scheme.after
        if scheme.before and i + 1 < len(entities) and entities[i + 1][0] == end and entities[i + 1][2] == label:
            letters[-1] = scheme.before
        tags[start:end] = [f"{letter}-{label}" for letter in letters]
    return " ".join(tags)


@st.composite
def annotated(draw):
    entities, at = [], 0
    for gap, length, label in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(["PER", "E-LOC"])), max_size=4)
    ):
        entities.append((at + gap, at + gap + length, label))
        at += gap + length
    return at + draw(st.integers(1, 2)), entities


# One sentence with everything: alone, two, three and four tokens, touching entities of one label and of two.
EVERYTHING = (16, [(0, 1, "A"), (1, 3, "A"), (3, 6, "B"), (8, 12, "A"), (13, 14, "B"), (14, 16, "B")])


@pytest.mark.parametrize("name", [scheme.name for scheme in LETTERED])
def test_each_scheme_is_told_from_the_others(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        entities, found = read(write(SCHEMES[name], *EVERYTHING))
    assert (entities, found) == ([EVERYTHING[1]], name)


@pytest.mark.parametrize("name", [scheme.name for scheme in LETTERED])
@given(sentences=st.lists(annotated(), min_size=1, max_size=3))
def test_what_a_scheme_writes_is_read_back(name, sentences):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tags = [write(SCHEMES[name], *sentence) for sentence in sentences]
        assert read(*tags, forced=name)[0] == [entities for _, entities in sentences]
        if name not in ("IOB1", "IOE1"):  # which a scheme with fewer ways may have written as well
            assert read(*tags)[0] == [entities for _, entities in sentences]


def test_spacy_agrees_on_biluo():
    tags = write(SCHEMES["IOB2"], *EVERYTHING).split()
    assert iob_to_biluo(tags) == write(SCHEMES["BILUO"], *EVERYTHING).split()


@pytest.mark.parametrize(
    ("tags", "scheme", "entities"),
    [
        ("S-PER O S-PER S-PER", "BIOES", [(0, 1, "PER"), (2, 3, "PER"), (3, 4, "PER")]),
        ("U-PER O U-PER U-PER", "BILUO", [(0, 1, "PER"), (2, 3, "PER"), (3, 4, "PER")]),
        ("W-PER W-PER O", "BMEWO", [(0, 1, "PER"), (1, 2, "PER")]),
        ("B-PER B-PER O", "IOB2", [(0, 1, "PER"), (1, 2, "PER")]),
        ("I-PER I-PER O", "IOB1", [(0, 2, "PER")]),
        ("B-PER E-PER O", "BIOES", [(0, 2, "PER")]),
        ("B-PER L-PER O", "BILUO", [(0, 2, "PER")]),
        ("E-PER E-PER O", "IOE2", [(0, 1, "PER"), (1, 2, "PER")]),
        ("B-PER M-PER E-PER S-PER", "BMES", [(0, 3, "PER"), (3, 4, "PER")]),
        ("B_PER M_PER E_PER PER_O O_LOC W_LOC O_EOS", "BMEWO", [(0, 3, "PER"), (5, 6, "LOC")]),
        ("O O O", None, []),
    ],
)
def test_files_that_several_schemes_could_have_written(tags, scheme, entities):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(tags) == ([entities], scheme)


@pytest.mark.parametrize(
    ("tags", "entities"),
    [
        ("B-PER O", [(0, 1, "PER")]),  # not ended
        ("O I-PER E-PER", [(1, 3, "PER")]),  # not begun
        ("B-PER I-LOC E-LOC", [(0, 1, "PER"), (1, 3, "LOC")]),
        ("B-PER B-PER E-PER", [(0, 1, "PER"), (1, 3, "PER")]),
        ("S-PER E-PER", [(0, 1, "PER"), (1, 2, "PER")]),
    ],
)
def test_sequences_that_are_none_are_read_sensibly_and_warned_of_once(tags, entities):
    with pytest.warns(UserWarning, match="PW20.*BIOES.*file:1") as caught:
        found, scheme = read("S-PER B-PER I-PER E-PER", tags, "E-PER O", forced="BIOES")
    assert (found[1], scheme, len(caught)) == (entities, "BIOES", 1)


def test_a_forced_scheme_is_kept_to():
    with pytest.raises(CorpusError, match=r"P002.*file:0\.1.*'S-PER'.*IOB2.*B-LABEL, I-LABEL"):
        read("O S-PER", forced="iob2")
    with pytest.warns(UserWarning, match="PW20.*2 entities.*IOB2"):
        assert read("O I-PER I-PER O I-LOC", forced="IOB2")[0] == [[(1, 3, "PER"), (4, 5, "LOC")]]


def test_a_tag_of_another_scheme_is_refused_where_it_is():
    with pytest.raises(CorpusError, match=r"P002.*file:1\.0.*'L-PER'.*BIOES"):
        read("S-PER B-PER I-PER E-PER S-PER", "L-PER")
    with pytest.raises(CorpusError, match=r"P002.*file:1\.0.*'S-PER'.*IOB2"):  # one stray letter makes no other scheme
        read("B-PER I-PER O B-PER I-PER", "S-PER")
    with pytest.raises(CorpusError, match=r"P002.*file:0\.1.*'B-'"):
        read("B-PER B-")


def test_labels_alone_are_read_if_the_user_says_so():
    assert read("PERSON PERSON O person-actor LOC", forced="IO") == (
        [[(0, 2, "PERSON"), (3, 4, "person-actor"), (4, 5, "LOC")]],
        "IO",
    )
    with pytest.raises(CorpusError, match="P002.*'PERSON'.*--scheme"):
        read("O PERSON")
    for tags in ("B-PER I-PER", "B_PER", "PER-B PER-I"):  # which would become labels
        with pytest.raises(CorpusError, match=f"P002.*'{tags.split()[0]}'.*IO"):
            read(tags, forced="IO")


def test_letters_alone_are_entities_of_one_type():
    assert read("B I O B", "O O") == ([[(0, 2, "ENTITY"), (3, 4, "ENTITY")], []], "IOB2")
    assert read("S B M E O") == ([[(0, 1, "ENTITY"), (1, 4, "ENTITY")]], "BMES")
    with pytest.raises(CorpusError, match="P002.*'B'"):
        read("B O I-PER")
    with pytest.raises(CorpusError, match="P002.*IO"):
        read("B O I", forced="IO")


def test_names_of_schemes():
    assert [find_scheme(name).name for name in ("bilou", "IOBES", "bio", "Bmewo+", "iob1")] == [
        "BILUO",
        "BIOES",
        "IOB2",
        "BMEWO",
        "IOB1",
    ]
    assert all(find_scheme(alias).name == name for alias, name in ALIASES.items())
    with pytest.raises(CorpusError, match="P008.*'IOB'.*IOB2.*IOBES"):
        find_scheme("IOB")
