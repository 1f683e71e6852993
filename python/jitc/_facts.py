"""What is known of an FX graph's values before anything runs: types, storages, layouts.

Everything is read off the fake tensors that Dynamo or AOTAutograd left in ``meta``.  Nothing here compares symbolic
sizes: a comparison would add a guard, and the graph would be compiled again for no reason.  Where a decision needs
numbers, symbols stand for primes.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from typing import Any

import sympy
import torch
from torch import fx
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from jitc._torch import DTYPES

MAX_DIMS = 8
_primes: dict[str, int] = {}  # by a symbol's name, in every expression the same
_counter = itertools.count(1230)  # the first above 10,000


def value(node: fx.Node) -> Any:
    """The fake value of a node; None where it has none."""
    return node.meta["val"] if "val" in node.meta else node.meta.get("example_value")


def leaves(item: Any) -> Iterator[Any]:
    """What tuples and lists hold, through all levels."""
    if isinstance(item, (tuple, list)):
        for part in item:
            yield from leaves(part)
    else:
        yield item


def tensors(node: fx.Node) -> list[torch.Tensor]:
    """The tensors among a node's values."""
    return [leaf for leaf in leaves(value(node)) if isinstance(leaf, torch.Tensor)]


def storage(tensor: torch.Tensor) -> int:
    """What is equal for two fake tensors exactly if they share memory."""
    return int(tensor.untyped_storage()._cdata)


def expression(number: int | torch.SymInt) -> sympy.Expr:
    """A size as an expression over the symbols of its graph."""
    return number.node.expr if isinstance(number, torch.SymInt) else sympy.Integer(number)


def sample(number: int | torch.SymInt) -> int:
    """The number that a size is when each symbol is a prime of its own: for telling layouts apart, without a guard."""
    if not isinstance(number, torch.SymInt):
        return number
    expr = expression(number)
    return int(expr.subs({symbol: _prime(str(symbol)) for symbol in expr.free_symbols}))


def _prime(name: str) -> int:
    known = _primes.get(name)
    if known is None:
        known = _primes.setdefault(name, int(sympy.prime(next(_counter))))
    return known


def symbols(node: fx.Node) -> set[sympy.Symbol]:
    """The symbols that sizes and strides of a node's values are made of."""
    found: set[sympy.Symbol] = set()
    for leaf in leaves(value(node)):
        for number in numbers(leaf):
            if isinstance(number, torch.SymInt):
                found |= expression(number).free_symbols
    return found


def numbers(leaf: Any) -> list[Any]:
    """The sizes and strides of a tensor; a number itself."""
    return [*leaf.shape, *leaf.stride()] if isinstance(leaf, torch.Tensor) else [leaf]


def unfit(tensor: torch.Tensor, device: torch.device) -> str | None:
    """Why libjitc cannot take a tensor on DEVICE; None: it can."""
    if is_traceable_wrapper_subclass(tensor):
        return f"{type(tensor).__name__} is a tensor subclass"
    if tensor.layout != torch.strided:
        return f"its layout is {tensor.layout}"
    if tensor.dtype not in DTYPES:
        return f"its dtype is {tensor.dtype}"
    if tensor.device != device:
        return f"it is on {tensor.device}, the graph on {device}"
    if tensor.dim() > MAX_DIMS:
        return f"it has {tensor.dim()} dims"
    if tensor.is_conj() or tensor.is_neg():
        return "its conjugation or negation is pending"
    return None


def unfit_value(item: Any, device: torch.device) -> str | None:
    """Why libjitc cannot take a node's value; None: it can."""
    for leaf in leaves(item):
        if isinstance(leaf, torch.Tensor):
            reason = unfit(leaf, device)
            if reason:
                return reason
        elif isinstance(leaf, (torch.SymFloat, torch.SymBool, float)):
            return "a number that is only known at run time"
        elif leaf is not None and not isinstance(leaf, (int, torch.SymInt, torch.Size)):
            return f"a {type(leaf).__name__}"
    return None


def memory_order(tensor: torch.Tensor) -> tuple[int, ...] | None:
    """The dims from the outermost in memory to the innermost; None where there are gaps or overlaps."""
    shape, strides = [sample(n) for n in tensor.shape], [sample(n) for n in tensor.stride()]
    if 0 in shape:
        return tuple(range(len(shape)))
    # Dims of one element have no place of their own: they stay where row-major order has them.
    order = sorted((d for d in range(len(shape)) if shape[d] != 1), key=lambda d: strides[d], reverse=True)
    reach = 1
    for dim in reversed(order):
        if strides[dim] != reach:
            return None
        reach *= shape[dim]
    long = iter(order)
    return tuple(next(long) if shape[d] != 1 else d for d in range(len(shape)))


def elements(tensor: torch.Tensor) -> sympy.Expr:
    """How many elements a fake tensor has."""
    return sympy.Mul(*(expression(n) for n in tensor.shape))


