"""Random functions over tensors: operators, views, writes in place, and operators that libjitc does not have, in any order.

    python random_functions.py [FIRST [COUNT]]

Runs the functions of COUNT seeds from FIRST on, compiled and in eager, and compares all that compare.py does: values,
strides, aliases, what was written.  Prints the text of those that differ; exit 1 if there is one.  Ends with
"N functions, N differ".
"""

from __future__ import annotations

import copy
import random
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import torch
from compare import Compiled, again, spans_meet

# %a, %b: earlier values; %n: one of them with at least a dim; what fails in eager is left out.
STATEMENTS = [
    "%v = %a + %b",
    "%v = %a * 0.5",
    "%v = torch.tanh(%a)",
    "%v = torch.where(%a > 0, %a, %b)",
    "%v = %a.sum(-1)",
    "%v = %a.sum(0, keepdim=True)",
    "%v = torch.softmax(%a, -1)",
    "%v = %a @ %b",
    "%v = %a.clone()",
    "%v = %a.contiguous()",
    "%v = torch.cat([%a, %b])",
    "%v = torch.zeros_like(%a)",
    "%v = %a.to(torch.bfloat16).to(torch.float32)",
    "%v = %a.t()",
    "%v = %a.view(-1)",
    "%v = %a.reshape(-1, 2)",
    "%v = %a[0]",
    "%v = %a[1:]",
    "%v = %a[..., ::2]",
    "%v = %a.unsqueeze(0)",
    "%v = %a.squeeze(0)",
    "%v = %a.transpose(0, -1)",
    "%v = %a.expand(2, *%a.shape)",
    "%v, %w = %a.chunk(2, -1)",
    "%v, %w = %a.split([1, %a.shape[0] - 1])",
    "%v = %a.detach()",
    "%a.add_(1.5)",
    "%a.mul_(%b)",
    "%a.copy_(%b)",
    "%a[0] = %b[0]",
    "%a[..., 0] += 2",
    "%a.zero_()",
    "%v = %a.relu_()",
    "%v = %a.cumsum(0)",
    "%v = torch.flip(%a, [0])",
    "%v = torch.sort(%a).values",
    "%a.cumsum_(-1)",
    "%v, %w = torch.topk(%a, 2)",
]


def arguments(generator: random.Random) -> list[torch.Tensor]:
    """Some tensors; now and then views of one buffer, or of unusual strides."""
    torch.manual_seed(generator.randrange(1 << 30))
    rows, columns = generator.choice([2, 3, 4, 6]), generator.choice([2, 4, 6])
    made = [torch.randn(rows, columns) for _ in range(generator.randrange(1, 4))]
    if generator.random() < 0.2:
        made.append(torch.randn(columns, rows).t())
    if generator.random() < 0.2:
        made.append(torch.randn(rows, 2 * columns)[:, ::2])
    if generator.random() < 0.2:
        base = torch.randn(rows + 2, columns)
        made += [base[:rows], base[2:]]
    if generator.random() < 0.3:
        made.append(torch.randn(columns, rows))
    return made


def unclear(statement: str, a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether PyTorch does not define what a statement does: it writes memory that shows twice, or reads it otherwise."""
    if not statement.startswith("%a") and not statement.endswith("_()"):
        return False
    twice = any(n > 1 and stride == 0 for n, stride in zip(a.shape, a.stride(), strict=True))
    same_view = (a.shape, a.stride(), a.data_ptr()) == (b.shape, b.stride(), b.data_ptr())
    return twice or ("%b" in statement and spans_meet(a, b) and not same_view)


def function(seed: int) -> tuple[str, Callable[..., Any], list[torch.Tensor]]:
    """The text of a function, the function, and arguments for it."""
    generator = random.Random(seed)
    args = arguments(generator)
    scope: dict[str, Any] = {f"a{i}": arg for i, arg in enumerate(copy.deepcopy(args))}
    names, lines = list(scope), []
    for number in range(generator.randrange(3, 16)):
        statement = generator.choice(STATEMENTS)
        new = {"%v": f"v{number}", "%w": f"w{number}"}
        a, b = generator.choice(names), generator.choice(names)
        if unclear(statement, scope[a], scope[b]):
            continue
        for key, name in {"%a": a, "%b": b, **new}.items():
            statement = statement.replace(key, name)
        try:
            exec(statement, {"torch": torch}, scope)
        except (RuntimeError, IndexError, TypeError, ValueError):
            continue
        lines.append(statement)
        names += [name for name in new.values() if name in scope]
    results = generator.sample(names[len(args) :], k=min(len(names) - len(args), generator.randrange(1, 5)))
    text = f"def f({', '.join(f'a{i}' for i in range(len(args)))}):\n"
    text += "".join(f"    {line}\n" for line in [*lines, f"return ({''.join(name + ', ' for name in results)})"])
    made: dict[str, Any] = {"torch": torch}
    exec(compile(text, f"<seed {seed}>", "exec"), made)
    return text, made["f"], args


def run(seed: int) -> None:
    """Compares one function, twice, and once more with sizes that are dynamic.  AssertionError says what differs."""
    _, f, args = function(seed)
    with torch.no_grad():
        for dynamic in (False, True):
            torch._dynamo.reset()
            again(Compiled(f, dynamic=dynamic), f, *args, times=2)


def main() -> int:
    """The functions that the command line names."""
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    warnings.simplefilter("ignore")
    differ = 0
    for seed in range(first, first + count):
        try:
            run(seed)
        except Exception:
            differ += 1
            print(f"seed {seed}\n{function(seed)[0]}{traceback.format_exc(limit=-2)}", flush=True)
    print(f"{count} functions, {differ} differ")
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main())
