"""vLLM's compiled pieces by libjitc: a plugin for vLLM.

With ``VLLM_PLUGINS=jitc`` in the environment, every piece that an engine compiles goes to libjitc; without it (or
with other plugins named) nothing of vLLM changes.  Nothing has to be imported: vLLM finds ``platform`` and
``install`` by their entry points.

Environment, read when vLLM loads its plugins, which it does in every process of an engine:

``JITC_VLLM_MODE``      ``fused`` (default) or ``strict``: see ``jitc.Options.mode``
``JITC_VLLM_THREADS``   threads of kernels and compilation; default: what torch has
``JITC_VLLM_COMPILER``  ``jitc`` (default), or ``inductor``: Inductor compiles the same pieces, to compare with
``JITC_CACHE_DIR``      the cache of compiled classes; default: ``jitc`` below vLLM's own (``VLLM_CACHE_ROOT``)
"""

from __future__ import annotations

import os
import sys

__all__ = ["install", "platform"]


def chosen() -> bool:
    """Whether the user asked for this plugin by name; vLLM calls all that are installed where he named none."""
    return "jitc" in os.environ.get("VLLM_PLUGINS", "").split(",")


def platform() -> str | None:
    """The entry point of ``vllm.platform_plugins``: a class for the CPU, where vLLM would not compile in pieces.

    Elsewhere None: the platform is vLLM's own.
    """
    if not chosen():
        return None
    from vllm import platforms

    _no_mega_artifact()
    return "jitc.vllm._platform.JitcCpuPlatform" if platforms.cpu_platform_plugin() else None


def install() -> None:
    """The entry point of ``vllm.general_plugins``: makes our compiler the one that vLLM hands pieces to."""
    if not chosen():
        return
    from jitc.vllm import _hooks

    _no_mega_artifact()
    _hooks.install()


def _no_mega_artifact() -> None:
    """Of vLLM's two ways to keep compiled pieces, one pickles what the compiler gave; ours is the other."""
    name = "VLLM_USE_MEGA_AOT_ARTIFACT"
    if os.environ.get(name) == "1":
        sys.stderr.write(f"jitc: {name}=1 does not go with VLLM_PLUGINS=jitc; it is 0 now\n")
    os.environ[name] = "0"
