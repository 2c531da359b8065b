"""Plain attention over [prompt; pieces] for every family, written out from the papers, slow and obvious; and LoRA.

An oracle computes what one attention block returns for its hidden states, a prompt and the mask of the batch. It takes
nothing from the block but its weights: relative positions, rotations, windows and causality are worked out here.
"""

import copy
import inspect
import math

import torch
import transformers
from transformers.pytorch_utils import Conv1D

from spacy_ptv2.backbones.fingerprint import fingerprint_folder
from spacy_ptv2.backbones.loading import load_backbone
from spacy_ptv2.backbones.source import BackboneSource, Candidate
from spacy_ptv2.injection.context import RowGroup, injected

from ..tiny import SPECIAL

LENGTHS = {0: 5, 1: 2, 2: 3}  # a length per layer
PAD = SPECIAL.index("<pad>")


def attend(query, key, value, prompt, allowed, *, scale, bias=None):
    """Softmax over [prompt; pieces], head by head and row by row.

    query, key, value: (batch, pieces, heads, width); prompt: (2, length, kv_heads * width) or None; allowed: (batch,
    pieces, pieces), true where a piece (dim 1) sees another (dim 2); bias: (batch, heads, pieces, pieces) or None.
    RETURNS: (batch, pieces, heads * width)
    """
    batch, _, heads, width = query.shape
    kv_heads = key.shape[2]
    rows = []
    for b in range(batch):
        mixed = []
        for h in range(heads):
            g = h * kv_heads // heads
            columns = slice(g * width, (g + 1) * width)
            scores = query[b, :, h] @ key[b, :, g].T * scale
            if bias is not None:
                scores = scores + bias[b, h]
            scores = scores.masked_fill(~allowed[b], float("-inf"))
            values = value[b, :, g]
            if prompt is not None:
                scores = torch.cat([query[b, :, h] @ prompt[0][:, columns].T * scale, scores], dim=-1)
                values = torch.cat([prompt[1][:, columns], values])
            shares = torch.exp(scores - scores.amax(-1, keepdim=True))
            mixed.append(shares / shares.sum(-1, keepdim=True) @ values)
        rows.append(torch.cat(mixed, dim=-1))
    return torch.stack(rows)


def heads_of(states, width):
    return states.view(*states.shape[:2], -1, width)


def project(states, width, *projections):
    return [heads_of(projection(states), width) for projection in projections]


def sees_all(mask):
    """Every piece sees every real piece. Padding sees all, so that no row is empty; nobody looks at it."""
    return (mask.bool()[:, None, :] | ~mask.bool()[:, :, None]).expand(-1, mask.shape[1], -1)


def distances(n):
    """Entry (i, j) is i - j."""
    return torch.arange(n)[:, None] - torch.arange(n)[None, :]


# BERT and its kin


def bert(block, call, mask, prompt, model):
    states, width = call["hidden_states"], block.attention_head_size
    q, k, v = project(states, width, block.query, block.key, block.value)
    return attend(q, k, v, prompt, sees_all(mask), scale=width**-0.5)


def albert(block, call, mask, prompt, model):
    return block.LayerNorm(call["hidden_states"] + block.dense(bert(block, call, mask, prompt, model)))


def mobilebert(block, call, mask, prompt, model):
    width = block.attention_head_size
    q = heads_of(block.query(call["query_tensor"]), width)
    k = heads_of(block.key(call["key_tensor"]), width)
    v = heads_of(block.value(call["value_tensor"]), width)
    return attend(q, k, v, prompt, sees_all(mask), scale=width**-0.5)


def distilbert(block, call, mask, prompt, model):
    states = call["hidden_states"] if "hidden_states" in call else call["query"]
    width = block.attention_head_size
    q, k, v = project(states, width, block.q_lin, block.k_lin, block.v_lin)
    return block.out_lin(attend(q, k, v, prompt, sees_all(mask), scale=width**-0.5))


# Relative position bias


