/*
 * gate.h - gates: what has to hold for a call of a region (jitc/_region.py) to be what an earlier call was, and what to call then.
 *
 * A gate is made after a call that went through Dynamo and says in a few tests what that call's guards said in many: the arguments are
 * alike (nodes), torch's global state is the same (states), and nothing of what the guards had looked at elsewhere has been replaced
 * (watches).  It holds less than the guards, never more: where it does not open, the call goes through Dynamo again.
 */
#ifndef JITC_EXT_GATE_H
#define JITC_EXT_GATE_H

#include "abi.h"

#define JX_MAX_SYMBOLS 32
#define JX_MAX_GATE_NODES 128
#define JX_MAX_GIVES 64

/* Arguments, in preorder: a node for each, and for what tuples and lists among them hold. */
typedef enum jx_node_kind {
    JX_NODE_TENSOR,
    JX_NODE_INT,    /* any integer: a symbol */
    JX_NODE_VALUE,  /* equal to `object`, and of its type */
    JX_NODE_OBJECT, /* what the weak reference `object` refers to */
    JX_NODE_ANY,    /* nobody looked at it */
    JX_NODE_TUPLE,  /* of `n` */
    JX_NODE_LIST,
} jx_node_kind;

typedef struct jx_node {
    uint8_t kind;
    bool row_major; /* strides follow from sizes; else they are `strides` */
    bool may_be_negative;
    int32_t n;      /* dims, or items */
    int32_t symbol; /* of an integer */
    PyObject *object;
    DLDataType dtype;
    DLDevice device;
    int64_t shape[JX_MAX_DIMS]; /* -1 - S: that of symbol S */
    int64_t strides[JX_MAX_DIMS];
} jx_node;

typedef enum jx_watch_kind {
    JX_WATCH_ITEM, /* holder[key] of a dict is `expected` */
    JX_WATCH_ATTR, /* holder.key */
    JX_WATCH_GENERIC, /* the same by the way of all objects, whatever __getattribute__ the class has */
    JX_WATCH_LIST, /* holder[index] of a list */
    JX_WATCH_SIZE, /* len(holder) is index */
    JX_WATCH_KEYS, /* the keys of a dict are those of the tuple `expected`, in this order */
} jx_watch_kind;

typedef struct jx_watch {
    uint8_t kind;
    bool owned;  /* `expected` is kept alive; tensors are not, so that no gate keeps weights of old */
    bool tensor; /* and is what `seen` says */
    int32_t node; /* the holder is that argument, or its __dict__ where a dict is asked for: no gate keeps an argument alive; -1: `holder` */
    Py_ssize_t index;
    PyObject *holder, *key, *expected;
    jx_seen seen;
} jx_watch;

typedef struct jx_state_check {
    PyObject *function, *expected;
} jx_state_check;

/* Where an argument of the target comes from. */
typedef struct jx_source {
    char kind; /* 'a': node, 'w': watch, 's': symbol, 'c': `object` */
    uint32_t index;
    PyObject *object;
} jx_source;

/* The result, in postfix: 'o' item of the target's, 'a' node, 'c' constant, 't' and 'l' a tuple or list of the last n. */
typedef jx_source jx_part;

typedef struct jx_gate {
    struct jx_gate *next;
    uint32_t users; /* calls that are in it, and the list that it is in */
    Py_ssize_t nargs;  /* positional ones */
    PyObject *names;   /* tuple: keywords, in the order of the call */
    uint32_t nnodes, nwatches, nstates, nsources, ngives, nsymbols;
    jx_node *nodes;
    jx_watch *watches;
    jx_state_check *states;
    jx_source *sources;
    jx_part *gives;
    int64_t lo[JX_MAX_SYMBOLS], hi[JX_MAX_SYMBOLS];
    bool direct;       /* the target takes SOURCES; else the arguments as they are */
    PyObject *target;
} jx_gate;

/* A gate of what jitc/_gate.py says; NULL with an exception set. */
jx_gate *jx_gate_new(jx_state *state, PyObject *spec);
/* Gives one use back; the last frees it. NULL is allowed. */
void jx_gate_drop(jx_gate *gate);
int jx_gate_traverse(jx_gate *gate, visitproc visit, void *arg);

/* Whether the objects that it is for are still there. */
bool jx_gate_is_alive(const jx_gate *gate);

/* Calls the target if the gate opens: 1, with *RESULT, NULL with an exception set where the call failed; 0: it does not open. */
int jx_gate_try(jx_state *state, jx_gate *gate, PyObject *const *args, Py_ssize_t nargs, PyObject *names, PyObject **result);

#endif
