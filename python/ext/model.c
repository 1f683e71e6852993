/*
 * model.c - what a model says of its parameters, for program.c and loaded.c.
 */
#include <string.h>

#include "ext.h"

jitc_status jx_model_learn(jitc_model *model, uint32_t n, uint32_t *tags, bool *written) {
    for (uint32_t i = 0; i < n; i++) {
        jitc_param_info param = { .struct_size = sizeof param };
        JX_TRY(jitc_model_param_info(model, 0, i, &param));
        tags[i] = param.tag;
    }
    for (uint32_t c = 0; c < jitc_model_classes(model); c++) {
        const jitc_executable *exe;
        jitc_executable_info info = { .struct_size = sizeof info };
        JX_TRY(jitc_model_executable(model, c, &exe));
        JX_TRY(jitc_executable_get_info(exe, &info));
        for (uint32_t i = 0; i < info.nparams; i++) {
            jitc_executable_param of_class = { .struct_size = sizeof of_class };
            JX_TRY(jitc_executable_get_param(exe, i, &of_class));
            for (uint32_t j = 0; of_class.written && j < n; j++) {
                jitc_param_info param = { .struct_size = sizeof param };
                JX_TRY(jitc_model_param_info(model, 0, j, &param));
                written[j] |= !strcmp(param.name, of_class.name);
            }
        }
    }
    return JITC_OK;
}

PyObject *jx_model_params(jitc_model *model, uint32_t n, const bool *written) {
    PyObject *tuple = PyTuple_New(n);
    for (uint32_t i = 0; tuple && i < n; i++) {
        jitc_param_info info = { .struct_size = sizeof info };
        jitc_model_param_info(model, 0, i, &info);
        PyObject *item = Py_BuildValue("(ssO)", info.name, info.type, written[i] ? Py_True : Py_False);
        if (!item || PyTuple_SetItem(tuple, i, item))
            Py_CLEAR(tuple);
    }
    return tuple;
}
