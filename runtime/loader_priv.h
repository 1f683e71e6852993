/*
 * runtime/loader_priv.h - what generated code may call (loader_externals.c), for the loader.
 */
#ifndef JC_LOADER_PRIV_H
#define JC_LOADER_PRIV_H

#include "runtime/loader.h"

extern const jc_loader_symbol jc_loader_externals[];
extern const uint32_t jc_loader_nexternals;

/* The compiler's helpers for the narrow floats.  A half travels in the low 16 bits of a vector register, as a float with
   those bits does; spelling it so needs no compiler that knows the type. */
float jc_helper_extendhfsf2(float half);
float jc_helper_truncsfhf2(float x);
float jc_helper_truncdfhf2(double x);
float jc_helper_truncsfbf2(float x);
float jc_helper_truncdfbf2(double x);

#endif
