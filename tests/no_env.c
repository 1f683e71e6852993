/*
 * tests/no_env.c - preloaded, it makes secure_getenv() answer as it does in a set-uid program.
 */
#include <stddef.h>

__attribute__((visibility("default"))) char *secure_getenv(const char *name);

char *secure_getenv(const char *name) {
    (void)name;
    return NULL;
}
