"""The architectures that transformers has, small and with made-up weights, compiled by jitc and compared with eager.

    python architectures.py [--dtype bfloat16] [NAME...]

Needs transformers.  One line each: the largest difference, graphs, pieces, and the operators that torch ran.  Three
sizes, so that the second graph is dynamic.  Exit 1 if one differs or fails; ends with "N of M agree".
"""

from __future__ import annotations

import argparse
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
import transformers
from compare import Compiled

from jitc import _facts as facts

BASE = dict(
    vocab_size=128,
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=128,
)
GROUPED = dict(num_key_value_heads=2)
HEADS = dict(**GROUPED, head_dim=16)
GPT = dict(vocab_size=128, n_embd=64, n_layer=2, n_head=4)
VISION = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8)
EXPERTS = dict(num_experts_per_tok=2)
DEEPSEEK = dict(
    num_key_value_heads=4, moe_intermediate_size=32, n_routed_experts=4, n_shared_experts=1, n_group=2, topk_group=1,
    q_lora_rank=32, kv_lora_rank=32, qk_rope_head_dim=8, qk_nope_head_dim=16, v_head_dim=16, first_k_dense_replace=1,
)  # fmt: skip
WHISPER = dict(
    vocab_size=128, d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
    encoder_ffn_dim=128, decoder_ffn_dim=128, num_mel_bins=16, max_source_positions=32, pad_token_id=0, bos_token_id=1,
    eos_token_id=2, decoder_start_token_id=1,
)  # fmt: skip

# Name of the configuration, its values, the class that makes the model, and what it is given.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "llama": ("LlamaConfig", {**BASE, **GROUPED}, "AutoModelForCausalLM", "tokens"),
    "mistral": ("MistralConfig", {**BASE, **HEADS, "sliding_window": None}, "AutoModelForCausalLM", "tokens"),
    "qwen2": ("Qwen2Config", {**BASE, **GROUPED}, "AutoModelForCausalLM", "tokens"),
    "qwen3": ("Qwen3Config", {**BASE, **HEADS}, "AutoModelForCausalLM", "tokens"),
    "qwen3_moe": (
        "Qwen3MoeConfig",
        {**BASE, **HEADS, **EXPERTS, "num_experts": 4, "moe_intermediate_size": 32},
        "AutoModelForCausalLM",
        "tokens",
    ),
    "gemma2": ("Gemma2Config", {**BASE, **HEADS, "sliding_window": 8}, "AutoModelForCausalLM", "tokens"),
    "gemma3": ("Gemma3TextConfig", {**BASE, **HEADS, "sliding_window": 8}, "AutoModelForCausalLM", "tokens"),
    "phi3": ("Phi3Config", {**BASE, **GROUPED, "pad_token_id": 0}, "AutoModelForCausalLM", "tokens"),
    "gpt2": ("GPT2Config", {**GPT, "n_positions": 128}, "AutoModelForCausalLM", "tokens"),
    "gpt_neox": ("GPTNeoXConfig", BASE, "AutoModelForCausalLM", "tokens"),
    "opt": ("OPTConfig", {**BASE, "ffn_dim": 128, "word_embed_proj_dim": 64}, "AutoModelForCausalLM", "tokens"),
    "bloom": ("BloomConfig", dict(vocab_size=128, hidden_size=64, n_layer=2, n_head=4), "AutoModelForCausalLM", "tokens"),
    "falcon": (
        "FalconConfig",
        dict(vocab_size=128, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, new_decoder_architecture=False),
        "AutoModelForCausalLM",
        "tokens",
    ),
    "mpt": (
        "MptConfig",
        dict(d_model=64, n_heads=4, n_layers=2, vocab_size=128, max_seq_len=128),
        "AutoModelForCausalLM",
        "tokens",
    ),
    "olmo2": ("Olmo2Config", {**BASE, **GROUPED}, "AutoModelForCausalLM", "tokens"),
    "gpt_oss": (
        "GptOssConfig",
        {**BASE, **HEADS, **EXPERTS, "num_local_experts": 4, "sliding_window": 8},
        "AutoModelForCausalLM",
        "tokens",
    ),
    "deepseek_v3": ("DeepseekV3Config", {**BASE, **EXPERTS, **DEEPSEEK}, "AutoModelForCausalLM", "tokens"),
    "mamba": (
        "MambaConfig",
        dict(vocab_size=128, hidden_size=64, num_hidden_layers=2, state_size=8),
        "AutoModelForCausalLM",
        "tokens",
    ),
    "bert": ("BertConfig", BASE, "AutoModel", "tokens"),
    "roberta": ("RobertaConfig", BASE, "AutoModel", "tokens"),
    "t5_encoder": (
        "T5Config",
        dict(vocab_size=128, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4),
        "T5EncoderModel",
        "tokens",
    ),
    "whisper_encoder": ("WhisperConfig", WHISPER, "WhisperModel.encoder", "sound"),
    "vit": ("ViTConfig", VISION, "ViTModel", "image"),
    "clip_text": ("CLIPTextConfig", BASE, "AutoModel", "tokens"),
    "siglip": ("SiglipVisionConfig", VISION, "SiglipVisionModel", "image"),
    "convnext": (
        "ConvNextConfig",
        dict(hidden_sizes=[16, 32, 64, 64], depths=[1, 1, 1, 1], image_size=64),
        "ConvNextModel",
        "picture",
    ),
    "resnet": (
        "ResNetConfig",
        dict(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic"),
        "ResNetModel",
        "picture",
    ),
}

