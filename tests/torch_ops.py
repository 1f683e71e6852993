#!/usr/bin/env python3
"""Every operator of PyTorch's own tests, alone in a graph: run by the tool, held against eager.

    tests/torch_ops.py BUILD [--only NAME,...] [--dtype f32,bf16,...] [--form dynamo|aten] [--way function,method,inplace] [--dynamic]
                       [--samples N] [--device host|sim|cuda] [--through tool|torch] [--jobs N] [--seconds N] [--part I/N] [--least PERCENT] [--out FILE] [--keep DIR]

Needs torch, and what its tests need: pip install expecttest.  Operators and arguments are those of PyTorch's table of operator tests (OpInfo), the first
N samples of each dtype.  A sample is captured by Dynamo, as Dynamo's own text and as what AOTAutograd makes of it; equal texts are run once.  Through torch, a sample is compiled by torch.compile(backend="jitc") in
this process (the package has to be there), which takes no start of the tool each, and what falls back to torch counts as refused.  Operators that would begin after SECONDS are left out, and counted.  What torch
refuses or cannot capture, what is random, and what is no tensor of a dtype of ours is passed over and counted.  A line for each way to call an operator that does
not pass with all its samples: how many passed, were refused, and are wrong, with one of them.  The last line sums up; the exit status is 1
where a result is wrong or jitc fails in any other way than by naming what it does not support, and where fewer than --least percent pass.  FILE gets a line of JSON for each result
that did not pass, as it comes.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import itertools
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import warnings

import torch
import torch.utils._pytree as pytree

torch.backends.cudnn.allow_tf32 = False  # convolutions as exact as ours; the table's module locks the flag
from torch.testing._internal.common_methods_invocations import op_db

from torch_graphs import capture, copies_of, leaves, run_graph
from torch_tensors import DTYPES, NAMES

warnings.filterwarnings('ignore')

# How far a result may be from eager's beside the largest value: orders of adding differ.
LIMIT = {torch.float64: 1e-9, torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 4e-3}
# What gives other numbers each time, or none that are defined.
RANDOM = {'cauchy', 'exponential', 'geometric', 'log_normal', 'normal', 'uniform', 'randn', 'randn_like', 'rand_like', 'randint', 'randint_like', 'multinomial',
          'bernoulli', 'empty', 'empty_like', 'empty_strided', 'empty_permuted', 'new_empty', 'new_empty_strided', 'svd_lowrank', 'pca_lowrank', 'resize_', 'resize_as_',
          'nn.functional.rrelu', 'nn.functional.fractional_max_pool2d', 'nn.functional.fractional_max_pool3d', 'nn.functional.dropout', 'nn.functional.dropout2d',
          'nn.functional.dropout3d', 'nn.functional.alpha_dropout', 'nn.functional.feature_alpha_dropout', 'nn.functional.multi_head_attention_forward'}
# Of equal elements PyTorch's kernels give the place of any.
TIES = {'topk', 'kthvalue', 'sort', 'argsort', 'median', 'nanmedian', 'mode'}
SECONDS = 60  # for one sample

Result = collections.namedtuple('Result', 'op way dtype form outcome detail text')


def name_of(info):
    return info.name + ('.' + info.variant_test_name if info.variant_test_name else '')


def close(want, got):
    if not isinstance(want, torch.Tensor):
        return got is None or want == got or (want != want and got != got)
    want = want.cpu()
    if not isinstance(got, torch.Tensor) or got.shape != want.shape or got.dtype != want.dtype:
        return False
    got = got.cpu()
    if want.dtype not in LIMIT:
        return torch.equal(want, got)
    w, g = want.double(), got.double()
    finite = torch.isfinite(w)
    if not torch.equal(w[~finite].nan_to_num(nan=0.5, posinf=1, neginf=-1), g[~finite].nan_to_num(nan=0.5, posinf=1, neginf=-1)):
        return False
    w, g = w[finite], g[finite]
    return w.numel() == 0 or (bool(torch.isfinite(g).all()) and bool((w - g).abs().max() <= LIMIT[want.dtype] * max(w.abs().max().item(), 1e-3)))


def point_alike(x, want, got):
    """Do places in X of equal elements stand where others do?"""
    if not isinstance(x, torch.Tensor) or not isinstance(got, torch.Tensor) or got.shape != want.shape or got.dtype != torch.int64 or want.dtype != torch.int64:
        return False
    x, want, got = x.cpu(), want.cpu(), got.cpu()
    for d in range(x.dim()):
        both = [t.unsqueeze(d) if t.dim() == x.dim() - 1 else t for t in (want, got)]
        if all(t.dim() == x.dim() and (t.numel() == 0 or (t.min() >= 0 and t.max() < x.shape[d])) and
               all(t.shape[k] <= x.shape[k] for k in range(x.dim()) if k != d) for t in both) and close(x.gather(d, both[0]), x.gather(d, both[1])):
            return True
    return False


def strange(*items):
    """The first dtype among the tensors that we have not."""
    return next((str(t.dtype) for t in items if isinstance(t, torch.Tensor) and t.dtype not in NAMES), None)


def said(item):
    return f'{NAMES.get(item.dtype, item.dtype)}{list(item.shape)} {item.flatten()[:6].tolist()}' if isinstance(item, torch.Tensor) else 'nothing' if item is None else str(item)


def compare(op, x, stable, wants, gots):
    """('passed', '') if the results are eager's, or ('wrong', the first that is not).  X: what places among the results point into; not if the order is STABLE."""
    ties = op.split('.')[0] in TIES and not stable
    for k, (want, got) in enumerate(itertools.zip_longest(wants, gots)):
        if not close(want, got) and not (ties and isinstance(want, torch.Tensor) and point_alike(x, want, got)):
            return 'wrong', f'out{k}: {said(got)} for {said(want)}'
    return 'passed', ''


