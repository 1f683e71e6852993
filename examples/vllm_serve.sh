#!/bin/sh
# vllm_serve.sh MODEL [OPTION...] - vLLM's server with its compiled pieces by libjitc: pip install the wheel (make wheel) beside vllm, then
#
#     sh vllm_serve.sh meta-llama/Llama-3.1-8B --port 8000
#
# The log says "jitc" where pieces go to Inductor instead, and why; silence means that all are libjitc's.
set -eu
[ $# -ge 1 ] || { echo "usage: vllm_serve.sh MODEL [OPTION of vllm serve...]" >&2; exit 2; }

# Only plugins that are named are loaded; others go behind, separated by commas.
export VLLM_PLUGINS="jitc${VLLM_PLUGINS:+,$VLLM_PLUGINS}"
# "strict" rounds after every operator, as eager does.
export JITC_VLLM_MODE="${JITC_VLLM_MODE:-fused}"

exec vllm serve "$@"
