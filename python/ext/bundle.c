/*
 * bundle.c - programs as bytes, and programs of such bytes: a bundle (jitc/bundle.h) of one model for one target.
 *
 * What is loaded was compiled for this machine or is refused; nothing is parsed, no LLVM is opened.
 */
#include "ext.h"

/* jitc_bundle_sink: the bytes become Python's.  Called with the GIL held, since writing does nothing that takes long. */
static bool keep_bytes(void *user, const void *bytes, size_t n) {
    PyObject **out = user;
    *out = PyBytes_FromStringAndSize(bytes, (Py_ssize_t)n);
    return *out != NULL;
}

PyObject *jx_bundle_write(jx_context *context, jitc_model *model) {
    PyObject *bytes = NULL;
    jitc_status status = jitc_bundle_write_bytes(context->ctx, &model, 1, keep_bytes, &bytes);
    if (!status)
        return bytes;
    Py_XDECREF(bytes);
    return jx_raise(context->state, context->ctx, status);
}

PyObject *jx_bundle_read(PyObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = { "name", "data", "fallback", NULL };
    jx_context *context = (jx_context *)self;
    const char *name, *data;
    Py_ssize_t length;
    PyObject *fallback = Py_None;
    jitc_bundle *bundle = NULL;
    jitc_model *model = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sy#|$O", names, &name, &data, &length, &fallback))
        return NULL;
    /* Of a CPU's bundle the target is checked by asking for it; a GPU's own driver refuses foreign code at the first run. */
    const char *arch = context->place.device_type == kDLCPU ? "host" : NULL;
    jitc_status status = jitc_bundle_open_bytes(context->ctx, name, data, (size_t)length, &bundle);
    if (!status)
        status = jitc_bundle_model(bundle, arch, &model);
    if (status)
        jx_raise(context->state, context->ctx, status);
    jitc_bundle_close(bundle); /* the model keeps what it needs */
    return status ? NULL : jx_program_new(context, NULL, model, fallback, NULL);
}
