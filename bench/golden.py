#!/usr/bin/env python3
"""golden.py LIST - outputs of tiny models against their goldens; exit 1 beyond the gates.

LIST has a line per run: the model's folder, the variant (as in inputs<VARIANT>.safetensors), the outputs, a label.  The gates are
those of the models' README: 1.5 times PyTorch's own distance to the float64 reference, and twice that to PyTorch's outputs.
"""
import json
import sys

from safetensors.torch import load_file


def distance(a, b):
    a, b = a.double(), b.double()
    return float((a - b).norm() / b.norm().clamp_min(1e-300)) if float(b.norm()) else float((a - b).norm())


def check(model, variant, path, label):
    name, _, tokens = variant.rpartition("-T")
    report = json.load(open(f"{model}/report{name}.json"))["tokens"][tokens]["rel_l2_native_vs_f64"]
    got = load_file(path)
    want = load_file(f"{model}/outputs{variant}.safetensors")
    wide = load_file(f"{model}/ref_outputs{variant}.safetensors")
    good = True
    for k in want:
        r, o = distance(got[k], wide[k]), distance(got[k], want[k])
        ok = r <= 1.5 * report[k] and o <= 2 * report[k]
        good &= ok
        print(f"{model.split('/')[-1]:10} {label:20} {variant:10} {k}: ref {r:.2e}, outputs {o:.2e}, PyTorch {report[k]:.2e}",
              "ok" if ok else "TOO FAR")
    return good


results = [check(*line.split()) for line in open(sys.argv[1])]
print(f"{sum(results)} of {len(results)} runs within the gates")
sys.exit(not all(results))
