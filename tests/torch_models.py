#!/usr/bin/env python3
"""The architectures of transformers, whole through jitc: graphs as PyTorch captures them, run by the tool, held against eager.

    tests/torch_models.py BUILD [--only NAME,...] [--form dynamo|aten] [--shapes static|dynamic] [--attention default|eager] [--dtype f32|bf16]
                          [--cache yes|no] [--device host|sim] [--missing FILE] [--keep DIR] [--least N] [--seconds N]

Needs torch and transformers.  Each architecture is small and random; each option left out stands for all that it can be.  `default` is the
attention that transformers takes by itself: sdpa where the architecture has it.  A line for each case: whole (and how far from eager,
relative to the largest value), or how many graphs and statements are left; at the end what is missing, by operator, with the number of
cases that it keeps from being whole, and how many architectures are whole in every case.  The exit status is 1 where a result is too far
from eager (f32 1e-5, bf16 2e-2), where jitc fails in any other way than by naming what it does not support, where torch cannot capture a
model, and where fewer architectures are whole than --least says.  With --seconds, cases that would begin later are left out, and named; an architecture that
was not tried at all is none that is not whole.
"""
import argparse
import collections
import copy
import os
import sys
import tempfile
import time
import warnings

import torch
import transformers
from torch._decomp import core_aten_decompositions

from torch_graphs import capture, run_graph
from torch_tensors import DTYPES

warnings.filterwarnings('ignore')
transformers.logging.set_verbosity_error()

LIMIT = {'f32': 1e-5, 'bf16': 2e-2}

BASE = dict(vocab_size=128, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=128)
GROUPED = dict(num_key_value_heads=2)
HEADS = dict(**GROUPED, head_dim=16)
EXPERTS = dict(num_experts_per_tok=2)
VISION = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8)
WHISPER = dict(vocab_size=128, d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
               encoder_ffn_dim=128, decoder_ffn_dim=128, num_mel_bins=16, max_source_positions=32, pad_token_id=0, bos_token_id=1,
               eos_token_id=2, decoder_start_token_id=1)
DEEPSEEK = dict(num_key_value_heads=4, moe_intermediate_size=32, n_routed_experts=4, n_shared_experts=1, n_group=2, topk_group=1, q_lora_rank=32,
                kv_lora_rank=32, qk_rope_head_dim=8, qk_nope_head_dim=16, v_head_dim=16, first_k_dense_replace=1)

