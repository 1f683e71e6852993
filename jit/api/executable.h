/*
 * jit/api/executable.h - inside an executable: what jitc/executable.h tells of a class, worked out when it is first asked for.
 *
 * All of it follows from the class's canonical form, so that it is the same for a model that was built, one that was only split and
 * one out of a bundle; what depends on the code (variants) is read from the artifacts' plans.  Texts and arrays live in an arena of
 * their own, under the context's lock: the model's may be in use by a thread that builds or runs.
 */
#ifndef JC_EXECUTABLE_H
#define JC_EXECUTABLE_H

#include "jit/api/model.h"
#include "jitc/executable.h"

struct jitc_executable {
    jitc_model *m;
    const jc_class *c;
    const jc_piece *first;
    jc_graph *g;              /* the class, with the symbols' names of the first member; its root is what the following is about */
    jitc_executable_info info;
    jitc_executable_param *params;
    jitc_executable_result *results;
    jitc_executable_symbol *symbols;
    jitc_executable_variant *variants;
    const jc_plan **plans;    /* of each variant; NULL: split_only */
};

/* Of a model: executables by class, NULL until asked for; texts of the parameters' types. */
typedef struct jc_about {
    jc_arena *arena;
    jitc_executable **classes;
    const char ***types;      /* by graph and parameter of its root */
} jc_about;

/* Under the context's lock; NULL when memory is out. */
jc_about *jc_about_model(jitc_model *m);
void jc_about_free(jitc_model *m);
/* The type of a parameter as text; NULL when memory is out. Takes the context's lock. */
const char *jc_model_param_type(jitc_model *m, uint32_t graph, uint32_t param);

#endif
