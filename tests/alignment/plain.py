"""Pieces, windows and places Doc by Doc, written out plainly: what the vectorised alignment must agree with."""

import numpy as np

from spacy_ptv2.alignment.pieces import NO_PIECE

NUMBER, ALPHANUMERIC, LOWER, UPPER, TITLE, MIXED, INITIAL, OTHER = 6, 7, 1, 2, 3, 4, 5, 8


def plain_encoding(docs, tokenizer, special, *, window, overlap, get_spans=None):
    """Return (ids of each window, word shapes of each, windows per Doc, (window, column) of each token's pieces)."""
    prefix, suffix = special
    encoding = tokenizer([doc.text for doc in docs], add_special_tokens=False, return_offsets_mapping=True)
    all_spans = [None] * len(docs) if get_spans is None else get_spans(docs)
    ids, word_shape, per_doc, places = [], [], [], []
    for number, doc in enumerate(docs):
        own, classes, first, last = align(doc, encoding["input_ids"][number], encoding["offset_mapping"][number])
        stretches = [(0, len(own))]
        if all_spans[number] is not None and len(own):
            kept = [(s.start, s.end) for s in all_spans[number] if s.end > s.start]
            stretches = [(first[a], last[b - 1] + 1) for a, b in kept] or [(0, 0)]
        body = window - len(prefix) - len(suffix)
        ranges = [pair for a, b in stretches for pair in cut(a, b, body, overlap)] if len(doc) else []
        source, owner = choose_owners(ranges, len(own))
        for token, a, b in zip(doc, first, last, strict=True):
            places.append([])
            for piece in range(a, b + 1) if not token.is_space else ():
                if piece == NO_PIECE or source[piece] == NO_PIECE:
                    places[-1].append((len(ids), 0))
                else:
                    local = owner[piece]
                    places[-1].append((len(ids) + local, len(prefix) + source[piece] - ranges[local][0]))
        ids += [[*prefix, *own[a:b], *suffix] for a, b in ranges]
        word_shape += [[0] * len(prefix) + list(classes[a:b]) + [0] * len(suffix) for a, b in ranges]
        per_doc.append(len(ranges))
    return ids, word_shape, per_doc, places


def align(doc, ids, offsets):
    if not ids:
        return [], [], [NO_PIECE] * len(doc), [NO_PIECE] * len(doc)
    starts = [min(start for start, _ in offsets[place:]) for place in range(len(ids))]
    ends = [max(end for _, end in offsets[: place + 1]) for place in range(len(ids))]
    first, last = [], []
    for token in doc:
        a = sum(end <= token.idx for end in ends)
        b = sum(start < token.idx + len(token) for start in starts) - 1
        a, b = (max(a - 1, 0),) * 2 if a > b else (a, b)
        first.append(a)
        last.append(b)
    words = [token for token in doc if not token.is_space]
    owners = [sum(word.idx + len(word) <= start for word in words) for start, _ in offsets]
    classes = [plain_word_shape_of(words[min(owner, len(words) - 1)].text) if words else 0 for owner in owners]
    return ids, classes, first, last


def cut(start, end, body, overlap):
    if end - start <= body:
        return [(start, end)]
    starts = [*range(start, end - body, body - overlap), end - body]
    return [(first, first + body) for first in starts]


def choose_owners(ranges, n_pieces):
    """The window with the most context for each piece; pieces in no window borrow the one before, or the first."""
    context = [[min(p - a, b - 1 - p) if a <= p < b else -1 for a, b in ranges] for p in range(n_pieces)]
    covered = [p for p in range(n_pieces) if max(context[p], default=-1) >= 0]
    if not covered:
        return [NO_PIECE] * n_pieces, [0] * n_pieces
    source = [max((c for c in covered if c <= p), default=covered[0]) for p in range(n_pieces)]
    return source, [int(np.argmax(context[p])) for p in source]


def plain_word_shape_of(text):
    letters = [char for char in text if char.isalpha()]
    has_digit = any(char.isdigit() for char in text)
    if not letters:
        return NUMBER if has_digit else OTHER
    if has_digit:
        return ALPHANUMERIC
    if len(letters) == 1:
        return INITIAL if letters[0].isupper() else LOWER
    if not any(char.isupper() for char in letters):
        return LOWER
    if all(char.isupper() for char in letters):
        return UPPER
    return TITLE if letters[0].isupper() and not any(char.isupper() for char in letters[1:]) else MIXED
