"""The files that single pages of the docs take for granted: `GIVEN` writes them into the folder of their reader."""

import re
import shutil

import torch
from safetensors.torch import load_file
from spacy.tokens import DocBin
from spacy.vocab import Vocab
from thinc.config import Config

from spacy_ptv2.shipped import shipped_text

from .conftest import DATA
from .migration.configs import template
from .test_printed_commands import DOCUMENTS
from .test_workflows import COPA, write_multitask, write_superglue

TEXTS_CONLL = "1\tKim\tB-PER\n2\tleft\tO\n\n1\tLee\tB-PER\n2\tcame\tO\n"


def first_block(page, language):
    return re.search(rf"```{language}\n(.*?)```", DOCUMENTS[page], flags=re.DOTALL)[1]


def give_assembly(folder):
    """The files that the page prints itself."""
    page = "docs/guides/many_adapters.md"
    (folder / "assemble.cfg").write_text(first_block(page, "ini"), encoding="utf8")
    (folder / "trials.json").write_text(first_block(page, "json"), encoding="utf8")


def give_adamw(folder):
    config = Config().from_str(shipped_text("ner"), interpolate=False)
    del config["training"]["optimizer"]["momentum"]
    config["training"]["optimizer"]["@optimizers"] = "spacy_ptv2.AdamW.v1"
    config.to_disk(folder / "adamw.cfg")


def give_text(folder):
    (folder / "texts.txt").write_text("Kim gave Lee a book yesterday.\n", encoding="utf8")


def give_texts(folder):
    (folder / "corpus" / "train").mkdir(parents=True)
    for name in ("train.conll", "train/a.conll", "train/b.conll"):
        (folder / "corpus" / name).write_text(TEXTS_CONLL, encoding="utf8")


def give_corpora_of_tasks(folder):
    (folder / "ner.cfg").unlink()  # which the page writes
    for part in ("train", "dev", "test"):
        shutil.copyfile(DATA / "propbank_ewt.txt", folder / f"{part}.props")
    for name, write in (("superglue", write_superglue("COPA", COPA)), ("conll04", write_multitask)):
        (folder / "data" / name).mkdir(parents=True)
        write(folder / "data" / name)
    for name in ("conll2003", "bc5cdr"):
        shutil.copytree(folder / "data" / "conll04", folder / "data" / name)


def give_demo(folder):
    for name in ("news", "mail"):
        shutil.copytree(folder / "en_ptv2_ner", folder / "training" / name / "model-best")


def give_adapters(folder):
    """Adapters of PEFT: a prompt and LoRA, and the prompt once more as PyTorch pickles it."""
    shutil.move(folder / "adapter" / "prompt", folder / "PREFIX")
    shutil.move(folder / "adapter" / "lora", folder / "LORA")
    shutil.rmtree(folder / "adapter")
    shutil.copytree(folder / "PREFIX", folder / "ADAPTER")
    torch.save(load_file(folder / "PREFIX" / "adapter_model.safetensors"), folder / "pytorch_model.bin")


def give_template(folder):
    """And a corpus that has each move of the parser at least thirty times, as spaCy's template asks."""
    docs = list(DocBin().from_disk(folder / "train.spacy").get_docs(Vocab()))
    DocBin(docs=docs * 30).to_disk(folder / "train.spacy")
    (folder / "train.cfg").write_text(template("tagger", "parser", "ner"), encoding="utf8")


def give_lake(folder):
    for place in ("texts", "lake/texts"):
        (folder / place).mkdir(parents=True)
        (folder / place / "one.txt").write_text("Kim gave Lee a book.", encoding="utf8")
    for name in ("ner", "tags"):
        shutil.copytree(folder / "en_ptv2_ner", folder / "training" / name / "model-best")


def give_space(folder):
    (folder / "space.json").write_text(first_block("docs/guides/tuning.md", "json"), encoding="utf8")


GIVEN = {
    "docs/experiments/tables/optimisation.md": give_adamw,
    "docs/guides/annotate.md": give_lake,
    "docs/guides/demo.md": give_demo,
    "docs/guides/interchange.md": give_adapters,
    "docs/guides/many_adapters.md": give_assembly,
    "docs/guides/migration.md": give_template,
    "docs/guides/onnx.md": give_text,
    "docs/guides/tasks.md": give_corpora_of_tasks,
    "docs/guides/tuning.md": give_space,
    "docs/reference/formats.md": give_texts,
}
