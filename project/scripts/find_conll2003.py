"""Find the user's copy of CoNLL-2003, check it by its counts and copy it to where the workflow expects it.

python project/scripts/find_conll2003.py FOLDER OUTPUT_FOLDER

CoNLL-2003 is not free: without the files this stops and tells how to supply them.
"""

import shutil
from pathlib import Path

import typer
from wasabi import msg

from spacy_ptv2.corpora.conll import CorpusCounts, count_corpus, read_conll
from spacy_ptv2.errors import CorpusError

NAMES = {
    "train": ("train.txt", "eng.train"),
    "dev": ("dev.txt", "valid.txt", "eng.testa"),
    "test": ("test.txt", "eng.testb"),
}
# Tjong Kim Sang and De Meulder 2003, tables 1 and 2, https://aclanthology.org/W03-0419; the sentences without those of
# the -DOCSTART- lines, which the paper counts.
PUBLISHED = {
    "train": CorpusCounts(sentences=14041, tokens=203621, entities=23499),
    "dev": CorpusCounts(sentences=3250, tokens=51362, entities=5942),
    "test": CorpusCounts(sentences=3453, tokens=46435, entities=5648),
}


def main(folder: Path, output: Path) -> None:
    """Copy the three files; warn where a count is not the published one."""
    found = {part: find_file(folder, names) for part, names in NAMES.items()}
    files = {part: path for part, path in found.items() if path is not None}
    missing = [f"{part} ({' or '.join(NAMES[part])})" for part in NAMES if part not in files]
    if missing:
        msg.fail(
            f"CoNLL-2003 is not in {folder}: {', '.join(missing)} missing",
            "CoNLL-2003 is not free, so it does not come with this project. Give the folder with your copy: "
            "`python -m spacy project run train-conll03 . --vars.conll03 FOLDER`. Without one, run the same on the "
            "free Wikigold corpus: `python -m spacy project run quickstart`.",
            exits=1,
        )
    output.mkdir(parents=True, exist_ok=True)
    for part, path in files.items():
        report_counts(part, path)
        target = output / f"{part}.txt"
        if path.resolve() != target.resolve():
            shutil.copyfile(path, target)


def find_file(folder: Path, names: tuple[str, ...]) -> Path | None:
    """Return the first of these files that the folder holds."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def report_counts(part: str, path: Path) -> None:
    """Print whether a file has the published numbers of sentences, tokens and entities."""
    try:
        counts, expected = count_corpus(read_conll(path)), PUBLISHED[part]
    except CorpusError as error:
        msg.fail(f"{part}: cannot be read", str(error), exits=1)
    if counts == expected:
        msg.good(f"{part}: {counts.sentences} sentences, {counts.tokens} tokens, {counts.entities} entities")
    else:
        msg.warn(
            f"{part}: {path} is not the published CoNLL-2003",
            f"Got {counts}, expected {expected}. Scores will not compare with published ones.",
        )


if __name__ == "__main__":
    typer.run(main)
