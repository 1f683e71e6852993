"""What the scripts beside this share: graphs as PyTorch captures them, and the tool that runs them."""
import json
import os
import re
import subprocess

import torch
from torch._dynamo.backends.common import aot_autograd

from torch_tensors import STORED, load, save


class Graph:
    """A graph's text, what it was called with, and what it gave in eager."""

    def __init__(self, module, names, values, results):
        self.text = module.print_readable(print_output=False, include_stride=True, include_device=False)
        self.values = dict(zip(names, values))
        self.results = results


def names_of(module):
    return [node.target for node in module.graph.nodes if node.op == 'placeholder']


def attributes_of(module):
    """Tensors that a graph takes of its module, by the name that the text gives them."""
    found = {}
    for node in module.graph.nodes:
        if node.op == 'get_attr':
            item = module
            for part in node.target.split('.'):
                item = getattr(item, part)
            if isinstance(item, torch.Tensor):
                found[node.target] = item
    return found


def leaves(item):
    """The tensors and numbers of a result, in order."""
    if isinstance(item, (list, tuple)):
        for part in item:
            yield from leaves(part)
    else:
        yield item


def copies_of(items):
    return [item.detach().clone() if isinstance(item, torch.Tensor) else item for item in items]


def keeping(graphs, module):
    """MODULE as a function that leaves a Graph behind when it is called first."""
    left = [True]

    def call(*args):
        copies = copies_of(args)
        results = module(*args)
        if left and left.pop():
            values = {**dict(zip(names_of(module), copies)), **attributes_of(module)}
            graphs.append(Graph(module, values.keys(), values.values(), copies_of(leaves(results))))
        return results
    return call


def capture(fn, args, kwargs, forms, dynamic=False, decompositions=None):
    """The graphs of a call of FN, by form: one capture by Dynamo gives both.  `dynamo` is its own, `aten` what AOTAutograd makes of it."""
    graphs = {'dynamo': [], 'aten': []}

    def compiler(module, examples):
        def boxed(args, call=keeping(graphs['aten'], module)):
            return call(*args)
        boxed._boxed_call = True
        return boxed

    def backend(module, examples):
        plain = keeping(graphs['dynamo'], module)
        if 'aten' not in forms:
            return plain
        lowered = aot_autograd(fw_compiler=compiler, decompositions=decompositions)(module, examples)

        def call(*args):
            plain(*copies_of(args))
            return lowered(*args)
        return call

    torch._dynamo.reset()
    with torch.no_grad():
        torch.compile(fn, backend=backend, dynamic=dynamic)(*args, **kwargs)
    return {form: graphs[form] for form in forms}


def jitc(options, *args):
    env = {**os.environ, 'JITC_LLVM_LIBRARY': os.path.join(options.build, '.libs/libjitc-llvm.so'), 'JITC_CACHE_DIR': options.work + '/cache'}
    return subprocess.run([os.path.join(options.build, 'jitc'), *args], capture_output=True, text=True, env=env)


def symbols_of(graph):
    """Values of the symbols that are parameters themselves: no tensor of the file gives them."""
    for name, value in graph.values.items():
        said = re.search(rf'\b{re.escape(name)}: "Sym\((\w+)\)"', graph.text)
        if said and not isinstance(value, torch.Tensor) and not said[1].isdigit():
            yield from ('--sym', f'{said[1]}={int(value)}')


def run_graph(options, graph, name):
    """(results by name, None), or (None, what is not supported), or (None, a sentence) for another failure."""
    text, inputs, outputs = (f'{options.work}/{name}{end}' for end in ('.py', '.in.safetensors', '.out.safetensors'))
    with open(text, 'w') as f:
        f.write(graph.text)
    save(inputs, {n: v for n, v in graph.values.items() if isinstance(v, torch.Tensor) and v.dtype in STORED})
    said = jitc(options, 'run', '--json', '--device', options.device, *symbols_of(graph), '--inputs', inputs, '--outputs', outputs, text)
    if said.returncode == 0:
        return load(outputs), None
    explained = jitc(options, 'explain', '--json', text)
    try:
        refused = json.loads(explained.stdout).get('unsupported', [])
    except ValueError:
        refused = []
    if said.returncode == 4 and refused:
        return None, refused
    return None, f'exit {said.returncode}: {(said.stderr or said.stdout).strip()[-400:]}'
