"""Small files of many kinds, as the documentation of each tool shows them, in our own words."""

import json

TEXT = "Anna Berg visits Oslo. Acme pays."
BERG, OSLO, ACME = (0, 9, "PER"), (17, 21, "LOC"), (23, 27, "ORG")
ENTITIES = [("Anna Berg", "PER"), ("Oslo", "LOC"), ("Acme", "ORG")]
WORDS = ["Anna Berg visits Oslo .".split(), "Acme pays .".split()]
IOB2 = [["B-PER", "I-PER", "O", "B-LOC", "O"], ["B-ORG", "O", "O"]]
POS = [["NNP", "NNP", "VBZ", "NNP", "."], ["NNP", "VBZ", "."]]
BIOES = [["B-PER", "E-PER", "O", "S-LOC", "O"], ["S-ORG", "O", "O"]]


def rows(*columns, separator="\t", before=(), header=""):
    """Sentences with a line per token; a column is a list per sentence, or one text for all rows, # for the number."""
    blocks = []
    for number, words in enumerate(WORDS):
        lines = [line.format(n=number + 1, text=" ".join(words)) for line in before]
        for i in range(len(words)):
            cells = [column if isinstance(column, str) else column[number][i] for column in columns]
            lines.append(separator.join(str(i + 1) if cell == "#" else cell for cell in cells))
        blocks.append("\n".join(lines))
    return header + "\n\n".join(blocks) + "\n"


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def spans(**names):
    """BERG, OSLO and ACME as objects with these keys."""
    start, end, label = names.get("start", "start"), names.get("end", "end"), names.get("label", "label")
    return [{start: s, end: e, label: x} for s, e, x in (BERG, OSLO, ACME)]


def task(results, **more):
    return {"id": 7, "data": {"text": TEXT}, "annotations": [{"result": results, "was_cancelled": False}], **more}


RESULTS = [
    {"type": "labels", "to_name": "text", "value": {"start": s, "end": e, "labels": [x], "text": TEXT[s:e]}}
    for s, e, x in (BERG, OSLO, ACME)
]  # fmt: skip
SPACY_2 = [
    {"orth": word, "tag": pos, "ner": ner.replace("S-", "U-").replace("E-", "L-")}
    for word, pos, ner in zip(WORDS[0] + WORDS[1], POS[0] + POS[1], BIOES[0] + BIOES[1], strict=True)
]
BRACKETS = [["(PER*", "*)", "*", "(LOC)", "*"], ["(ORG)", "*", "*"]]
ONTONOTES = ("nw/1", "0", "#", WORDS, POS, "*", "-", "-", "-", "-", BRACKETS, "(ARG0*", "-")
CONLLU = [[f"NER={tag}|SpaceAfter=No" if tag != "O" else "_" for tag in tags] for tags in IOB2]
KAGGLE = [
    "Sentence #,Word,POS,Tag",
    *(
        f"{f'Sentence: {n + 1}' if i == 0 else ''},{word},{POS[n][i]},{IOB2[n][i]}"
        for n, words in enumerate(WORDS)
        for i, word in enumerate(words)
    ),
]
HIPE_HEADER = "TOKEN\tNE-COARSE-LIT\tNE-COARSE-METO\tNE-FINE-LIT\tMISC\n# hipe2022:document_id = ours\n"

SKELETON = "#begin document (x)\nx 0 0 [WORD] NN * - - - - * -\n"