def calls_of(info, ways):
    for way, fn in (('function', info.op), ('method', info.method_variant), ('inplace', info.inplace_variant)):
        if fn is not None and way in ways:
            yield way, fn


def function_of(fn, sample, way):
    """FN on a sample, as a function of its tensors; and the tensors."""
    leaves, spec = pytree.tree_flatten(((sample.input, *sample.args), sample.kwargs))
    at = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]

    def call(*tensors):
        filled = list(leaves)
        for i, t in zip(at, tensors):
            filled[i] = t
        args, kwargs = pytree.tree_unflatten(filled, spec)
        out = fn(*args, **kwargs)
        return (out, args[0]) if way == 'inplace' else out
    return call, [leaves[i] for i in at]


def late(number, frame):
    raise TimeoutError(f'{SECONDS} s')


def judge_by_tool(options, op, graph, name):
    """(outcome, detail) of a graph that the tool runs."""
    values = list(graph.values.values())
    if strange(*values, *graph.results):
        return 'passed over', strange(*values, *graph.results)
    got, problem = run_graph(options, graph, name.replace('/', '_'))
    if isinstance(problem, str):
        return 'failed', problem
    if problem:
        return 'refused', '; '.join(f'{r["op"]}: {r["reason"]}' for r in problem)
    x = next((v for v in values if isinstance(v, torch.Tensor)), None)
    return compare(op, x, 'stable = True' in graph.text, graph.results, [got.get(f'out{k}') for k in range(len(graph.results))])


def judge_by_torch(op, call, tensors, stable):
    """(outcome, detail) of a sample through torch.compile."""
    import jitc

    try:
        wants = list(leaves(call(*copies_of(tensors))))
    except Exception as error:
        return 'passed over', f'torch: {type(error).__name__} {str(error)[:80]}'
    if strange(*tensors, *wants):
        return 'passed over', strange(*tensors, *wants)
    torch._dynamo.reset()
    try:
        explained = jitc.explain(call, *copies_of(tensors))
        gots = list(leaves(torch.compile(call, backend='jitc')(*copies_of(tensors))))
    except Exception as error:
        return 'failed', f'{type(error).__name__} {str(error)[:300]}'
    refused = [f'{f.op}: {f.reason}' for f in explained.fallbacks] + [g.declined for g in explained.graphs if g.declined]
    if refused:
        return 'refused', '; '.join(refused)
    if not explained.graphs:
        return 'passed over', 'torch: no graph'
    return compare(op, tensors[0] if tensors else None, stable, wants, gots)


def samples_of(info, options, dtype):
    device = 'cuda' if options.device.startswith('cuda') else 'cpu'
    if DTYPES[dtype] not in info.supported_dtypes(device):
        return []
    torch.manual_seed(0)
    return list(itertools.islice(info.sample_inputs(device, DTYPES[dtype], requires_grad=False), options.samples))