def t5_bucket(distance, n_buckets=32, furthest=128):
    """Raffel et al. 2020, section 2.1: half the buckets for each direction, half of these exact, half logarithmic."""
    half = n_buckets // 2
    bucket = half if distance > 0 else 0
    distance, exact = abs(distance), half // 2
    if distance < exact:
        return bucket + distance
    far = exact + int(math.log(distance / exact) / math.log(furthest / exact) * (half - exact))
    return bucket + min(far, half - 1)


def relative_bias(table, n, batch):
    """Shape: (batch, heads, n, n) from a table (buckets, heads); the distance is key minus query."""
    buckets = torch.tensor([[t5_bucket(j - i) for j in range(n)] for i in range(n)])
    return table.weight[buckets].permute(2, 0, 1).expand(batch, -1, -1, -1)


def mpnet(block, call, mask, prompt, model):
    states, width = call["hidden_states"], block.attention_head_size
    q, k, v = project(states, width, block.q, block.k, block.v)
    bias = relative_bias(model.encoder.relative_attention_bias, states.shape[1], len(states))
    return block.o(attend(q, k, v, prompt, sees_all(mask), scale=width**-0.5, bias=bias))


def t5(block, call, mask, prompt, model):
    states, width = call["hidden_states"], block.key_value_proj_dim
    q, k, v = project(states, width, block.q, block.k, block.v)
    first = model.encoder.block[0].layer[0].SelfAttention
    bias = relative_bias(first.relative_attention_bias, states.shape[1], len(states))
    return block.o(attend(q, k, v, prompt, sees_all(mask), scale=1.0, bias=bias))


# DeBERTa (He et al. 2020, equation 4): content-content, content-position and position-content


def disentangled(q, k, pos_key, pos_query, relative, scale):
    """Shape: (batch, heads, n, n). pos_key, pos_query: (positions, heads, width); relative: (n, n) rows of these."""
    n = q.shape[1]
    bias = torch.zeros(q.shape[0], q.shape[2], n, n)
    for i in range(n):
        for j in range(n):
            content_position = (q[:, i] * pos_key[relative[i, j]]).sum(-1)
            position_content = (k[:, j] * pos_query[relative[i, j]]).sum(-1)
            bias[:, :, i, j] = (content_position + position_content) * scale
    return bias


def deberta_v2(block, call, mask, prompt, model):
    states, width = call["hidden_states"], block.attention_head_size
    q, k, v = project(states, width, block.query_proj, block.key_proj, block.value_proj)
    span = block.position_buckets
    table = model.encoder.LayerNorm(model.encoder.rel_embeddings.weight)[: 2 * span]
    shared = model.config.share_att_key
    parts = (block.key_proj, block.query_proj) if shared else (block.pos_key_proj, block.pos_query_proj)
    pos_key, pos_query = (heads_of(part(table)[None], width)[0] for part in parts)
    bucketed = torch.tensor(
        [[log_bucket(int(d), span, block.max_relative_positions) for d in row] for row in distances(states.shape[1])]
    )
    relative = (bucketed + span).clamp(0, 2 * span - 1)
    scale = (3 * width) ** -0.5
    bias = disentangled(q, k, pos_key, pos_query, relative, scale)
    return attend(q, k, v, prompt, sees_all(mask), scale=scale, bias=bias)


def log_bucket(distance, n_buckets, furthest):
    """DeBERTa-v2's buckets: exact up to half of them, logarithmic up to `furthest`."""
    middle = n_buckets // 2
    if abs(distance) <= middle:
        return distance
    ratio = math.log(abs(distance) / middle) / math.log((furthest - 1) / middle)
    return int(math.copysign(math.ceil(ratio * (middle - 1)) + middle, distance))


