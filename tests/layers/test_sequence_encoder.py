"""Questions, predicates and pairs against a plain oracle: windows written out by hand, each alone through a bare model.

The bare model is that of transformers, its attention replaced by the family's oracle; it takes ids and token types.
"""

import copy
import inspect

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import Doc
from thinc.api import torch2xp

from spacy_ptv2.alignment.layouts import DocLayout, PairLayout, PredicateLayout, QuestionLayout
from spacy_ptv2.alignment.word_shape import MARKED
from spacy_ptv2.architectures import build_sequence_encoder_v1
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.bridge.training_pass import TrainingPass
from spacy_ptv2.engines.engine import Engine
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.layers.encode_pieces import get_shim
from spacy_ptv2.options import AdapterOptions, PromptOptions, WindowOptions
from spacy_ptv2.pipeline import joint_reading
from spacy_ptv2.pipeline.joint_reading import Request, read_ahead

from ..alignment.plain import align, choose_owners, cut
from ..injection.oracles import install_oracle, load_bare
from ..tiny import build_options, save_tiny_backbone

NLP = spacy.blank("en")
FAMILIES = ["bert", pytest.param("deberta-v2", marks=pytest.mark.exhaustive), "modernbert", "mpnet", "roberta"]
WINDOW, OVERLAP = 28, 6
LAYOUTS = {
    "doc": DocLayout(),
    "question": QuestionLayout(),
    "predicate": PredicateLayout(append=True, mark=False),
    "pair": PairLayout(),
}
CASES = [(name, "tokens") for name in LAYOUTS] + [
    ("pair", "sequence"),
    ("question", "sequence"),
    ("predicate", "spans"),
]
CASES += [("pair", "spans")]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory):
    return save_tiny_backbone(tmp_path_factory.mktemp("sequences") / request.param, request.param, deviation=0.15)


def make_docs():
    """Long and short, with spaces, without a question, with several; pairs by attribute and by span group."""
    texts = [
        "peter opens the danish office in london and mary works there " * 3,
        "john  works\nin paris",
        "a letter from the garden of mary was opened in the office of peter by john at paris",
        "",
    ]
    docs = [NLP(text) for text in texts]
    for doc, questions in zip(docs, (["who works in london ?", "where"], "what", [], ["who"]), strict=True):
        doc._.questions = questions
        doc.spans["predicates"] = [doc[i : i + 1] for i in (2, len(doc) - 1)] if len(doc) else []
        doc._.second_text = ["mary opens it", "john"]
    docs[2].spans["texts"] = [docs[2][:6], docs[2][6:]]
    docs[2].spans["marked"] = [docs[2][1:3], docs[2][8:9]]
    docs[0].spans["marked"] = [docs[0][3:4], docs[0][20:23]]
    return docs


def sequences_of(name, docs):
    """(doc, first and last token of the body, other text, whether it is first, spans) of each sequence, by hand."""
    found = []
    for doc in docs:
        whole = (doc, 0, len(doc))
        if name == "doc":
            found.append((*whole, None, False, []))
        elif name == "question":
            asked = [doc._.questions] if isinstance(doc._.questions, str) else doc._.questions
            found += [(*whole, NLP.make_doc(text)[:], True, []) for text in asked]
        elif name == "predicate":
            found += [(*whole, span, False, [span]) for span in doc.spans["predicates"]]
        elif "texts" in doc.spans:
            first, second = doc.spans["texts"]
            found.append((doc, first.start, first.end, second, False, list(doc.spans["marked"])))
        else:
            marked = list(doc.spans["marked"]) if "marked" in doc.spans else []
            found += [(*whole, NLP.make_doc(text)[:], False, marked) for text in doc._.second_text]
    return found


