/*
 * tools/cmd_version.c - `jitc version`.
 */
#include <stdio.h>

#include "base/codegen_id.h"
#include "config.h"
#include "tools/tool.h"

int cmd_version(tool *t) {
    if (!t->o.json) {
        printf("jitc %s (code generator %.16s, LLVM %s)\n", jitc_version(), JC_CODEGEN_ID, JC_LLVM_VERSION);
        return 0;
    }
    json_t *out = tool_json_new();
    tool_set(out, "jitc", tool_text(jitc_version()));
    tool_set(out, "codegen_id", tool_text(JC_CODEGEN_ID));
    tool_set(out, "llvm", tool_text(JC_LLVM_VERSION));
    return tool_json(t, out, 0);
}
