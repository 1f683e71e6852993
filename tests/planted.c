/*
 * tests/planted.c - a library that says so when it is opened: what tests/check_library.c puts where nothing must be opened from.
 */
#include <unistd.h>

__attribute__((constructor)) static void opened(void) {
    (void)!write(2, "PLANTED\n", 8);
}
