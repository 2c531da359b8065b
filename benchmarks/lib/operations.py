"""How many floating-point operations a backbone needs for windows of pieces, counted from its sizes.

In: the sizes of a backbone, and how many pieces each window has, without padding. Out: operations, a multiplication and
an addition counting as two. Only what the bare backbone has to do is counted, so prompts, LoRA, norms, padding and
everything outside the backbone are not; what they take shows in the time. Source: Hoffmann et al. 2022, appendix F,
https://arxiv.org/abs/2203.15556, without its embeddings, which are looked up here, and its softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spacy_ptv2.backbones.backbone import Backbone
from spacy_ptv2.injection.context import Widths


@dataclass(frozen=True)
class LayerSizes:
    """What operations are counted from.

    linear (tuple[Widths, ...]): For each layer, the input and output widths of its linear layers.
    attended (int): The width of the queries, all heads of a layer together.
    """

    linear: tuple[Widths, ...]
    attended: int

    @classmethod
    def of(cls, backbone: Backbone) -> LayerSizes:
        """Return those of a backbone. Its queries are taken to be as wide as its hidden states."""
        return cls(backbone.linear_widths, backbone.hidden_width)

    def linear_operations(self, lengths: Sequence[int]) -> int:
        """Return those of all linear layers: 2 nI nO for each piece."""
        return 2 * sum(lengths) * sum(reads * gives for layer in self.linear for reads, gives in layer)

    def attention_operations(self, lengths: Sequence[int]) -> int:
        """Return those of attention: 2 n n width for the scores, and as many for the weighted values."""
        return 4 * sum(length * length for length in lengths) * self.attended * len(self.linear)


def forward_operations(sizes: LayerSizes, lengths: Sequence[int]) -> int:
    """Return the operations of a forward pass. lengths (Sequence[int]): The pieces of each window."""
    return sizes.linear_operations(lengths) + sizes.attention_operations(lengths)


def frozen_training_operations(sizes: LayerSizes, lengths: Sequence[int]) -> int:
    """Return the operations of a forward and a backward pass with frozen weights, down to the piece embeddings.

    A frozen linear layer needs one product backward, the gradient of its input; attention needs four for its two.
    """
    return 2 * sizes.linear_operations(lengths) + 3 * sizes.attention_operations(lengths)


@dataclass
class ReadPieces:
    """What a backbone read. lengths (list[int]): The pieces of each window. n_padded (int): The same with padding."""

    lengths: list[int]
    n_padded: int = 0

    @property
    def padding(self) -> float:
        """The share of what was read that is padding."""
        return 1 - sum(self.lengths) / self.n_padded if self.n_padded else 0.0