def deberta(block, call, mask, prompt, model):
    states, width = call["hidden_states"], block.attention_head_size
    n_heads = block.num_attention_heads
    q, k, v = block.in_proj(states).view(*states.shape[:2], n_heads, 3, width).unbind(3)
    q, v = q + block.q_bias.view(n_heads, width), v + block.v_bias.view(n_heads, width)
    n, furthest = states.shape[1], block.max_relative_positions
    table = model.encoder.rel_embeddings.weight[furthest - n : furthest + n]
    pos_key, pos_query = (heads_of(part(table)[None], width)[0] for part in (block.pos_proj, block.pos_q_proj))
    relative = (distances(n) + n).clamp(0, 2 * n - 1)
    scale = (3 * width) ** -0.5
    bias = disentangled(q, k, pos_key, pos_query, relative, scale)
    return attend(q, k, v, prompt, sees_all(mask), scale=scale, bias=bias)


# Rotary positions (Su et al. 2021), windows and causality


def rotate(states, theta):
    """Turn each pair of a head's dimensions by an angle that grows with the position; (batch, pieces, heads, width)."""
    n, width = states.shape[1], states.shape[3]
    half = width // 2
    angles = torch.arange(n)[:, None] * theta ** (-torch.arange(half) / half)
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    one, two = states[..., :half], states[..., half:]
    return torch.cat([one * cos - two * sin, two * cos + one * sin], dim=-1)


def modernbert(block, call, mask, prompt, model):
    states, width = call["hidden_states"], block.head_dim
    q, k, v = block.Wqkv(states).view(*states.shape[:2], 3, -1, width).unbind(2)
    number = next(i for i, layer in enumerate(model.layers) if layer.attn is block)
    is_global = number % 2 == 0
    theta = 160000.0 if is_global else 10000.0
    allowed = sees_all(mask)
    if not is_global:
        allowed = allowed & (distances(states.shape[1]).abs() <= 3) | ~mask.bool()[:, :, None]
    return block.Wo(attend(rotate(q, theta), rotate(k, theta), v, prompt, allowed, scale=width**-0.5))


def llama(block, call, mask, prompt, model):
    states, width = call["hidden_states"], block.head_dim
    q, k, v = project(states, width, block.q_proj, block.k_proj, block.v_proj)
    if hasattr(block, "q_norm"):
        q, k = block.q_norm(q), block.k_norm(k)
    window = model.config.sliding_window if model.config.model_type == "mistral" else states.shape[1]
    apart = distances(states.shape[1])
    allowed = (mask.bool()[:, None, :] & (apart >= 0) & (apart < window)) | ~mask.bool()[:, :, None]
    return block.o_proj(attend(rotate(q, 10000.0), rotate(k, 10000.0), v, prompt, allowed, scale=width**-0.5))


def gpt2(block, call, mask, prompt, model):
    states, width = call["hidden_states"], block.head_dim
    q, k, v = (heads_of(part, width) for part in block.c_attn(states).chunk(3, dim=-1))
    allowed = (mask.bool()[:, None, :] & (distances(states.shape[1]) >= 0)) | ~mask.bool()[:, :, None]
    return block.c_proj(attend(q, k, v, prompt, allowed, scale=width**-0.5))


ORACLES = {
    "albert": albert, "bert": bert, "camembert": bert, "deberta": deberta, "deberta-v2": deberta_v2,
    "distilbert": distilbert, "electra": bert, "gpt2": gpt2, "llama": llama, "mistral": llama, "mobilebert": mobilebert,
    "modernbert": modernbert, "mpnet": mpnet, "mt5": t5, "qwen2": llama, "qwen3": llama, "roberta": bert, "t5": t5,
    "xlm-roberta": bert,
}  # fmt: skip


def install_oracle(model, rule, family, mask, prompts):
    """Replace the attention of every layer of a bare model by its family's oracle."""
    for number, layer in enumerate(rule.layers(model)):
        block = rule.attention(layer)
        block.forward = _replacement(block, ORACLES[family], mask, prompts.get(number), model)


