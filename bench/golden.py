#!/usr/bin/env python3
"""golden.py MODEL VARIANT OUTPUTS - a tiny model's outputs against its goldens: one line, exit 1 beyond the gates.

The gates are those of the models' README: 1.5 times PyTorch's own distance to the float64 reference, and twice that
to PyTorch's outputs.
"""
import json
import sys

from safetensors.torch import load_file


def distance(a, b):
    a, b = a.double(), b.double()
    return float((a - b).norm() / b.norm().clamp_min(1e-300)) if float(b.norm()) else float((a - b).norm())


model, variant, path = sys.argv[1:]
name, _, tokens = variant.rpartition("-T")
report = json.load(open(f"{model}/report{name}.json"))["tokens"][tokens]["rel_l2_native_vs_f64"]
got = load_file(path)
want = load_file(f"{model}/outputs{variant}.safetensors")
wide = load_file(f"{model}/ref_outputs{variant}.safetensors")
bad = False
for k in want:
    r, o = distance(got[k], wide[k]), distance(got[k], want[k])
    bad |= r > 1.5 * report[k] or o > 2 * report[k]
    print(f"{model.rstrip('/').split('/')[-1]:10} {variant:10} {k}: ref {r:.2e}, outputs {o:.2e}, PyTorch {report[k]:.2e}",
          "TOO FAR" if bad else "ok")
sys.exit(bad)