# Name: configuration, its values, the class that makes the model, and what it is given.
MODELS = {
    'llama': ('Llama', {**BASE, **GROUPED}, 'AutoModelForCausalLM', 'tokens'),
    'mistral': ('Mistral', {**BASE, **HEADS, 'sliding_window': None}, 'AutoModelForCausalLM', 'tokens'),
    'qwen2': ('Qwen2', {**BASE, **GROUPED}, 'AutoModelForCausalLM', 'tokens'),
    'qwen3': ('Qwen3', {**BASE, **HEADS}, 'AutoModelForCausalLM', 'tokens'),
    'qwen3_moe': ('Qwen3Moe', {**BASE, **HEADS, **EXPERTS, 'num_experts': 4, 'moe_intermediate_size': 32}, 'AutoModelForCausalLM', 'tokens'),
    'gemma2': ('Gemma2', {**BASE, **HEADS, 'sliding_window': 8}, 'AutoModelForCausalLM', 'tokens'),
    'gemma3': ('Gemma3Text', {**BASE, **HEADS, 'sliding_window': 8}, 'AutoModelForCausalLM', 'tokens'),
    'phi3': ('Phi3', {**BASE, **GROUPED, 'pad_token_id': 0}, 'AutoModelForCausalLM', 'tokens'),
    'gpt2': ('GPT2', dict(vocab_size=128, n_embd=64, n_layer=2, n_head=4, n_positions=128), 'AutoModelForCausalLM', 'tokens'),
    'gpt_neox': ('GPTNeoX', BASE, 'AutoModelForCausalLM', 'tokens'),
    'opt': ('OPT', {**BASE, 'ffn_dim': 128, 'word_embed_proj_dim': 64}, 'AutoModelForCausalLM', 'tokens'),
    'bloom': ('Bloom', dict(vocab_size=128, hidden_size=64, n_layer=2, n_head=4), 'AutoModelForCausalLM', 'tokens'),
    'falcon': ('Falcon', dict(vocab_size=128, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, new_decoder_architecture=False),
               'AutoModelForCausalLM', 'tokens'),
    'mpt': ('Mpt', dict(d_model=64, n_heads=4, n_layers=2, vocab_size=128, max_seq_len=128), 'AutoModelForCausalLM', 'tokens'),
    'olmo2': ('Olmo2', {**BASE, **GROUPED}, 'AutoModelForCausalLM', 'tokens'),
    'gpt_oss': ('GptOss', {**BASE, **HEADS, **EXPERTS, 'num_local_experts': 4, 'sliding_window': 8}, 'AutoModelForCausalLM', 'tokens'),
    'deepseek_v3': ('DeepseekV3', {**BASE, **EXPERTS, **DEEPSEEK}, 'AutoModelForCausalLM', 'tokens'),
    'mamba': ('Mamba', dict(vocab_size=128, hidden_size=64, num_hidden_layers=2, state_size=8), 'AutoModelForCausalLM', 'tokens'),
    'bert': ('Bert', BASE, 'AutoModel', 'tokens'),
    'roberta': ('Roberta', BASE, 'AutoModel', 'tokens'),
    't5': ('T5', dict(vocab_size=128, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4), 'T5EncoderModel', 'tokens'),
    'whisper': ('Whisper', WHISPER, 'WhisperModel.encoder', 'sound'),
    'vit': ('ViT', VISION, 'ViTModel', 'image'),
    'clip': ('CLIPText', BASE, 'AutoModel', 'tokens'),
    'siglip': ('SiglipVision', VISION, 'SiglipVisionModel', 'image'),
    'convnext': ('ConvNext', dict(hidden_sizes=[16, 32, 64, 64], depths=[1, 1, 1, 1], image_size=64), 'ConvNextModel', 'picture'),
    'resnet': ('ResNet', dict(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type='basic'), 'ResNetModel', 'picture'),
}
INPUTS = {
    'tokens': lambda n, dtype: {'input_ids': torch.randint(2, 100, (1, n))},
    'sound': lambda n, dtype: {'input_features': torch.randn(1, 16, 64, dtype=dtype)},
    'image': lambda n, dtype: {'pixel_values': torch.randn(1, 3, 32, 32, dtype=dtype)},
    'picture': lambda n, dtype: {'pixel_values': torch.randn(1, 3, 64, 64, dtype=dtype)},
}
TOKENS = 12

Case = collections.namedtuple('Case', 'model form shapes attention dtype cache')


def model_of(case):
    """The model of a case, the same in each run; None where it has no cache, or this attention is its default."""
    config_name, values, maker, kind = MODELS[case.model]
    torch.manual_seed(0)
    config = getattr(transformers, config_name + 'Config')(**values)
    if case.cache and (kind != 'tokens' or not getattr(config, 'use_cache', False) or 'CausalLM' not in maker):
        return None
    config.use_cache = case.cache
    cls, _, part = maker.partition('.')
    make = getattr(transformers, cls).from_config if cls.startswith('Auto') else getattr(transformers, cls)._from_config
    model = make(copy.deepcopy(config), dtype=DTYPES[case.dtype])
    if case.attention != 'default':
        if model.config._attn_implementation == case.attention:
            return None
        torch.manual_seed(0)
        model = make(config, dtype=DTYPES[case.dtype], attn_implementation=case.attention)
    return (getattr(model, part) if part else model).eval()


# --- how far ---

def distance(wanted, got):
    """The largest difference beside the largest value, over all results."""
    worst = 0.0
    for i, w in enumerate(wanted):
        if not isinstance(w, torch.Tensor):
            continue
        g = got.get(f'out{i}')
        if g is None or g.shape != w.shape or g.dtype != w.dtype:
            return float('inf')
        w, g = w.double(), g.double()
        if not torch.equal(torch.isfinite(w), torch.isfinite(g)):
            return float('inf')
        keep = torch.isfinite(w) & (w.abs() < 1e30)
        if keep.any():
            worst = max(worst, ((w - g)[keep].abs().max() / w[keep].abs().max().clamp(min=1e-3)).item())
    return worst


# --- cases ---

class Tally:
    def __init__(self):
        self.whole = self.cases = self.wrong = 0
        self.missing = collections.defaultdict(lambda: [0, set(), '', ''])
        self.models = {}  # whether each was whole in every case

    def add(self, case, refused, text):
        lines = text.split('\n')
        for r in refused:
            row = self.missing[r['op'] or r['reason'][:60]]
            row[0] += 1
            row[1].add(case.model)
            row[2] = r['reason']
            row[3] = lines[r['line'] - 1].strip() if 0 < r['line'] <= len(lines) else ''

    def count(self, case, whole, wrong=False):
        self.cases += 1
        self.whole += whole
        self.wrong += wrong
        self.models[case.model] = self.models.get(case.model, True) and whole and not wrong