# name: (content, words that the description has); the name of the file ends as the part after the dot
READ = {
    "conll2003.txt": (rows(WORDS, POS, "B-NP", IOB2, separator=" "), "tag in 4, part of speech in 2"),
    "conll2002.esp": (rows(WORDS, POS, IOB2, separator=" "), "tag in 3, part of speech in 2"),
    "wnut17.conll": (rows(WORDS, IOB2), "scheme IOB2"),
    "crlf_and_bom.txt": ("\ufeff" + rows(WORDS, IOB2).replace("\n", "\r\n"), "scheme IOB2"),
    "bioes.txt": (rows(WORDS, BIOES, separator=" "), "scheme BIOES"),
    "wikiann.txt": (rows([[f"en:{w}" for w in s] for s in WORDS], IOB2), "scheme IOB2"),
    "germeval.tsv": (rows("#", WORDS, IOB2, "O", before=["#\thttp://de.example/{n} [2010-01-01]"]), "tag in 3 of 4"),
    "mit_movie.bio": (rows(IOB2, WORDS), "word in column 2, tag in 1 of 2"),
    "tag_in_the_middle.tsv": (rows(WORDS, IOB2, "0.9", "_"), "tag in 2 of 4"),
    "index.txt": (rows("#", WORDS, IOB2, "O", separator=" "), "word in column 2, tag in 3"),
    "uner.iob2": (
        rows("#", WORDS, IOB2, "-", "annotator", before=["# sent_id = {n}", "# text = {text}"]),
        "word in column 2, tag in 3 of 5",
    ),
    "multiconer.conll": (rows(WORDS, "_", "_", IOB2, separator=" ", before=["# id ab-{n}\tdomain=en"]), "tag in 4"),
    "conllu.conllu": (rows("#", WORDS, WORDS, "X", POS, "_", "0", "root", "_", CONLLU), "word in column 2, tag in 10"),
    "conllu_plus.conllup": (
        rows("#", WORDS, "X", IOB2, "_", header="# global.columns = ID FORM UPOS RONEC:IOB CORPUS:X\n"),
        "tag in 4 (RONEC:IOB)",
    ),
    "hipe.tsv": (rows(WORDS, IOB2, "O", "O", "_", header=HIPE_HEADER), "tag in 2 (NE-COARSE-LIT)"),
    "conll2012.gold_conll": (
        "#begin document (nw/1); part 000\n" + rows(*ONTONOTES, separator="   ") + "\n#end document\n",
        "CoNLL-2012",
    ),
    "kaggle.csv": ("\n".join(KAGGLE), "tag in 4 (Tag), part of speech in 3 (POS)"),
    "semicolons.csv": ("\n".join(KAGGLE).replace(",", ";"), "csv"),
    "tab_header.tsv": ("\n".join(KAGGLE).replace(",", "\t"), "word in column 2 (Word)"),
    "no_header.csv": (rows(WORDS, IOB2, separator=","), "csv"),
    "wikiner.txt": (
        "\n".join(" ".join(map("|".join, zip(*parts, strict=True))) for parts in zip(WORDS, POS, IOB2, strict=True)),
        "pipes: word in column 1, tag in 3",
    ),
    "spert.json": (
        json.dumps(
            [
                {
                    "tokens": WORDS[0],
                    "entities": [{"type": "PER", "start": 0, "end": 2}, {"type": "LOC", "start": 3, "end": 4}],
                    "relations": [],
                },
                {"tokens": WORDS[1], "entities": [{"type": "ORG", "start": 0, "end": 1}], "relations": []},
            ]
        ),
        "SpERT",
    ),
    "hugging_face.jsonl": (
        lines(*({"id": "0", "tokens": words, "ner_tags": tags} for words, tags in zip(WORDS, IOB2, strict=True))),
        "Hugging Face; scheme IOB2",
    ),
    "btc.json": (lines(*({"tokens": w, "labels": t} for w, t in zip(WORDS, BIOES, strict=True))), "scheme BIOES"),
    "gliner.json": (
        json.dumps(
            [
                {"tokenized_text": WORDS[0], "ner": [[0, 1, "PER"], [3, 3, "LOC"]]},
                {"tokenized_text": WORDS[1], "ner": [[0, 0, "ORG"]]},
            ],
            indent=1,
        ),
        "GLiNER",
    ),
    "dygie.jsonl": (
        lines({"doc_key": "a", "sentences": WORDS, "ner": [[[0, 1, "PER"], [3, 3, "LOC"]], [[5, 5, "ORG"]]]}),
        "DyGIE++",
    ),
    "spacy2.json": (
        json.dumps(
            [{"id": 0, "paragraphs": [{"raw": TEXT, "sentences": [{"tokens": SPACY_2[:5]}, {"tokens": SPACY_2[5:]}]}]}]
        ),
        "spaCy 2; scheme BILUO",
    ),
    "prodigy.jsonl": (
        lines(
            {"text": TEXT, "spans": spans(), "tokens": [{"text": "Anna", "start": 0, "end": 4}], "answer": "accept"},
            {"text": "Bad Ole", "spans": [{"start": 4, "end": 7, "label": "PER"}], "answer": "reject"},
            {"text": "Nothing.", "answer": "accept"},
        ),
        "Prodigy; tokens of spacy.blank('en'), 1 rejected",
    ),
    "doccano.jsonl": (lines({"id": 1, "text": TEXT, "label": [BERG, OSLO, ACME]}), "doccano"),
    "doccano_old.jsonl": (lines({"id": 1, "text": TEXT, "labels": [BERG, OSLO, ACME], "meta": {}}), "doccano"),
    "doccano_data.json": (json.dumps([{"id": 1, "data": TEXT, "label": [BERG, OSLO, ACME]}]), "doccano"),
    "doccano_relations.jsonl": (
        lines({"id": 1, "text": TEXT, "entities": spans(start="start_offset", end="end_offset"), "relations": []}),
        "doccano, with relations",
    ),
    "label_studio.json": (json.dumps([task(RESULTS, predictions=[])], indent=2), "Label Studio"),
    "label_studio_min.json": (
        json.dumps([{"id": 1, "text": TEXT, "label": [result["value"] for result in RESULTS], "annotator": 1}]),
        "JSON_MIN",
    ),
    "spacy2_pairs.json": (json.dumps([[TEXT, {"entities": [BERG, OSLO, ACME]}]]), "spaCy 2"),
    "ner_annotator.json": (
        json.dumps({"classes": ["PER"], "annotations": [[TEXT, {"entities": [BERG, OSLO, ACME]}], None]}),
        "spaCy 2",
    ),
}