def pieces_of(span, tokenizer):
    """Ids of the pieces of some tokens, and for each token of their Doc its pieces among these."""
    encoding = tokenizer(span.doc.text, add_special_tokens=False, return_offsets_mapping=True)
    ids, _, first, last = align(span.doc, encoding["input_ids"], encoding["offset_mapping"])
    if not ids or not len(span):
        return [], {}
    start = 0 if len(span) == len(span.doc) else first[span.start]
    end = len(ids) if len(span) == len(span.doc) else last[span.end - 1] + 1
    places = {
        token.i: [] if token.is_space else [piece - start for piece in range(first[token.i], last[token.i] + 1)]
        for token in span
    }
    return ids[start:end], places


def oracle_rows(name, kind, docs, tokenizer, hidden_states):
    """For each sequence the vectors of its rows; None for one of no piece. hidden_states: See `oracle_of`."""
    sequences = sequences_of(name, docs)
    return [rows_of_sequence(kind, sequence, tokenizer, hidden_states) for sequence in sequences]


def rows_of_sequence(kind, sequence, tokenizer, hidden_states):
    doc, a, b, other, other_first, spans = sequence
    body, places = pieces_of(doc[a:b], tokenizer)
    start, *_, end = tokenizer("peter")["input_ids"]
    roberta_like = tokenizer("peter", "john")["input_ids"].count(end) == 3
    middle, second = ([end, end], 0) if roberta_like else ([end], 1)
    before, after, body_type, other_places = [(start, 0)], [(end, 0)], 0, {}
    if other is not None:
        ids, other_places = pieces_of(other, tokenizer)
        ids = ids[: (WINDOW - 2 - len(middle)) // 2]
        if other_first:
            before = [(piece, 0) for piece in (start, *ids, *middle)]
            after, body_type = [(end, second)], second
        else:
            after = [*((piece, 0) for piece in middle), *((piece, second) for piece in (*ids, end))]
    room = WINDOW - len(before) - len(after)
    ranges = cut(0, len(body), room, OVERLAP if other is None else min(OVERLAP, room // 2)) if b > a else []
    windows = [[*before, *((piece, body_type) for piece in body[x:y]), *after] for x, y in ranges]
    states = [hidden_states(*zip(*window, strict=True)) for window in windows]
    source, owner = choose_owners(ranges, len(body))

    def of_token(token):
        if a <= token < b:
            found = [(owner[piece], len(before) + source[piece] - ranges[owner[piece]][0]) for piece in places[token]]
        else:  # in the second text, as it stands in the first window
            skipped = len(before) + ranges[0][1] - ranges[0][0] + len(middle)
            found = [(0, skipped + piece) for piece in other_places[token]]
        return [states[window][column] for window, column in found]

    if kind == "sequence":
        return [torch.stack([own[0] for own in states]).mean(0)] if states else [None]
    if kind == "tokens":
        return [of_token(i)[0] if of_token(i) else None for i in range(a, b)]
    return [torch.stack([s for i in range(span.start, span.end) for s in of_token(i)]).mean(0) for span in spans]


def build(folder, name, kind, engine="torch"):
    settings = {"lora_rank": 0, "scalar_mix": False, "word_shape": False, "mixed_precision": False, "engine": engine}
    prompt = PromptOptions(length=3, dropout=0.0)
    options = build_options(
        prompt=prompt, window=WINDOW, overlap=OVERLAP, batch_pieces=100, backbone_dropout=False, **settings
    )
    model = build_sequence_encoder_v1(BackboneSource(str(folder), dtype="float32"), LAYOUTS[name], kind, **options)
    torch.manual_seed(3)
    model.initialize()
    return model


def oracle_of(folder, encoder):
    """A function from ids and types of one window to its hidden states, with the encoder's prompt."""

    loaded, rule = load_bare(folder)
    rule.prepare(loaded)

    def hidden_states(ids, types):
        bare = copy.deepcopy(loaded)
        mask = torch.ones(1, len(ids), dtype=torch.long)
        install_oracle(bare, rule, folder.name, mask, encoder.prompt(None))
        embeddings = bare.get_input_embeddings()(torch.tensor([ids]))  # tiny MPNets take <s> for padding
        inputs = {"inputs_embeds": embeddings, "attention_mask": mask}
        if "token_type_ids" in inspect.signature(bare.forward).parameters and bare.config.type_vocab_size:
            inputs["token_type_ids"] = torch.tensor([types])
        return bare(**inputs).last_hidden_state[0]

    return hidden_states


@pytest.fixture(scope="module")
def oracle(folder):
    """Rows of the oracle for a case and a layer of `build`, with the oracle's encoder; each case is computed once."""
    known = {}

    def rows(name, kind, model):
        if (name, kind) not in known:
            encoder = model.layers[0].shims[0].encoder
            run = oracle_of(folder, encoder)
            known[name, kind] = encoder, oracle_rows(name, kind, make_docs(), encoder.backbone.tokenizer, run)
        return known[name, kind]

    return rows


def check_rows(got, expected):
    assert [len(own) for own in got] == [len(own) for own in expected]
    for rows, right in zip(got, expected, strict=True):
        for row, vector in zip(rows, right, strict=True):
            if vector is None:
                assert (row == row[0]).all()  # spaces: one constant
            else:
                np.testing.assert_allclose(row, vector.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_rows_and_gradients_equal_the_oracle(folder, oracle, name, kind):
    docs = make_docs()
    model = build(folder, name, kind)
    theirs, expected = oracle(name, kind, model)
    check_rows(model.predict(docs), expected)
    got, backprop = model.begin_update(docs)
    check_rows(got, expected)
    torch.manual_seed(4)
    weights = [torch.randn(rows.shape) for rows in got]
    backprop([torch2xp(own) for own in weights])
    pairs = [
        (vector * own[number]).sum()
        for rows, own in zip(expected, weights, strict=True)
        for number, vector in enumerate(rows)
        if vector is not None
    ]
    (right,) = torch.autograd.grad(sum(pairs), [theirs.prompt.values], retain_graph=True)
    assert right.abs().max() > 1e-2
    values = get_shim(model.layers[0]).encoder.prompt.values
    torch.testing.assert_close(values.grad, right, atol=1e-5 * right.abs().max().item(), rtol=1e-4)


@pytest.mark.parametrize("engine", ["torch", pytest.param("openvino", marks=pytest.mark.exhaustive)])
def test_layouts_share_a_pass(folder, oracle, engine, monkeypatch):
    """In prediction: each layer gets what the oracle has for it."""
    if engine == "openvino":
        pytest.importorskip("openvino")
    passes = []
    original = joint_reading.predict_jointly
    monkeypatch.setattr(joint_reading, "predict_jointly", lambda *args: passes.append(args) or original(*args))
    ran, run = [], Engine.run
    monkeypatch.setattr(Engine, "run", lambda *args, **settings: ran.append(run(*args, **settings)) or ran[-1])
    docs = make_docs()
    models = {case: build(folder, *case, engine) for case in CASES}
    read_ahead([Request(model, docs) for model in models.values()])
    assert len(passes) == 1
    assert len(ran) > 0 if engine == "openvino" else not ran
    assert all(states is not None for states in ran)
    monkeypatch.setattr("spacy_ptv2.layers.encode_pieces.get_shim", None)  # all is there: no layer computes by itself
    for (name, kind), model in models.items():
        check_rows(model.predict(docs), oracle(name, kind, model)[1])


def test_gradients_of_layouts_in_one_pass(folder):
    docs = make_docs()
    cases = [("doc", "tokens"), ("question", "tokens"), ("pair", "sequence")]
    models = [build(folder, *case) for case in cases]
    batch = joint_reading._JointBatch([Request(model, docs) for model in models])
    shims = [get_shim(model.layers[0]) for model in models]
    together = TrainingPass(shims, batch.windows(is_train=True))
    torch.manual_seed(4)
    d_states = [torch.randn(states.shape) for states in together.states]
    for number, own in enumerate(d_states):
        together.backprop(number, torch2xp(own))
    for shim, model, own in zip(shims, models, d_states, strict=True):
        joint = shim.encoder.prompt.values.grad.clone()
        shim.encoder.prompt.values.grad = None
        encoded = model.attrs["windows"].encode(docs, [shim])
        windows = model.attrs["windows"].batch(encoded.windows, [encoded.rows.states], shim.backbone, is_train=True)
        TrainingPass([shim], windows).backprop(0, torch2xp(own))
        alone = shim.encoder.prompt.values.grad
        torch.testing.assert_close(joint, alone, atol=1e-5 * alone.abs().max().item(), rtol=1e-4)


def test_what_changed_in_between_is_computed_again(tiny_folder):
    """Predicates that an earlier component finds after the backbone has read ahead."""
    docs = make_docs()[:2]
    models = [build(tiny_folder, "predicate", kind) for kind in ("tokens", "spans")]
    read_ahead([Request(model, docs) for model in models])
    docs[0].spans["predicates"] = [docs[0][4:5]]
    assert [len(model.predict(docs)) for model in models] == [3, 3]


def test_a_single_text_makes_no_pair(tiny_folder):
    assert build(tiny_folder, "pair", "tokens").predict([NLP("mary works")]) == []


def test_token_types_are_refused_where_they_cannot_join(tmp_path):
    folder = save_tiny_backbone(tmp_path / "mobilebert", "mobilebert")
    model = build(folder, "pair", "tokens")
    with pytest.raises(PTuningError, match="P222"):
        model.predict(make_docs())
    build(folder, "doc", "tokens").predict(make_docs())


def test_marked_pieces_have_a_vector_of_their_own(tiny_folder, tmp_path):
    """Those of the predicate inside the body, spaces left out; the vector trains and is saved."""
    source = BackboneSource(str(tiny_folder))
    layout = PredicateLayout()
    model = build_sequence_encoder_v1(source, layout, windows=WindowOptions(WINDOW, OVERLAP))
    model.initialize()
    shim = get_shim(model.layers[0])
    docs = make_docs()
    windows = model.attrs["windows"].encode(docs, [shim]).windows
    classes = np.split(windows.flat_word_shapes, np.cumsum(windows.lengths)[:-1])
    marked = [shim.backbone.tokenizer.decode(ids[own == MARKED]) for ids, own in zip(windows.ids, classes, strict=True)]
    predicates = [span.text for doc in docs for span in doc.spans["predicates"]]
    assert set(marked) == {"", *predicates}  # empty in windows that the predicate is not in
    assert sum(map(bool, marked)) >= len(predicates)
    plain = model.predict(docs)
    with torch.no_grad():
        shim.encoder.word_shape.weight[MARKED] = 1.0
    marked_rows = model.predict(docs)
    assert all(abs(a - b).max() > 0 for a, b in zip(plain, marked_rows, strict=True) if len(a))
    again = build_sequence_encoder_v1(source, layout, windows=WindowOptions(WINDOW, OVERLAP))
    get_shim(again.layers[0]).from_bytes(shim.to_bytes())
    for a, b in zip(marked_rows, again.predict(docs), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_marks_need_the_table_of_word_shapes(tiny_folder):
    layout, adapter = PredicateLayout(), AdapterOptions(word_shape=False)
    with pytest.raises(PTuningError, match="P223.*`mark`"):
        build_sequence_encoder_v1(BackboneSource(str(tiny_folder)), layout, adapter=adapter)


def test_docs_without_sequences(tiny_folder):
    model = build(tiny_folder, "question", "tokens")
    assert model.predict([NLP("mary works"), Doc(NLP.vocab)]) == []


def test_decoders_are_read_from_their_last_piece(tmp_path):
    folder = save_tiny_backbone(tmp_path / "gpt2", "gpt2", max_position_embeddings=256)
    model = build(folder, "doc", "sequence")
    one, other = (model.predict([NLP(text)])[0][0] for text in ("mary works in london", "mary works in paris"))
    assert abs(one - other).max() > 1e-3