def label_of(case):
    return ' '.join([f'{case.model:12}', f'{case.form:6}', f'{case.shapes:7}', f'{case.attention:7}', f'{case.dtype:4}', 'cache' if case.cache else '     '])


def judge(options, case, graphs, tally):
    """Runs the graphs of a case, and says how it went."""
    worst, left, failed = 0.0, 0, ''
    for i, graph in enumerate(graphs):
        got, problem = run_graph(options, graph, '_'.join([*case[:5], str(case.cache), str(i)]))
        if got is not None:
            worst = max(worst, distance(graph.results, got))
        elif isinstance(problem, str):
            failed = problem
        else:
            left += len(problem)
            tally.add(case, problem, graph.text)
    bad = not worst <= LIMIT[case.dtype]
    tally.count(case, not failed and not left, bool(failed) or bad)
    if failed:
        print(label_of(case), 'FAILED', failed.replace('\n', ' | '), flush=True)
    elif left:
        print(label_of(case), f'{left} statements of {len(graphs)} graphs are not supported', flush=True)
    else:
        print(label_of(case), f'whole {worst:.1e}', 'TOO FAR' if bad else '', f'({len(graphs)} graphs)' if len(graphs) > 1 else '', flush=True)


def do_case(options, case, forms, tally):
    """CASE in each of FORMS."""
    model = model_of(case)
    if model is None:
        return
    torch.manual_seed(1)
    inputs = INPUTS[MODELS[case.model][3]](TOKENS, DTYPES[case.dtype])
    try:
        graphs = capture(model, (), inputs, forms, case.shapes == 'dynamic', core_aten_decompositions())
    except Exception as error:
        print(label_of(case), 'torch cannot capture it:', str(error).split('\n')[0][:120], flush=True)
        tally.count(case, False, True)
        return
    for form in forms:
        judge(options, case._replace(form=form), graphs[form], tally)


def choices(text, known):
    chosen = text.split(',') if text else list(known)
    for c in chosen:
        if c not in known:
            sys.exit(f'torch_models.py: {c} is none of {", ".join(known)}')
    return chosen


def cases_of(options):
    for attention in choices(options.attention, ['default', 'eager']):
        for cache in choices(options.cache, ['no', 'yes']):
            for shapes in choices(options.shapes, ['static', 'dynamic']):
                for dtype in choices(options.dtype, ['f32', 'bf16']):
                    for model in choices(options.only, MODELS):
                        yield Case(model, '', shapes, attention, dtype, cache == 'yes')


def report(tally, out):
    print('| times | models | operator | an example | reason |', file=out)
    print('|---|---|---|---|---|', file=out)
    for op, (n, models, reason, line) in sorted(tally.missing.items(), key=lambda item: (-len(item[1][1]), -item[1][0])):
        print(f'| {n} | {len(models)} | `{op}` | `{line[:150]}` | {reason[:150]} |', file=out)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('build')
    for name in ('only', 'form', 'shapes', 'attention', 'dtype', 'cache', 'missing', 'keep'):
        parser.add_argument('--' + name, default='')
    parser.add_argument('--device', default='host')
    parser.add_argument('--least', type=int, default=0)
    parser.add_argument('--seconds', type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(2)
    forms = choices(options.form, ['dynamo', 'aten'])
    start, late = time.monotonic(), []
    with tempfile.TemporaryDirectory() as work:
        options.work = options.keep or work
        os.makedirs(options.work, exist_ok=True)
        tally = Tally()
        for case in cases_of(options):
            if options.seconds and time.monotonic() - start > options.seconds:
                late.append(case)
            else:
                do_case(options, case, forms, tally)
    report(tally, sys.stdout)
    if options.missing:
        with open(options.missing, 'w') as f:
            report(tally, f)
    for case in late:
        print('SKIP:', label_of(case), f'would have begun after {options.seconds} s')
    whole, untried = sum(tally.models.values()), {case.model for case in late} - set(tally.models)
    print(f'{tally.whole} of {tally.cases} cases whole, {tally.wrong} wrong; {whole} of {len(tally.models)} architectures whole in every case')
    sys.exit(1 if tally.wrong or whole + len(untried) < options.least else 0)


if __name__ == '__main__':
    main()
