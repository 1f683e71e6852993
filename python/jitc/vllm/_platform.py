"""vLLM's CPU platform, but it compiles in pieces.

vLLM's own turns compilation in pieces off on a CPU, for Inductor takes long there.
"""

from __future__ import annotations

from typing import Any

from vllm import platforms
from vllm.utils.import_utils import resolve_obj_by_qualname

# The one that vLLM would take: there is another for some AMD processors.
_Base: Any = resolve_obj_by_qualname(platforms.cpu_platform_plugin())


class JitcCpuPlatform(_Base):
    """A platform whose configuration keeps what was decided about compilation."""

    @classmethod
    def check_and_update_config(cls, vllm_config: Any) -> None:
        """What vLLM's platform does, but for compilation."""
        from vllm.config import CompilationMode

        chosen = vllm_config.compilation_config
        kept = {name: getattr(chosen, name) for name in ("mode", "backend", "ir_enable_torch_wrap")}
        super().check_and_update_config(vllm_config)
        if kept["mode"] != CompilationMode.VLLM_COMPILE or chosen.mode == CompilationMode.NONE:
            return
        for name, value in kept.items():
            setattr(chosen, name, value)
        # Of these passes over Inductor's graphs there is nothing on a CPU, not even the classes.
        chosen.pass_config.fuse_norm_quant = chosen.pass_config.fuse_act_quant = False
        if chosen.compile_sizes is None:  # None would mean that no size was ever decided about
            chosen.compile_sizes = []
