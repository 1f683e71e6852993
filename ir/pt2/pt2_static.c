/*
 * ir/pt2/pt2_static.c - what jansson's archive needs to be part of a shared library.
 *
 * A self-contained libjitc (--enable-static-llvm) holds jansson's archive, which distributions compile for programs.  All of it
 * can be placed anywhere but for one reference, to `stdin`, which json_loadf() compares files with.  The linker is told to take
 * __wrap_stdin for it (--wrap=stdin); the library reads standard input by its number.
 */
#include <stdio.h>

extern FILE *__wrap_stdin __attribute__((visibility("hidden")));
FILE *__wrap_stdin = NULL;
