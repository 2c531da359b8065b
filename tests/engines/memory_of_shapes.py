"""Prints by how many megabytes a tiny graph grows over batches of ever new shapes; a process of its own, for caches
of OpenVINO are the process's.

python -m tests.engines.memory_of_shapes FOLDER KEPT_KERNELS
"""

import ctypes
import sys

import torch

from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.engines import openvino_graph
from spacy_ptv2.engines.graph import AdapterGraph, GraphForm, GraphInputs, export_graph

ROWS, COLUMNS = range(1, 49), range(2, 12)
FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()


class MallocInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]


def bytes_in_use():
    """What was allocated and not freed; the resident memory also has what an allocator keeps."""
    describe = ctypes.CDLL(None).mallinfo2
    describe.restype = MallocInfo
    found = describe()
    return found.uordblks + found.hblkhd


def main(folder, kept_kernels):
    torch.set_num_threads(1)
    openvino_graph.KEPT_KERNELS = kept_kernels
    backbone = get_backbone(BackboneSource(folder))
    converted = openvino_graph.convert_graph(export_graph(AdapterGraph(backbone, GraphForm()), backbone))
    graph = openvino_graph.CompiledGraph(converted, width=backbone.hidden_width, in_bfloat16=False)
    counts = []
    for n_rows in ROWS:
        for n_columns in COLUMNS:
            embeddings = torch.zeros(n_rows, n_columns, backbone.embedding_width)
            mask = torch.ones(n_rows, n_columns, dtype=torch.long)
            graph(GraphInputs(embeddings, mask, {}, {}).flat(backbone))
        counts.append(bytes_in_use())
    print((counts[-1] - counts[len(counts) // 2]) / 1e6)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
