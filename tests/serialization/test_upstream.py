"""Components that were saved together are loaded together: a head over another prompt is refused, by name."""

import shutil
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Adam

from spacy_ptv2.errors import FormatError
from spacy_ptv2.serialization.tensors import load_tensors
from spacy_ptv2.serialization.upstream import check_upstream, upstream_checksum

from ..tiny import build_pipeline

TEXT = "Peter Hansen works in New York ."


def examples(nlp):
    words = TEXT.split()
    doc = Doc(nlp.vocab, words=words, tags=["NN"] * 4 + ["NNP"] * 2 + ["."], ents=["O"] * 4 + ["B-LOC", "I-LOC", "O"])
    return [Example(Doc(nlp.vocab, words=words), doc)]


def save(tiny_folder, corpus, folder, steps):
    """A pipeline with a head of ours and one of spaCy's over one prompt."""
    nlp = build_pipeline(tiny_folder, corpus)
    listener = {"@architectures": "spacy_ptv2.PTuningListener.v1"}
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}})
    nlp.initialize(lambda: examples(nlp))
    optimizer = Adam(0.01)
    for _ in range(steps):
        nlp.update(examples(nlp), sgd=optimizer)
    nlp.to_disk(folder)
    return folder


@pytest.fixture(scope="module")
def two(tiny_folder, corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("upstream")
    return tuple(save(tiny_folder, corpus, folder / str(steps), steps) for steps in (3, 20))


@pytest.fixture
def mixed(two, tmp_path):
    """Return a function that makes a copy of the first pipeline with components of the second."""

    def mix(*names):
        folder = Path(shutil.copytree(two[0], tmp_path / "mixed"))
        for name in names:
            shutil.rmtree(folder / name)
            shutil.copytree(two[1] / name, folder / name)
        return folder

    return mix


def predict(nlp):
    doc = nlp(TEXT)
    return [(ent.start, ent.label_) for ent in doc.ents], [token.tag_ for token in doc]


@pytest.mark.parametrize("name", ["ptuning_transformer", "token_classifier", "tagger"])
def test_a_component_of_another_pipeline_is_refused(mixed, name):
    folder = mixed(name)
    with pytest.raises(FormatError, match=r"P308.*with another adapter.*`source`"):
        spacy.load(folder)
    spacy.load(folder, exclude=["ptuning_transformer"])  # nothing upstream to compare with


def test_all_components_of_another_pipeline_are_that_pipeline(mixed, two):
    swapped = spacy.load(mixed("ptuning_transformer", "token_classifier", "tagger", "vocab"))
    assert predict(swapped) == predict(spacy.load(two[1]))


def test_the_error_names_the_file(mixed):
    with pytest.raises(FormatError, match=r"mixed/token_classifier/model\.safetensors was saved"):
        spacy.load(mixed("token_classifier"))


def test_components_combined_in_memory_are_saved_as_they_are(two, tmp_path):
    """Heads by `source` over another prompt than their own: their maker knows what he does."""
    first, second = map(spacy.load, two)
    nlp = spacy.blank("en")
    nlp.add_pipe("ptuning_transformer", source=first)
    nlp.add_pipe("token_classifier", source=second)
    nlp.add_pipe("tagger", source=second)
    nlp.to_disk(tmp_path / "sourced")
    again = spacy.load(tmp_path / "sourced")
    assert predict(again) == predict(nlp)
    copied = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
    assert predict(copied) == predict(nlp)


def test_training_on_and_averages_are_recorded_anew(two, tmp_path, corpus):
    nlp = spacy.load(two[0])
    optimizer = Adam(0.01, use_averages=True)
    for _ in range(3):
        nlp.update(examples(nlp), sgd=optimizer)
    with nlp.use_params(optimizer.averages):
        nlp.to_disk(tmp_path / "best")
        expected = predict(nlp)
    nlp.to_disk(tmp_path / "last")
    assert predict(spacy.load(tmp_path / "best")) == expected
    assert predict(spacy.load(tmp_path / "last")) == predict(nlp)
    nlp.from_disk(tmp_path / "best")  # back to a checkpoint, in place
    assert predict(nlp) == expected


def test_a_replaced_listener_brings_its_prompt(two, tmp_path):
    nlp = spacy.load(two[0])
    expected = predict(nlp)
    nlp.replace_listeners("ptuning_transformer", "token_classifier", ["model.tok2vec"])
    nlp.to_disk(tmp_path / "replaced")
    again = spacy.load(tmp_path / "replaced")
    assert predict(again) == expected


def test_a_head_alone_goes_over_a_prompt_that_is_not_loaded(two, tiny_folder, corpus):
    nlp = build_pipeline(tiny_folder, corpus)
    head = nlp.get_pipe("token_classifier")
    head.from_disk(two[0] / "token_classifier", exclude=["vocab"])
    nlp.from_disk(two[1], exclude=["tagger", "vocab"])


def test_files_of_before_have_no_record(two):
    """And what was written by nobody is no record."""
    _, header = load_tensors((two[0] / "token_classifier" / "model.safetensors").read_bytes(), "x")
    (saved,) = [node["upstream"] for node in header["nodes"] if "upstream" in node]
    nlp = spacy.load(two[0])
    listener = nlp.get_pipe("token_classifier").model.get_ref("tok2vec")
    assert upstream_checksum(listener) == saved
    check_upstream(listener, None, "here")
    check_upstream(listener, saved, "here")
    with pytest.raises(FormatError, match="P640.*upstream is 3"):
        check_upstream(listener, 3, "here")