def same_layout(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two fake tensors of one storage are the same view of it."""

    def layout(tensor: torch.Tensor) -> tuple[Any, ...]:
        numbers = [*tensor.shape, *tensor.stride(), tensor.storage_offset()]
        return (tensor.dtype, tensor.dim(), *(expression(n) for n in numbers))

    return layout(a) == layout(b)


# ---- what a node does ----------------------------------------------------------------------------------------------

_IN_PLACE_OPERATORS = {
    operator.setitem,
    operator.iadd,
    operator.isub,
    operator.imul,
    operator.itruediv,
    operator.ifloordiv,
    operator.imod,
    operator.ipow,
    operator.iand,
    operator.ior,
    operator.ixor,
    operator.ilshift,
    operator.irshift,
    operator.imatmul,
}

# Views by PyTorch's names: computing one again costs no more than a descriptor.  Some copy where they cannot be views;
# whether one did, the fake storage tells.
# fmt: off
_VIEWS = frozenset(
    {
        "T", "mT", "H", "mH", "adjoint", "alias", "as_strided", "atleast_1d", "atleast_2d", "atleast_3d",
        "bfloat16", "bool", "broadcast_to", "byte", "char", "chunk", "contiguous", "detach", "diagonal", "double",
        "dropout", "dsplit", "expand", "expand_as", "flatten", "float", "getattr", "getitem", "half", "hsplit",
        "identity", "int", "lift_fresh", "long", "moveaxis", "movedim", "narrow", "numpy_T", "permute", "ravel",
        "real", "reshape", "reshape_as", "select", "slice", "split", "split_with_sizes", "squeeze", "swapaxes",
        "swapdims", "t", "tensor_split", "to", "transpose", "type", "type_as", "unbind", "unflatten", "unfold",
        "unsqueeze", "view", "view_as", "view_of", "vsplit", "_get_data_attr", "_to_copy", "_unsafe_view",
    }
)
# fmt: on


def name_of(node: fx.Node) -> str:
    """The operator's name without namespace and overload: "add_", "getitem", "view"."""
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        return str(target._schema.name).split("::")[-1]
    if isinstance(target, torch._ops.OpOverloadPacket):
        return str(target._qualified_op_name).split("::")[-1]
    return target if isinstance(target, str) else getattr(target, "__name__", str(target))


def title_of(node: fx.Node) -> str:
    """The operator as reports name it: "torch.cumsum", "x.cumsum", "aten.cumsum.default"."""
    target = node.target
    if node.op == "call_method":
        return f"x.{target}"
    if isinstance(target, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        return str(target)
    module = getattr(target, "__module__", None)
    if module in (None, "builtins", "_operator"):
        module = "operator" if module == "_operator" else "torch"
    return f"{module}.{name_of(node)}"


def is_in_place(node: fx.Node) -> bool:
    """Whether a node writes one of its arguments."""
    if node.op not in ("call_function", "call_method"):
        return False
    if node.target in _IN_PLACE_OPERATORS or node.kwargs.get("out") is not None or node.kwargs.get("inplace") is True:
        return True
    if isinstance(node.target, torch._ops.OpOverload):
        return bool(node.target._schema.is_mutable)
    name = name_of(node)
    return name.endswith("_") and not name.endswith("__")


_RESHAPERS = frozenset(
    ["t_", "transpose_", "swapaxes_", "swapdims_", "squeeze_", "unsqueeze_", "resize_", "resize_as_", "set_", "as_strided_"]
)


def reshapes_in_place(node: fx.Node) -> bool:
    """Whether a node changes what view of its memory a tensor is."""
    return node.op in ("call_function", "call_method") and name_of(node) in _RESHAPERS


def is_view(node: fx.Node) -> bool:
    """Whether a node can be computed again at no cost, where its result shares its argument's memory."""
    return node.op in ("call_function", "call_method") and name_of(node) in _VIEWS and not is_in_place(node)


def is_allocation(node: fx.Node) -> bool:
    """Whether a node makes memory that it does not fill."""
    return node.op in ("call_function", "call_method") and name_of(node) in (
        "empty",
        "empty_like",
        "empty_strided",
        "new_empty",
    )


def is_numbers(node: fx.Node) -> bool:
    """Whether a node is a tuple of integers, like a torch.Size."""
    val = value(node)
    return isinstance(val, (tuple, list)) and all(isinstance(leaf, (int, torch.SymInt)) for leaf in leaves(val))


def is_weight(node: fx.Node) -> bool:
    """Whether a node is a parameter or a buffer of a module, or a constant."""
    if node.op == "get_attr" or isinstance(value(node), torch.nn.Parameter):
        return True
    return node.op == "placeholder" and "_dynamo_static_input_type" in node.meta.get("tensor_dict", {})


def is_number(node: fx.Node) -> bool:
    """Whether a node is an integer known at run time."""
    return isinstance(value(node), (torch.SymInt, int)) and not isinstance(value(node), bool)