def one_operator(job):
    """All that there is to say of one row of the table."""
    index, options = job
    info = op_db[index]
    if options.end and time.monotonic() > options.end:
        return [Result(name_of(info), 'none', '', '', 'passed over', 'no time was left', '')]
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, late)
    results, seen = [], set()
    options.work = f'{options.top}/{os.getpid()}'
    os.makedirs(options.work, exist_ok=True)
    for dtype in options.dtype:
        try:
            samples = samples_of(info, options, dtype)
        except Exception as error:
            results.append(Result(name_of(info), 'none', dtype, '', 'passed over', f'no samples: {type(error).__name__} {str(error)[:80]}', ''))
            continue
        for n, sample in enumerate(samples):
            for way, fn in calls_of(info, options.way):
                call, tensors = function_of(fn, sample, way)
                signal.alarm(SECONDS)
                if options.through == 'torch':
                    try:
                        judged = judge_by_torch(name_of(info), call, tensors, sample.kwargs.get('stable', False))
                    except TimeoutError as error:
                        judged = 'failed', str(error)
                    results.append(Result(name_of(info), way, dtype, 'torch', *judged, ''))
                    signal.alarm(0)
                    continue
                try:
                    graphs = capture(call, [t.clone() for t in tensors], {}, options.form, options.dynamic)
                except BaseException as error:
                    results.append(Result(name_of(info), way, dtype, '', 'passed over', f'torch: {type(error).__name__} {str(error)[:80]}', ''))
                    continue
                finally:
                    signal.alarm(0)
                for form in options.form:
                    for i, graph in enumerate(graphs[form]):
                        key = hashlib.sha256(graph.text.encode()).digest()
                        if key not in seen:
                            seen.add(key)
                            judged = judge_by_tool(options, name_of(info), graph, f'{name_of(info)}-{way}-{dtype}-{form}-{n}-{i}')
                            results.append(Result(name_of(info), way, dtype, form, *judged, graph.text))
    return results


def report(results, out):
    rows = collections.defaultdict(list)
    for r in results:
        rows[r.op, r.way].append(r)
    total = collections.Counter(r.outcome for r in results)
    whole = 0
    judged = 0
    for (op, way), rs in sorted(rows.items()):
        count = collections.Counter(r.outcome for r in rs)
        if not count['passed'] + count['refused'] + count['wrong'] + count['failed']:
            continue
        judged += 1
        whole += count['passed'] == sum(count.values()) - count['passed over']
        for outcome in ('wrong', 'failed', 'refused'):
            bad = [r for r in rs if r.outcome == outcome]
            if bad:
                forms = ' '.join(sorted({r.dtype for r in bad})) + ' ' + ' '.join(sorted({r.form for r in bad}))
                print(f'{outcome:8} {op} {way}: {len(bad)} of {sum(count.values())} ({forms}): {bad[0].detail[:300]}'.replace('\n', ' | '), file=out)
    ran = sum(total[o] for o in ('passed', 'refused', 'wrong', 'failed'))
    for why, n in collections.Counter(r.detail for r in results if r.outcome == 'passed over').most_common(8):
        print(f'passed over {n}: {why}', file=out)
    print(f'{ran} graphs, {total["passed"]} passed, {total["refused"]} refused, {total["wrong"]} wrong, {total["failed"]} failed, '
          f'{total["passed over"]} passed over; {whole} of {judged} ways to call an operator pass whole', file=out)
    return total, ran


def run_all(options, work):
    """What one_operator says, a list each; a single process is this one, since a new one takes long to import torch."""
    if options.jobs == 1:
        yield from map(one_operator, work)
        return
    with concurrent.futures.ProcessPoolExecutor(options.jobs, multiprocessing.get_context('spawn')) as pool:
        yield from pool.map(one_operator, work)


def noting(path, results):
    """RESULTS, of which what did not pass is a line of JSON in PATH as soon as it is known."""
    with open(path or os.devnull, 'w') as f:
        for r in results:
            if r.outcome not in ('passed', 'passed over'):
                print(json.dumps(r._asdict()), file=f, flush=True)
            yield r


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('build')
    parser.add_argument('--only', default='')
    parser.add_argument('--dtype', default='f32,bf16,i64,b8')
    parser.add_argument('--form', default='dynamo,aten')
    parser.add_argument('--way', default='function,method,inplace')
    parser.add_argument('--dynamic', action='store_true')
    parser.add_argument('--samples', type=int, default=5)
    parser.add_argument('--device', default='host')
    parser.add_argument('--through', default='tool')
    parser.add_argument('--seconds', type=int, default=0)
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--part', default='0/1')
    parser.add_argument('--least', type=float, default=0)
    parser.add_argument('--out', default='')
    parser.add_argument('--keep', default='')
    options = parser.parse_args()
    for name in ('dtype', 'form', 'way'):
        setattr(options, name, getattr(options, name).split(','))
    options.end = time.monotonic() + options.seconds if options.seconds else 0
    only = set(options.only.split(',')) if options.only else None
    part, parts = map(int, options.part.split('/'))
    chosen = [i for i, info in enumerate(op_db) if (not only or info.name in only or name_of(info) in only) and info.name not in RANDOM and
              not info.name.startswith('jiterator')]
    with tempfile.TemporaryDirectory() as top:
        options.top = options.keep or top
        results = list(noting(options.out, itertools.chain.from_iterable(run_all(options, [(i, options) for i in chosen[part::parts]]))))
    total, ran = report(results, sys.stdout)
    sys.exit(1 if total['wrong'] + total['failed'] or total['passed'] < ran * options.least / 100 else 0)


if __name__ == '__main__':
    main()