def _replacement(block, oracle, mask, prompt, model):
    original = block.forward
    signature = inspect.signature(original)

    def forward(*args, **kwargs):
        call = signature.bind(*args, **kwargs).arguments
        rest = original(*args, **kwargs)[1:]  # attention weights, a bias for the next layer: whatever stands there
        return (oracle(block, call, mask, prompt, model), *rest)

    return forward


# Comparing the two


def load(folder, kind="sdpa", **settings):
    found = Candidate(folder, "a test")
    source = BackboneSource(str(folder), attention=kind, **{"dtype": "float32", **settings})  # as the bare model is
    return load_backbone(source, found, torch.device("cpu"), fingerprint_folder(found.path))


def load_bare(folder, kind="eager"):
    """Load the model as transformers does."""
    rule = load(folder).rule
    model_class = getattr(transformers, rule.model_class)
    kind = kind if model_class.from_pretrained(folder).config._attn_implementation == "sdpa" else "eager"
    model = model_class.from_pretrained(folder, attn_implementation=kind).eval().requires_grad_(False)
    model.config.use_cache = False  # of decoders; concatenating with an empty cache changes the last bit
    return model, rule


def batch():
    torch.manual_seed(1)
    mask = torch.tensor([[1] * 9, [1] * 6 + [0] * 3, [1] * 2 + [0] * 7])
    return torch.randint(5, 40, (3, 9)).where(mask.bool(), PAD), mask


def make_prompts(backbone, layers=(0, 1, 2), seed=2):
    torch.manual_seed(seed)
    return {i: torch.randn(2, LENGTHS[i], backbone.key_width, requires_grad=True) for i in layers}


def install_adapter(layer, lora):
    """Let every linear layer inside a bare layer that reads pieces give more, by a matrix from LoRA's two."""
    start = 0
    for name, shared in list(layer.named_modules()):
        if not isinstance(shared, (torch.nn.Linear, Conv1D)) or "pos_" in name:
            continue
        module = copy.deepcopy(shared)  # ALBERT's are those of all layers
        parent, _, own = name.rpartition(".")
        setattr(layer.get_submodule(parent), own, module)
        n_inputs, n_outputs = module.weight.shape if isinstance(module, Conv1D) else module.weight.T.shape
        down, up = lora[:, start : start + n_inputs], lora[:, start + n_inputs : start + n_inputs + n_outputs]
        start += n_inputs + n_outputs
        module.register_forward_hook(_more(sum(torch.outer(a, b) for a, b in zip(down, up, strict=True))))
    assert start == lora.shape[1]


def _more(matrix):
    def hook(module, args, output):
        is_of_pieces = args[0].shape[0] == batch()[1].shape[0]  # relative positions are those of all rows
        return output + args[0] @ matrix if is_of_pieces else output

    return hook


def states(model, embeddings, mask):
    return model(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state


def distance_to_oracle(folder, kind, layers):
    """Largest difference between injected model and oracle: in states, and in gradients of the prompt by their size.

    folder: A tiny model, named after its family. kind: "sdpa" or "eager". layers: Which have a prompt.
    """
    backbone = load(folder, kind)
    ids, mask = batch()
    real = mask.bool()
    embeddings = backbone.model.get_input_embeddings()(ids)
    tensors = make_prompts(backbone, layers)
    with injected(RowGroup(tensors)):
        got = states(backbone.model, embeddings, mask)[real]
    oracle, rule = load_bare(folder)
    rule.prepare(oracle)
    install_oracle(oracle, rule, folder.name, mask, tensors)
    expected = states(oracle, embeddings, mask)[real]
    weights = torch.randn_like(got)
    gradients = torch.autograd.grad((got * weights).sum(), list(tensors.values()))
    right = torch.autograd.grad((expected * weights).sum(), list(tensors.values()))
    assert all(gradient.abs().max() > 1e-3 for gradient in right)
    relative = [(a - b).abs().max() / max(1.0, b.abs().max()) for a, b in zip(gradients, right, strict=True)]
    return (got - expected).abs().max().item(), max(relative).item()
