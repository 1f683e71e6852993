/*
 * module.c - the module jitc._jitc: its state, its types, jitc.Error.
 */
#include "exchange.h"
#include "hold.h"

static jx_state *state_of(PyObject *module) {
    return PyModule_GetState(module);
}

PyObject *jx_raise(jx_state *state, jitc_context *ctx, jitc_status status) {
    jitc_error_info info = { .struct_size = sizeof info };
    const char *message = "";
    PyObject *error = NULL, *number = NULL, *line = NULL, *node = NULL;
    if (ctx)
        jitc_context_error_info(ctx, &info);
    if (info.message)
        message = info.message;
    if (PyErr_Occurred())
        return NULL;
    error = PyObject_CallFunction(state->error, "s", *message ? message : jitc_status_text(status));
    number = PyLong_FromLong(status);
    line = PyLong_FromLong(info.line);
    node = PyUnicode_FromString(info.node ? info.node : "");
    if (error && number && line && node && !PyObject_SetAttrString(error, "status", number) &&
        !PyObject_SetAttrString(error, "line", line) && !PyObject_SetAttrString(error, "node", node))
        PyErr_SetObject(state->error, error);
    Py_XDECREF(error);
    Py_XDECREF(number);
    Py_XDECREF(line);
    Py_XDECREF(node);
    return NULL;
}

static PyObject *adopt(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = { "tensor_type", "parameter_type", "describe", "empty", "stream", "bump", "samples", "exchange", NULL };
    jx_side side = { .exchange = 1 };
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOOO!|p", names, &side.tensor_type, &side.parameter_type,
                                     &side.functions[JX_DESCRIBE], &side.functions[JX_EMPTY], &side.functions[JX_STREAM],
                                     &side.functions[JX_BUMP], &PyList_Type, &side.samples, &side.exchange) ||
        jx_adopt(state_of(module), &side))
        return NULL;
    return PyBool_FromLong(state_of(module)->api != NULL);
}

static PyObject *has_abi(PyObject *module, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(state_of(module)->abi != NULL);
}

static PyObject *version(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyUnicode_FromString(jitc_version());
}

static PyObject *build_id(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyUnicode_FromString(jitc_build_id());
}

static PyMethodDef functions[] = {
    { "adopt", (PyCFunction)(void (*)(void))adopt, METH_VARARGS | METH_KEYWORDS,
      "adopt(tensor_type, parameter_type, describe, empty, stream, bump, samples, exchange=True) -> bool\n\n"
      "Takes the framework's side.  Answers whether tensors cross by the DLPack exchange table." },
    { "has_abi", has_abi, METH_NOARGS, "has_abi() -> bool\n\nWhether tensors are looked at by torch's C functions." },
    { "archive_refusals", (PyCFunction)(void (*)(void))jx_archive_refusals, METH_VARARGS | METH_KEYWORDS,
      "archive_refusals(context, path, archs, ranges, *, strict=False) -> list\n\n"
      "All in an archive of torch.export that cannot be compiled for the first of ARCHS: tuples of operator, node, line and reason." },
    { "archive_compile", (PyCFunction)(void (*)(void))jx_archive_compile, METH_VARARGS | METH_KEYWORDS,
      "archive_compile(context, path, archs, ranges, *, strict=False) -> bytes\n\nA bundle of an archive of torch.export, for each of ARCHS." },
    { "build_id", build_id, METH_NOARGS, "build_id() -> str\n\nVersion, code generator and LLVM of libjitc: for cache keys." },
    { "left_behind", jx_hold_count, METH_NOARGS,
      "left_behind() -> int\n\nHow many programs and models are gone, but for what a captured CUDA graph refers to." },
    { "walk", jx_walk, METH_VARARGS,
      "walk(nodes, node_type, titles, title, other) -> tuple\n\n"
      "A graph's nodes as bytes without names; what literals custom operators get; the paths of constants.  TITLES: by the address of a "
      "target what TITLE said of it.  OTHER says what a value is that is no number, text, tuple, list, slice or dict." },
    { "version", version, METH_NOARGS, "version() -> str\n\nThe version of libjitc." },
    { 0 },
};

static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **out) {
    *out = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *out ? PyModule_AddType(module, *out) : -1;
}

static int module_exec(PyObject *module) {
    jx_state *state = state_of(module);
    PyTypeObject *loaded_type = NULL;
    state->error = PyErr_NewExceptionWithDoc("jitc.Error",
                                             "What libjitc says of a failure.  `status` is jitc_status's number; `line` and `node` say "
                                             "where in the text, 0 and \"\" where that is not known.",
                                             PyExc_RuntimeError, NULL);
    state->is_neg = PyUnicode_InternFromString("is_neg");
    if (!state->error || !state->is_neg || PyModule_AddObjectRef(module, "Error", state->error))
        return -1;
    const int loaded = add_type(module, &jx_loaded_spec, &loaded_type); /* nobody here makes one */
    Py_XDECREF(loaded_type);
    if (loaded)
        return -1;
    return add_type(module, &jx_context_spec, &state->context_type) || add_type(module, &jx_program_spec, &state->program_type) ||
                   add_type(module, &jx_region_spec, &state->region_type)
               ? -1
               : 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    jx_state *state = state_of(module);
    Py_VISIT(state->error);
    Py_VISIT(state->context_type);
    Py_VISIT(state->program_type);
    Py_VISIT(state->region_type);
    return jx_adopt_traverse(state, visit, arg);
}

static int module_clear(PyObject *module) {
    jx_state *state = state_of(module);
    Py_CLEAR(state->error);
    Py_CLEAR(state->context_type);
    Py_CLEAR(state->program_type);
    Py_CLEAR(state->region_type);
    Py_CLEAR(state->is_neg);
    jx_adopt_clear(state);
    return 0;
}

static void module_free(void *module) {
    module_clear(module);
}

static PyModuleDef_Slot slots[] = {
    { Py_mod_exec, module_exec },
    { 0, NULL },
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_jitc", "libjitc for Python: see the package jitc.", sizeof(jx_state), functions, slots,
    module_traverse, module_clear, module_free,
};

PyMODINIT_FUNC PyInit__jitc(void); /* Python.h declares none */
PyMODINIT_FUNC PyInit__jitc(void) {
    return PyModuleDef_Init(&definition);
}
