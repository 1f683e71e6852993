"""Tiny models with made-up weights that matter: random ones of a fixed seed, in float32, as Hugging Face's checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

COMMON = {
    "hidden_size": 256,
    "intermediate_size": 688,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 2048,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "torch_dtype": "float32",
}
MODELS = {
    "llama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
    "qwen3": {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"},
    "moe": {
        "architectures": ["Qwen3MoeForCausalLM"],
        "model_type": "qwen3_moe",
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 128,
        "norm_topk_prob": True,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
    },
    "llama80": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_hidden_layers": 80,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "vocab_size": 256,
    },
}


class Weights:
    """Random tensors of one generator, by name."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.tensors: dict[str, torch.Tensor] = {}

    def normal(self, name: str, *shape: int, std: float = 0.08) -> None:
        self.tensors[name + ".weight"] = torch.randn(*shape, generator=self.generator) * std

    def scale(self, name: str, size: int) -> None:
        self.tensors[name + ".weight"] = 1 + torch.randn(size, generator=self.generator) * 0.08


def weights(config: dict) -> dict[str, torch.Tensor]:
    w = Weights()
    hidden, head = config["hidden_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    w.normal("model.embed_tokens", config["vocab_size"], hidden, std=1.0)
    w.normal("lm_head", config["vocab_size"], hidden)
    w.scale("model.norm", hidden)

    def mlp(prefix: str, inner: int) -> None:
        w.normal(prefix + "gate_proj", inner, hidden)
        w.normal(prefix + "up_proj", inner, hidden)
        w.normal(prefix + "down_proj", hidden, inner)

    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        for name, rows in (("q_proj", queries), ("k_proj", keys), ("v_proj", keys)):
            w.normal(f"{layer}self_attn.{name}", rows, hidden)
        w.normal(f"{layer}self_attn.o_proj", hidden, queries)
        w.scale(f"{layer}input_layernorm", hidden)
        w.scale(f"{layer}post_attention_layernorm", hidden)
        if config["model_type"].startswith("qwen3"):
            w.scale(f"{layer}self_attn.q_norm", head)
            w.scale(f"{layer}self_attn.k_norm", head)
        if "num_experts" in config:
            w.normal(f"{layer}mlp.gate", config["num_experts"], hidden, std=0.5)
            for expert in range(config["num_experts"]):
                mlp(f"{layer}mlp.experts.{expert}.", config["moe_intermediate_size"])
        else:
            mlp(f"{layer}mlp.", config["intermediate_size"])
    return w.tensors


def make(name: str, folder: Path) -> Path:
    """A model's folder below FOLDER, made where it is not there."""
    place = folder / name
    if not (place / "model.safetensors").exists():
        place.mkdir(parents=True, exist_ok=True)
        config = {**COMMON, **MODELS[name]}
        (place / "config.json").write_text(json.dumps(config, indent=1))
        save_file(weights(config), place / "model.safetensors", metadata={"format": "pt"})
    return place