NAMED = {
    "trees.conllu": (rows("#", WORDS, WORDS, "X", POS, "_", "0", "root", "_", "_"), r"CoNLL-U.*convert \S+ FOLDER"),
    "roles.txt": (rows(WORDS, "-", [["(A0*", "*)", "(V*)", "(A1*)", "*"], ["(A0*)", "(V*)", "*"]]), "roles.*task srl"),
    "skeleton.conll": (SKELETON, "CoNLL-2012 file without its words"),
    "tags.txt": (rows(WORDS, POS), "without entity tags"),
    "prose.txt": ("Anna Berg visits Oslo.\n\nAcme pays.\n", "without entity tags"),
    "intents.csv": ('text,category\n"Where, then, is it?",where\n', "without entity tags"),
    "sentiment.csv": ("text,label\nGood,1\nBad,0\n", "without entity tags"),
    "intents.json": (json.dumps(["where", "when"]), "list of texts"),
    "texts.jsonl": (lines({"text": TEXT}), "list of texts"),
    "textcat.jsonl": (lines({"text": TEXT, "label": ["good"]}), "classified texts"),
    "squad.json": (json.dumps({"data": [{"title": "A", "paragraphs": [{"context": TEXT, "qas": []}]}]}), "task squad"),
    "boolq.jsonl": (lines({"question": "is it", "passage": TEXT, "label": True}), "questions with passages"),
    "rte.jsonl": (lines({"premise": TEXT, "hypothesis": "Acme pays.", "label": "entailment"}), "text pairs"),
    "copa.jsonl": (lines({"premise": TEXT, "choice1": "A", "choice2": "B", "question": "cause"}), "text pairs"),
    "wic.jsonl": (lines({"word": "pay", "sentence1": TEXT, "sentence2": TEXT, "label": False}), "text pairs"),
    "types.json": (json.dumps({"entities": {"Loc": {"short": "Loc"}}, "relations": {}}), "SpERT"),
    "webanno.tsv": ("#FORMAT=WebAnno TSV 3.2\n#T_SP=x|value\n\n", "WebAnno.*CoNLL 2003"),
    "brat.ann": ("T1\tPER 0 9\tAnna Berg\n", "brat"),
    "pubtator.txt": ("1|t|Anna Berg\n1|a|visits\n1\t0\t9\tAnna Berg\tPER\t-\n", "PubTator"),
    "bioc.xml": ("<?xml version='1.0'?>\n<collection>\n</collection>\n", "XML"),
    "muc.sgml": ("<DOC>\n<ENAMEX TYPE='PERSON'>Anna</ENAMEX>\n</DOC>\n", "SGML"),
    "corpus.spacy": (b"\x78\x9c\x01\x02", r"\.spacy files.*spacy train"),
    "corpus.gz": (b"\x1f\x8b\x08\x00", "gunzip"),
    "corpus.zip": (b"PK\x03\x04\x14", "zip"),
    "corpus.parquet": (b"PAR1\x15\x04", "Parquet.*JSON Lines"),
    "corpus.arrow": (b"ARROW1\x00\x00", "Arrow.*to_json"),
    "corpus.db": (b"SQLite format 3\x00", "db-out"),
    "corpus.pkl": (b"\x80\x04\x95\x00", "pickle"),
    "utf16.txt": ("Anna\tO\n".encode("utf-16"), "UTF-16.*iconv"),
}  # fmt: skip


