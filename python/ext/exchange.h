/*
 * exchange.h - how tensors cross between Python and libjitc.
 *
 * Three ways, chosen once per process by what torch offers:
 *   abi       torch's C functions (abi.h) say what a tensor is; memory comes by the table.
 *   exchange  the table of C functions that a tensor type carries as `__dlpack_c_exchange_api__` (DLPack 1.2 and later): a tensor is
 *             described without allocating or copying anything, memory comes from the framework's own allocator.
 *   plain     two Python functions: one describes a tensor, one makes an empty one.  Some ten times slower.
 */
#ifndef JITC_EXT_EXCHANGE_H
#define JITC_EXT_EXCHANGE_H

#include "ext.h"

/* ---- the table, as DLPack lays it out in memory ----------------------------------------------------------------- */

typedef void (*jx_set_error)(void *context, const char *kind, const char *message);

typedef struct jx_exchange_api {
    DLPackVersion version;
    struct jx_exchange_api *previous;
    /* Looks at dtype, device and shape of the prototype; no GIL is needed. */
    int (*allocate)(DLTensor *prototype, DLManagedTensorVersioned **out, void *context, jx_set_error set_error);
    int (*from_object)(void *object, DLManagedTensorVersioned **out);
    int (*to_object)(DLManagedTensorVersioned *tensor, void **object); /* steals the tensor */
    int (*borrow)(void *object, DLTensor *out);                        /* may be NULL */
    int (*current_stream)(DLDeviceType type, int32_t id, void **stream);
} jx_exchange_api;

/* ---- the two ways behind one face ------------------------------------------------------------------------------- */

/* The framework's side. */
typedef struct jx_side {
    PyObject *tensor_type, *parameter_type, *functions[JX_FUNCTIONS];
    PyObject *samples; /* for jx_abi_find() */
    int exchange;      /* false: the plain way, whatever there is */
} jx_side;
int jx_adopt(jx_state *state, const jx_side *side);
void jx_adopt_clear(jx_state *state);
int jx_adopt_traverse(jx_state *state, visitproc visit, void *arg);

/* What one borrowed tensor needs besides its descriptor, on the plain way. */
typedef struct jx_room {
    int64_t shape[JX_MAX_DIMS], strides[JX_MAX_DIMS];
} jx_room;

/* Describes OBJECT in OUT, valid as long as OBJECT is.  -1 with an exception set: TypeError for what is no tensor. */
int jx_borrow(jx_state *state, PyObject *object, DLTensor *out, jx_room *room);

/* Whether torch's C functions take OBJECT: there are any, and it is of no subclass. */
bool jx_is_plain_tensor(jx_state *state, PyObject *object);

/* Memory for one result: either a managed tensor or a Python object that owns it. */
typedef struct jx_owned {
    DLManagedTensorVersioned *managed;
    PyObject *object;
    int64_t shape[JX_MAX_DIMS], strides[JX_MAX_DIMS]; /* where the managed tensor is not row-major */
} jx_owned;

/* Gives TENSOR, of which all but the memory is filled in, memory that OUT owns. Called without the GIL. False: there is none. */
bool jx_give(jx_state *state, DLTensor *tensor, jx_owned *out);
/* A tensor of what OUT owns, which is empty afterwards. */
PyObject *jx_hand_over(jx_state *state, jx_owned *out);
void jx_drop(jx_owned *out);

/* Does R begin within T's elements, and has it their dtype? */
bool jx_lies_in(const DLTensor *r, const DLTensor *t);
/* R, which lies in T, as a view of OBJECT, which T describes. */
PyObject *jx_view_of(const DLTensor *r, PyObject *object, const DLTensor *t);

/* The stream that work on DEVICE goes to now. */
int jx_stream(jx_state *state, DLDevice device, void **stream);

#endif
