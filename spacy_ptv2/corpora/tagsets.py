"""Tells columns of parts of speech and chunks from columns of entities, by their values alone.

Sources: Penn Treebank, https://aclanthology.org/J93-2004; Universal POS, https://universaldependencies.org/u/pos/;
STTS, https://www.ims.uni-stuttgart.de/documents/ressourcen/lexika/tagsets/stts-1999.pdf; chunks: CoNLL-2000,
https://aclanthology.org/W00-0726, and TreeTagger's for German, as in the German part of CoNLL-2003.
"""

from __future__ import annotations

from collections.abc import Iterable

from .schemes import PREFIXED

PENN = (
    "CC CD DT EX FW IN JJ JJR JJS LS MD NN NNP NNPS NNS NP NPS PDT POS PP PP$ PRP PRP$ RB RBR RBS RP SYM TO UH VB VBD "
    "VBG VBN VBP VBZ WDT WP WP$ WRB ADD AFX GW HYPH NFP XX -LRB- -RRB- ( ) , . : ; ! ? # $ ` `` ' '' \" - -- ... SENT"
)
UNIVERSAL = "ADJ ADP ADV AUX CCONJ CONJ DET INTJ NOUN NUM PART PRON PROPN PRT PUNCT SCONJ SYM VERB X ."
STTS = (
    "ADJA ADJD ADV APPR APPRART APPO APZR ART CARD FM ITJ KOUI KOUS KON KOKOM NN NE NNE PDS PDAT PIS PIAT PIDAT PPER "
    "PPOSS PPOSAT PRELS PRELAT PRF PWS PWAT PWAV PAV PROAV PTKZU PTKNEG PTKVZ PTKANT PTKA TRUNC VVFIN VVIMP VVINF "
    "VVIZU VVPP VAFIN VAIMP VAINF VAPP VMFIN VMINF VMPP XY $, $. $("
)
TAGSETS = tuple(frozenset(names.split()) for names in (PENN, UNIVERSAL, STTS))
CHUNKS = frozenset(
    ("ADJP", "ADVP", "CONJP", "INTJ", "LST", "NP", "PP", "PRT", "SBAR", "UCP", "VP", "NC", "PC", "VC", "AC", "CC")
)


def is_part_of_speech(values: Iterable[str]) -> bool:
    """Return whether there are two or more values and all belong to one known tag set. `NN|SYM` is two tags."""
    values = set(values)
    parts = {part for value in values for part in (value.split("|") if value.strip("|") else [value])}
    return len(values) > 1 and any(parts <= tagset for tagset in TAGSETS)


def is_chunk(values: Iterable[str]) -> bool:
    """Return whether all values are O or tags of chunks such as B-NP."""
    labels = {match[2] for value in values if (match := PREFIXED.fullmatch(value))}
    return bool(labels) and labels <= CHUNKS