EMPTY = {"tokens": ["a"], "entities": []}
ENTRY = {"tokens": ["Anna", "Berg"], "entities": [{"type": "PER", "start": 0, "end": 3}]}
BROKEN = {
    "truncated.json": ('[{"text": "a", "label": []},\n {"text": "b"', r"P011.*truncated.json:2: not valid JSON"),
    "garbage.json": ('[{"text": "a", "label": []}]\nmore', r"P011.*garbage.json:\d.*not valid JSON"),
    "comma.json": ('[{"text": "a", "label": []}\n{"text": "b"}]', "P011.*no comma"),
    "line.jsonl": ('{"text": "a", "spans": []}\n\n{"text": \n', r"P011.*line.jsonl:3"),
    "deep.json": ('[{"a": ' + "[" * 100_000, "P011.*deep.json:1.*recursion"),
    "digits.json": ('[{"a": ' + "1" * 5_000 + "}]", "P011.*digits.json:1"),
    "unknown.json": ('{"wood": 1, "iron": 2}', "P012.*wood, iron"),
    "numbers.json": ("[[1, 2], [3]]", "P012.*a list"),
    "ints.jsonl": (lines({"tokens": ["a"], "ner_tags": [0]}), r"P022.*ints.jsonl:1.*dataset.features"),
    "too_few.jsonl": (lines({"tokens": ["a", "b"], "ner_tags": ["O"]}), "P013.*too_few.jsonl:1.*2 tags"),
    "outside.json": (json.dumps([EMPTY, ENTRY], indent=1), r"P013.*outside.json:8, entry 2.*2 tokens"),
    "no_label.jsonl": (lines({"text": TEXT, "spans": [{"start": 0, "end": 4}]}), "P013.*with a label"),
    "strings.jsonl": (lines({"text": TEXT, "spans": [{"start": "0", "end": 4, "label": "PER"}]}), "P013.*integers"),
    "no_text.jsonl": (lines({"text": TEXT, "spans": []}, {"spans": []}), "P013.*no_text.jsonl:2.*a text"),
    "other.jsonl": (lines({"tokens": ["a"], "tags": ["O"]}, {"tokens": 3}), "P013.*other.jsonl:2"),
    "dygie.jsonl": (lines({"sentences": [[1]], "ner": [3]}), "P013.*dygie.jsonl:1"),
    "short_span.jsonl": (lines({"tokenized_text": ["a"], "ner": [[0, 0]]}), r"P013.*short_span.jsonl:1.*label\]"),
    "null.json": (json.dumps([{"paragraphs": [{"sentences": [{"tokens": 3}]}]}]), "P013.*null.json:1, entry 1"),
    "moved.json": (json.dumps([task([{"value": {**RESULTS[0]["value"], "start": 1}}])]), "P013.*fit"),
    "surrogate.jsonl": ('{"text": "a\\ud800", "spans": []}\n', "P025.*surrogate.jsonl:1"),
    "ragged.csv": ("word,tag\nAnna,B-PER\nBerg,I-PER,x\n", "P001.*ragged.csv:3.*expected 2 columns.*got 3"),
    "field.csv": ("word,tag\n" + "Anna,O\n" * 300 + "a" * 200_000 + ",O\n", "P011.*field.csv:30.*not valid CSV"),
    "ragged_pipes.txt": ("Anna|B-PER Berg|I-PER\nvisits|O Oslo\n", "P001.*ragged_pipes.txt:2"),
    "brackets.conll": (SKELETON.replace("[WORD]", "Anna").replace(" * -\n", " (PER* -\n"), r"P023.*:2.*\(PER\*"),
    "unopened.conll": (SKELETON.replace("[WORD]", "Anna").replace(" * -\n", " *) -\n"), r"P023.*:2.*\*\)"),
    "short.conll": (SKELETON + "x 0 1 Berg\n", "P001.*short.conll:3.*12 or more"),
    "empty.json": ("[]", "P004"),
    "empty.jsonl": (lines({"text": "", "spans": []}), "P004"),
    "empty.txt": ("", "P004"),
}  # fmt: skip