INPUTS: dict[str, Callable[[int, torch.dtype], dict[str, Any]]] = {
    "tokens": lambda n, dtype: {"input_ids": torch.randint(2, 100, (1, n))},
    "sound": lambda n, dtype: {"input_features": torch.randn(1, 16, 64, dtype=dtype)},
    "image": lambda n, dtype: {"pixel_values": torch.randn(1, 3, 32, 32, dtype=dtype)},
    "picture": lambda n, dtype: {"pixel_values": torch.randn(1, 3, 64, 64, dtype=dtype)},
}


def model_of(name: str, dtype: torch.dtype) -> torch.nn.Module:
    """A model of an architecture, the same in each run."""
    config_name, values, maker, _ = ARCHITECTURES[name]
    torch.manual_seed(0)
    config = getattr(transformers, config_name)(**values)
    cls, _, part = maker.partition(".")
    make = getattr(transformers, cls).from_config if cls.startswith("Auto") else getattr(transformers, cls)._from_config
    model = make(config, dtype=dtype)
    return (getattr(model, part) if part else model).eval()


def tensors(item: Any) -> Iterator[torch.Tensor]:
    """The tensors of a result, caches included."""
    if isinstance(item, torch.Tensor):
        yield item
    elif hasattr(item, "layers"):
        for layer in item.layers:
            yield from tensors([getattr(layer, "keys", None), getattr(layer, "values", None)])
    else:
        parts = item.to_tuple() if hasattr(item, "to_tuple") else item.values() if isinstance(item, dict) else item
        for part in parts if isinstance(parts, (tuple, list)) or isinstance(item, dict) else ():
            yield from tensors(part)


def compare(name: str, dtype: torch.dtype) -> tuple[float, Compiled]:
    """The largest difference over three sizes."""
    model, compiled_worst = model_of(name, dtype), 0.0
    compiled = Compiled(model)
    for size in (12, 13, 17):
        inputs = INPUTS[ARCHITECTURES[name][3]](size, dtype)
        want, got = list(tensors(model(**inputs))), list(tensors(compiled.call(**inputs)))
        assert len(want) == len(got), f"{len(got)} tensors for {len(want)}"
        for a, b in zip(want, got, strict=True):
            assert (a.shape, a.dtype, a.stride()) == (b.shape, b.dtype, b.stride()), (
                f"{b.shape} {b.stride()} for {a.shape} {a.stride()}"
            )
            if a.numel():
                compiled_worst = max(compiled_worst, (a.double() - b.double()).abs().max().item())
    return compiled_worst, compiled


def line(name: str, dtype: torch.dtype, tolerance: float) -> bool:
    """Runs one architecture and prints what came of it."""
    torch._dynamo.reset()
    start = time.perf_counter()
    try:
        worst, compiled = compare(name, dtype)
    except Exception:
        print(f"{name:16} FAILED\n{traceback.format_exc(limit=-2)}", flush=True)
        return False
    declined = [outcome for outcome in compiled.outcomes if isinstance(outcome, str)]
    fallbacks = Counter(facts.title_of(node) for result in compiled.results for node, _ in result.plan.reasons())
    good = worst <= tolerance and not declined and not compiled.unfit()
    print(
        f"{name:16} {'ok' if good else 'DIFFERS'}  largest difference {worst:.1e}, {len(compiled.results)} graphs, "
        f"{len(compiled.programs)} pieces, {time.perf_counter() - start:.1f} s; by torch: "
        + (", ".join(f"{op}*{n}" for op, n in fallbacks.most_common()) or "nothing"),
        *declined,
        flush=True,
    )
    return good


def main() -> int:
    """All that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    dtype = getattr(torch, args.dtype)
    names = args.names or list(ARCHITECTURES)
    with torch.no_grad():
        good = [line(name, dtype, 2e-4 if dtype == torch.float32 else 0.1) for name in names]
    print(f"{sum(good)} of {len(names)} agree")
    return 0 if all(good) else 1


if __name__ == "__main__":
    raise SystemExit(main())
